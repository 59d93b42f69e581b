// Sandbox: one session of a database, in a transaction that is never committed. What a Db has done in it is undone in
// less than a millisecond. For tests (testing::Sandbox), and for trying something on real data.
#pragma once

#include <memory>
#include <string>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::pg {

/// `pg::Sandbox sandbox{url}; pg::Db db{sandbox.options()};` Each statement of the Db, and each transaction, runs
/// behind a savepoint of the one session, one after the other: one that fails leaves what was before it.
/// Db::transaction, savepoints, retries, hooks after a commit, streams and COPY work as always; deferred constraints
/// are checked where the commit would be.
///
/// What is different: the transaction around is serializable, whatever is asked for inside, and sees what was committed
/// before its first statement; now() stands still; sequences are not wound back; notifications are not sent; nobody
/// else sees the rows, neither psql nor what has a session of its own (Db::listen, commands, migrations, AdvisoryLock,
/// which is refused). A transaction that waits for a query of the Db, not of its Tx, waits in vain (PoolExhausted).
///
/// For one Db at a time, on one loop. Not thread-safe.
class Sandbox {
 public:
  explicit Sandbox(std::string url) : url_(std::move(url)) {}
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// For the Db: no migrations, no check of the queries, no statistics. Add others, except migrations.
  [[nodiscard]] Options options();
  /// Undoes all that was done since the last time, and begins again. Blocks for three round trips. False: it
  /// could not, because the session was lost, or something was committed behind its back, and is in the database now.
  /// Throws Internal while a Db works in it.
  [[nodiscard]] bool undo();
  /// The same after VACUUM of all tables: rows that were undone are still on their pages.
  [[nodiscard]] bool undo_and_vacuum();

 private:
  friend class Pool;
  Task<std::unique_ptr<detail::Connection>> enter(Pool& pool, std::shared_ptr<const detail::ConnectionConfig> config,
                                                  detail::Background& background);
  Task<void> leave(std::unique_ptr<detail::Connection> connection);
  void lost() noexcept;
  void committed();
  Task<void> begin_again(bool vacuum);
  bool undo(bool vacuum);

  std::string url_;
  std::unique_ptr<detail::Connection> connection_;  // while no Db has it
  bool used_ = false;
  bool spoiled_ = false;
};

namespace detail {
inline constexpr std::string_view kSandboxSavepoint = "savepoint ashlar_sandbox",
                                  kSandboxRelease = "release savepoint ashlar_sandbox",
                                  kSandboxRollback = "rollback to savepoint ashlar_sandbox",
                                  kSandboxCheck =
                                      "savepoint ashlar_commit; set constraints all immediate; rollback to "
                                      "savepoint ashlar_commit; release savepoint ashlar_commit";
}

}  // namespace ashlar::pg
