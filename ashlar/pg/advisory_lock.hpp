// AdvisoryLock: a lock with a name that all programs on one database share, held until it is let go or the connection
// ends: one worker of many does the nightly run. For the length of a transaction, Tx::lock costs less.
//
//   if (const auto lock = co_await pg::AdvisoryLock::try_acquire(db, "nightly")) { … }
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/pool.hpp>

namespace ashlar::pg {

class Db;

/// Takes an exclusive connection of this loop for as long as it lives; belongs to the loop. In SQL its key is
/// `hashtextextended(name, 0)`. Not through a pooler of transactions (pgbouncer): sessions are shared there.
class [[nodiscard]] AdvisoryLock {
 public:
  /// Waits as long as the deadline allows, beyond the server's statement_timeout. Throws PoolExhausted, ConnectionLost,
  /// Cancelled, DeadlineExceeded.
  [[nodiscard]] static Task<AdvisoryLock> acquire(Db& db, std::string name);
  /// Empty when somebody else holds it, be it this program.
  [[nodiscard]] static Task<std::optional<AdvisoryLock>> try_acquire(Db& db, std::string name);

  AdvisoryLock(AdvisoryLock&& other) noexcept = default;
  AdvisoryLock& operator=(AdvisoryLock&& other) noexcept = default;
  /// Closes the connection, which lets go of the lock; release() keeps the connection for others.
  ~AdvisoryLock();

  /// False once the connection has ended: the server has given the lock to the next one. Look before each step that
  /// must not be done twice; a fencing value in the data is the only proof.
  [[nodiscard]] bool held() const noexcept;
  /// Lets go of it; the connection goes back to the pool. Also when it is held no more.
  [[nodiscard]] Task<void> release();
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  AdvisoryLock(Lease lease, std::string name) noexcept : lease_(std::move(lease)), name_(std::move(name)) {}

  Lease lease_;
  std::string name_;
};

}  // namespace ashlar::pg
