#include <ashlar/pg/sandbox.hpp>

#include <chrono>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/pool.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

using detail::Connection;
using detail::Execution;

const log::Logger logger{"pg.sandbox"};

// Serializable: whatever level is asked for inside, this gives no less, since nobody else is in the transaction.
constexpr std::string_view kBegin = "begin isolation level serializable";
constexpr std::chrono::seconds kLongestAnswer{5};

constexpr std::string_view kDeferrable = "select 1 from pg_constraint where condeferrable limit 1";
constexpr std::string_view kTables =
    "select string_agg(oid::regclass::text, ', ') from pg_class where oid >= 16384 and relkind in ('r', 'm')";

Task<void> run(Connection& connection, std::string_view sql) { co_await Execution(connection, sql); }

}  // namespace

Sandbox::~Sandbox() = default;

Options Sandbox::options() {
  return {.url = url_, .check_queries = false, .statistics_interval = std::chrono::milliseconds{0}, .sandbox = this};
}

Task<std::unique_ptr<Connection>> Sandbox::enter(Pool& pool, std::shared_ptr<const detail::ConnectionConfig> config,
                                                 detail::Background& background) {
  if (used_) throw Internal("a Sandbox has one session: it is for one Db at a time, on one loop (--threads 1)");
  if (spoiled_) throw ConnectionLost("the session of the sandbox was lost, and with it what was done in it", false);
  if (connection_ != nullptr) {
    connection_->attach(pool.loop(), background, &pool);
    used_ = true;
    co_return std::move(connection_);
  }
  auto connection = std::make_unique<Connection>(pool.loop(), std::move(config), background, &pool);
  connection->set_sandboxed();
  co_await connection->open();
  if (!(co_await detail::TextQuery(*connection, kDeferrable)).empty()) connection->set_checks_deferred();
  co_await run(*connection, kBegin);
  used_ = true;
  co_return connection;
}

// The answer to the empty query comes after those to all that went before.
Task<void> Sandbox::leave(std::unique_ptr<Connection> connection) {
  try {
    co_await async::shield(async::timeout(kLongestAnswer, run(*connection, "")));
    connection->detach();
    connection_ = std::move(connection);
    used_ = false;
  } catch (const Error&) {
    lost();
  }
}

void Sandbox::lost() noexcept {
  used_ = false;
  spoiled_ = true;
}

void Sandbox::committed() {
  if (!std::exchange(spoiled_, true))
    logger.error("a statement has ended the transaction of the sandbox: what it did stays in the database");
}

// A BEGIN behind other statements of the same message would not set the isolation level.
Task<void> Sandbox::begin_again(bool vacuum) {
  co_await run(*connection_, "rollback");
  co_await run(*connection_, "select pg_advisory_unlock_all()");
  if (vacuum) {
    const auto rows = co_await detail::TextQuery(*connection_, kTables);
    if (rows[0][0]) {
      const std::string sql = "vacuum " + *rows[0][0];
      co_await run(*connection_, sql);
    }
  }
  co_await run(*connection_, kBegin);
}

bool Sandbox::undo() { return undo(false); }
bool Sandbox::undo_and_vacuum() { return undo(true); }

bool Sandbox::undo(bool vacuum) {
  if (used_) throw Internal("a Db still works in the sandbox: stop it before");
  if (spoiled_) return false;
  if (connection_ == nullptr) return true;  // nobody has been in it
  const auto again = [](Sandbox& self, bool with_vacuum) -> Task<void> {
    detail::Background background;
    self.connection_->attach(async::Loop::current(), background, nullptr);
    std::exception_ptr error;
    try {
      co_await async::timeout(std::chrono::minutes{1}, self.begin_again(with_vacuum));
    } catch (...) {
      error = std::current_exception();
    }
    self.connection_->detach();
    co_await background.stop();
    if (error) std::rethrow_exception(error);
  };
  try {
    async::run(again(*this, vacuum));
  } catch (const Error& error) {
    logger.debug("a sandbox cannot be used again", {{"reason", error.message()}});
    connection_.reset();
    spoiled_ = true;
  }
  return !spoiled_;
}

}  // namespace ashlar::pg
