#include <ashlar/pg/idempotency_keys.hpp>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kLock = 0x6173'686c'696b;  // of those who make the table
constexpr int kTries = 8;

struct Held {
  std::string fingerprint;
  std::optional<int> status;
  std::optional<Bytes> headers;
  std::optional<Bytes> body;
  double lease_left;
  bool is_free;
};

// Made when the table is there, so that no program is refused for want of it. A row whose attempt is our own has been
// written by a first try whose answer was lost.
struct Queries {
  Query<void(std::string, std::string, Uuid, double, double)> begin{
      "insert into ashlar_idempotency_keys as held (key, fingerprint, attempt, lease_ends, forget_at) "
      "values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), clock_timestamp() + make_interval(secs => "
      "$5)) "
      "on conflict (key) do update set fingerprint = excluded.fingerprint, attempt = excluded.attempt, "
      "lease_ends = excluded.lease_ends, forget_at = excluded.forget_at, status = null, headers = null, body = null "
      "where held.forget_at <= clock_timestamp() or held.attempt = excluded.attempt or (held.status is null and "
      "held.lease_ends <= clock_timestamp() and held.fingerprint = excluded.fingerprint)",
      {.name = "idempotency_begin"}};
  Query<Held(std::string, std::string)> look{
      "select fingerprint, status, headers, body, "
      "coalesce(extract(epoch from lease_ends - clock_timestamp())::float8, 0) as lease_left, "
      "coalesce(forget_at <= clock_timestamp() or "
      "(status is null and lease_ends <= clock_timestamp() and fingerprint = $2), false) as is_free "
      "from ashlar_idempotency_keys where key = $1",
      {.name = "idempotency_look"}};
  Query<void(std::string, Uuid, int, Bytes, Bytes)> complete{
      "update ashlar_idempotency_keys set status = $3, headers = $4, body = $5 where key = $1 and attempt = $2",
      {.name = "idempotency_complete"}};
  Query<void(std::string, Uuid)> abandon{
      "delete from ashlar_idempotency_keys where key = $1 and attempt = $2 and status is null",
      {.name = "idempotency_abandon"}};
  Query<void()> sweep{
      "delete from ashlar_idempotency_keys where key in (select key from ashlar_idempotency_keys "
      "where forget_at <= clock_timestamp() order by forget_at limit 1000 for update skip locked)",
      {.name = "idempotency_sweep"}};
};

const Query<bool()> table_exists{"select coalesce(to_regclass('ashlar_idempotency_keys') is not null, false)",
                                 {.name = "idempotency_table"}};

double seconds_of(auto duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

struct IdempotencyKeys::Impl {
  Impl(Db& database, IdempotencyKeysOptions the_options) : db(database), options(the_options) {}

  Db& db;
  const IdempotencyKeysOptions options;
  std::mutex mutex;
  std::optional<Queries> queries;
  const async::Loop* home = nullptr;  // the loop that sweeps
  detail::Background background;

  const Queries& ready() {
    const std::lock_guard lock(mutex);
    if (!queries) throw Unavailable("the idempotency keys have not been started: app.provide(keys)");
    return *queries;
  }

  Task<void> make_table() {
    if (co_await db.one(table_exists)) co_return;
    const DynamicQuery<void()> table{unsafe_sql(std::string(kCreateTable))};
    const DynamicQuery<void()> index{unsafe_sql(std::string(kCreateIndex))};
    // Of processes that start together, "if not exists" lets one fail.
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.lock(kLock);
      co_await tx.exec(table);
      co_await tx.exec(index);
    });
  }

  // Again when the connection has broken: done twice, each of these statements has done the same.
  template <class... A>
  Task<std::uint64_t> exec(const Query<void(A...)>& query, std::type_identity_t<A>... arguments) {
    for (int tries = 1;; ++tries) {
      try {
        co_return co_await db.exec(query, arguments...);
      } catch (const ConnectionLost&) {
        if (tries == 2) throw;
      }
    }
  }

  Task<void> sweep_for_ever(IdempotencyKeys& keys) {
    for (;;) {
      co_await async::sleep(options.sweep_every);
      try {
        while (co_await keys.sweep() == 1000) {
        }
      } catch (const Cancelled&) {
        throw;
      } catch (const std::exception& error) {
        log::warn("old idempotency keys could not be removed", {{"error.message", std::string_view(error.what())}});
      }
    }
  }
};

IdempotencyKeys::IdempotencyKeys(Db& db, IdempotencyKeysOptions options) : impl_(std::make_unique<Impl>(db, options)) {
  if (options.sweep_every.count() <= 0) throw Invalid("idempotency keys: sweep_every is above 0");
}
IdempotencyKeys::~IdempotencyKeys() = default;

Task<async::IdempotencyStore::Found> IdempotencyKeys::begin(Attempt attempt) {
  const Queries& queries = impl_->ready();
  for (int tries = 0; tries < kTries; ++tries) {
    const auto begun = co_await impl_->exec(queries.begin, attempt.key, attempt.fingerprint, attempt.id,
                                            seconds_of(attempt.lease), seconds_of(attempt.keep));
    if (begun == 1) co_return Found{};
    const auto held = co_await impl_->db.maybe(queries.look, attempt.key, attempt.fingerprint);
    if (!held || held->is_free) continue;  // it has just become free
    if (held->fingerprint != attempt.fingerprint) co_return Found{.state = State::other_request};
    if (!held->status) {
      const auto left = static_cast<std::int64_t>(std::ceil(std::max(held->lease_left, 0.0) * 1000));
      co_return Found{.state = State::running, .lease_left = milliseconds{left}};
    }
    co_return Found{.state = State::answered,
                    .answer = {*held->status, std::string(held->headers.value_or(Bytes{}).view()),
                               std::string(held->body.value_or(Bytes{}).view())}};
  }
  throw Unavailable("an idempotency key is taken and freed faster than it can be read");
}

Task<bool> IdempotencyKeys::complete(std::string key, Uuid attempt, Answer answer) {
  co_return co_await impl_->exec(impl_->ready().complete, std::move(key), attempt, answer.status,
                                 Bytes::copy_of(answer.headers), Bytes::copy_of(answer.body)) == 1;
}

Task<void> IdempotencyKeys::abandon(std::string key, Uuid attempt) {
  co_await impl_->exec(impl_->ready().abandon, std::move(key), attempt);
}

Task<std::uint64_t> IdempotencyKeys::sweep() { co_return co_await impl_->db.exec(impl_->ready().sweep); }

Task<void> IdempotencyKeys::start_loop(async::Loop& loop) {
  co_await impl_->make_table();
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->queries) impl_->queries.emplace();
  if (impl_->home != nullptr) co_return;
  impl_->home = &loop;
  impl_->background.start(impl_->sweep_for_ever(*this));
}

Task<void> IdempotencyKeys::stop_loop(async::Loop& loop) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->home != &loop) co_return;
    impl_->home = nullptr;
  }
  co_await impl_->background.stop();
}

}  // namespace ashlar::pg
