#include <ashlar/pg/advisory_lock.hpp>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/executor.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {
namespace {

inline const Query<void(std::string)> session_lock{"select pg_advisory_lock(hashtextextended($1, 0))",
                                                   {.name = "ashlar.session_lock"}};
inline const Query<bool(std::string)> try_session_lock{"select pg_try_advisory_lock(hashtextextended($1, 0))",
                                                       {.name = "ashlar.try_session_lock"}};
inline const Query<bool(std::string)> session_unlock{"select pg_advisory_unlock(hashtextextended($1, 0))",
                                                     {.name = "ashlar.session_unlock"}};

Params encoded(const std::string& name) {
  Params params;
  encode_value(params, name);
  return params;
}

Task<bool> run(detail::Connection& connection, const Query<bool(std::string)>& query, const std::string& name) {
  detail::OneSink<bool> sink;
  const std::uint64_t affected = co_await detail::Execution(connection, query, encoded(name), &sink);
  co_return sink.finish(query, affected);
}

// It lives as long as its session.
void check_sessions(const Db& db) {
  if (db.options().sandbox != nullptr)
    throw Internal("an AdvisoryLock needs a session of its own, and a Sandbox has only one: use a testing::Database");
}

}  // namespace

Task<AdvisoryLock> AdvisoryLock::acquire(Db& db, std::string name) {
  check_sessions(db);
  Lease lease = co_await db.pool().acquire();
  detail::Connection& connection = lease.connection();
  co_await detail::Execution(connection, "set statement_timeout = 0");
  AdvisoryLock lock(std::move(lease), std::move(name));  // from here on, an exception closes the connection
  co_await detail::Execution(connection, session_lock, encoded(lock.name_), nullptr);
  co_await detail::Execution(connection, "reset statement_timeout");
  co_return lock;
}

Task<std::optional<AdvisoryLock>> AdvisoryLock::try_acquire(Db& db, std::string name) {
  check_sessions(db);
  Lease lease = co_await db.pool().acquire();
  detail::Connection& connection = lease.connection();
  AdvisoryLock lock(std::move(lease), std::move(name));
  if (co_await run(connection, try_session_lock, lock.name_)) co_return std::move(lock);
  Lease unused = std::move(lock.lease_);  // goes back to the pool
  co_return std::nullopt;
}

AdvisoryLock::~AdvisoryLock() {
  if (lease_) lease_.connection().close("its advisory lock was let go");
}

bool AdvisoryLock::held() const noexcept { return lease_ && lease_.connection().open_now(); }

Task<void> AdvisoryLock::release() {
  if (held()) co_await async::shield(run(lease_.connection(), session_unlock, name_));
  Lease unused = std::move(lease_);
}

}  // namespace ashlar::pg
