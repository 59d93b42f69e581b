#include <ashlar/pg/transaction.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/sandbox.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
namespace {

inline const Query<void(std::int64_t)> advisory_lock{"select pg_advisory_xact_lock($1)",
                                                     {.name = "ashlar.advisory_lock"}};
inline const Query<bool(std::int64_t)> try_advisory_lock{"select pg_try_advisory_xact_lock($1)",
                                                         {.name = "ashlar.try_advisory_lock"}};
inline const Query<void(std::string)> named_lock{"select pg_advisory_xact_lock(hashtextextended($1, 0))",
                                                 {.name = "ashlar.named_lock"}};
inline const Query<bool(std::string)> try_named_lock{"select pg_try_advisory_xact_lock(hashtextextended($1, 0))",
                                                     {.name = "ashlar.try_named_lock"}};
const log::Logger logger{"pg.transaction"};
constexpr std::chrono::seconds kLongestHook{30};

// Nobody waits longer for a server that hangs: then the connection is closed, and that undoes as well.
constexpr auto kUndoing = std::chrono::seconds{1};

Task<void> undo(detail::Connection& connection, std::string sql) {
  co_await detail::Execution(connection, std::string_view(sql));
}

}  // namespace

detail::Target Tx::target() {
  if (ended_) throw Internal("a transaction was used after it had ended: do not keep the Tx beyond its function");
  return {nullptr, &connection_};
}

Task<void> Tx::begin(TransactionOptions options) {
  std::string sql = "begin";
  if (connection_.sandboxed()) {  // begun already, serializable; its savepoint was set with the lease
    sql = options.read_only ? "set transaction read only" : "";
  } else {
    if (options.isolation == Isolation::repeatable_read) sql += " isolation level repeatable read";
    if (options.isolation == Isolation::serializable) sql += " isolation level serializable";
    if (options.read_only) sql += " read only";
    if (options.deferrable) sql += " deferrable";
  }
  const async::Context* context = async::context();
  std::int64_t lock_timeout = options.lock_timeout.count();
  if (context != nullptr && context->deadline != async::TimePoint::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(context->deadline - async::Clock::now());
    sql += fmt::format("; set local statement_timeout = {}", std::max<std::int64_t>(1, left.count()));
    const std::int64_t most = std::max<std::int64_t>(1, left.count() * 9 / 10);
    lock_timeout = lock_timeout > 0 ? std::min(lock_timeout, most) : most;
  }
  if (lock_timeout > 0) sql += fmt::format("; set local lock_timeout = {}", lock_timeout);
  if (!sql.empty()) co_await detail::Execution(connection_, sql);
}

Task<void> Tx::commit() {
  if (connection_.transaction_status() == 'E') {
    throw Internal(
        "a statement of the transaction failed and its error was caught inside: the transaction can only be rolled "
        "back. Run what may fail in tx.savepoint(…)");
  }
  std::string sql = "commit";
  if (connection_.sandboxed()) {
    sql = "reset statement_timeout; reset lock_timeout";  // of begin()
    if (connection_.checks_deferred()) sql = fmt::format("{}; {}", detail::kSandboxCheck, sql);
  }
  detail::Execution commit(connection_, sql);
  co_await commit.to_the_end();
  ended_ = true;
}

Task<void> Tx::rollback() {
  ended_ = true;
  if (!connection_.open_now()) co_return;
  try {
    co_await async::timeout(
        kUndoing, undo(connection_, connection_.sandboxed() ? std::string(detail::kSandboxRollback) : "rollback"));
  } catch (const Error&) {
    // The connection is not as clean as it came: the pool closes it, and the server rolls back.
  }
}

Task<void> Tx::begin_savepoint(std::uint32_t number) {
  target();
  const std::string sql = fmt::format("savepoint s{}", number);
  co_await detail::Execution(connection_, sql);
}
Task<void> Tx::release_savepoint(std::uint32_t number) {
  const std::string sql = fmt::format("release savepoint s{}", number);
  co_await detail::Execution(connection_, sql);
}
Task<void> Tx::undo_savepoint(std::uint32_t number) {
  if (!connection_.open_now()) co_return;
  const std::string sql = fmt::format("rollback to savepoint s{0}; release savepoint s{0}", number);
  try {
    co_await async::timeout(kUndoing, undo(connection_, sql));
  } catch (const Error&) {
    // the transaction as a whole is lost; its next statement says so
  }
}

Task<void> Tx::lock(std::int64_t key) { co_await exec(advisory_lock, key); }
Task<bool> Tx::try_lock(std::int64_t key) { co_return co_await one(try_advisory_lock, key); }
Task<void> Tx::lock(std::string name) { co_await exec(named_lock, name); }
Task<bool> Tx::try_lock(std::string name) { co_return co_await one(try_named_lock, name); }

Task<void> Tx::run_hooks(std::vector<std::function<Task<void>()>> hooks) {
  for (auto& hook : hooks) {
    try {
      co_await async::shield(async::timeout(kLongestHook, hook()));
    } catch (...) {
      logger.error("a hook after a commit failed; the transaction is committed",
                   {{"error", explain(std::current_exception())}});
      metrics::default_registry()
          .counter(
              {.name = "pg.transaction.hooks_failed", .help = "Hooks after a commit that failed.", .unit = "{hook}"})
          .add();
    }
  }
}

}  // namespace ashlar::pg
