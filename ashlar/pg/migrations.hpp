// Migrations: the schema's history as SQL files, applied in order, once, by one runner at a time.
//
//   migrations/0001_users.sql            up; may end with a section after the line `-- migrate:down`
//   migrations/0002_articles.sql
//   migrations/0002_articles.down.sql    or the way back in a file of its own
//
// Each runs in a transaction of its own, unless its first line is `-- migrate:no-transaction` (for `create index
// concurrently`): then statement by statement. What was applied is recorded in the table ashlar_migrations with the
// SHA-256 of the file's up part.
//
// A statement that waits for a lock makes everybody wait who comes after it. So a migration waits a short time only, is
// rolled back, lets the others go first, and is tried again.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>

namespace ashlar::pg {

struct Migration {
  std::uint64_t version = 0;
  std::string name;  ///< "articles" of 0002_articles.sql
  std::filesystem::path file;
  std::string up;
  std::optional<std::string> down;
  std::string checksum;  ///< SHA-256 of `up` without trailing white space, in hex
  bool transactional = true;
  std::uint32_t down_line = 1;  ///< where `down` begins in its file
};

struct AppliedMigration {
  std::uint64_t version = 0;
  std::string name;
  std::string checksum;
  std::string applied_at;
};

enum class MigrationState : std::uint8_t { applied, pending, changed, missing };
struct MigrationStatus {
  std::uint64_t version = 0;
  std::string name;
  MigrationState state = MigrationState::pending;
  std::string applied_at;
};
[[nodiscard]] std::string_view to_string(MigrationState state) noexcept;

/// The files of a folder in order. Throws Invalid: no such folder, a name that is not number_words.sql, a number twice.
[[nodiscard]] std::vector<Migration> load_migrations(const std::filesystem::path& folder);

/// Compares files with what the database has recorded.
[[nodiscard]] std::vector<MigrationStatus> compare_migrations(const std::vector<Migration>& files,
                                                              const std::vector<AppliedMigration>& applied);

struct MigratorOptions {
  /// How long a migration waits for a lock that others hold before it steps back; zero: for ever. `… concurrently`
  /// holds nobody up and waits as long as it must.
  std::chrono::milliseconds lock_timeout = std::chrono::seconds{2};
  /// For how long it is tried again, with growing pauses.
  std::chrono::milliseconds retry_for = std::chrono::minutes{2};
  /// Log what is applied.
  bool announce = true;
};

class Migrator {
 public:
  /// The connection must live longer; nobody else uses it meanwhile.
  Migrator(detail::Connection& connection, std::vector<Migration> files, MigratorOptions options = {})
      : connection_(connection), files_(std::move(files)), options_(options) {}

  /// Applies what is pending, up to and with version `target` if given. Waits for another runner. Gives what it
  /// applied. Throws Invalid when an applied file was changed or is missing, or a pending one is older than an applied
  /// one; the server's error with file and line when one fails (it is rolled back, those before it stay).
  Task<std::vector<std::string>> up(std::optional<std::uint64_t> target = {});
  /// Takes the newest `count` back.
  Task<std::vector<std::string>> down(unsigned count = 1);
  /// For a database that was made without migrations: records those up to and with `version` as applied, and runs none.
  /// Gives their names. Throws Invalid when some are recorded already, or no file has this number.
  Task<std::vector<std::string>> baseline(std::uint64_t version);
  Task<std::vector<MigrationStatus>> status();
  /// What up() would run, without running it.
  Task<std::vector<const Migration*>> pending();

 private:
  /// SQL of a migration, and the statement that records that it ran.
  struct Part {
    const Migration& migration;
    std::string sql;
    std::string record;
    std::uint32_t first_line = 1;
  };
  Task<void> lock();
  Task<void> unlock();
  template <class F>
  Task<std::vector<std::string>> alone(F work);
  Task<void> make_table();
  Task<std::vector<AppliedMigration>> applied();
  Task<std::vector<std::string>> up_locked(std::optional<std::uint64_t> target);
  Task<std::vector<std::string>> down_locked(unsigned count);
  Task<std::vector<std::string>> baseline_locked(std::uint64_t version);
  Task<void> run(Part part);
  Task<void> run_in_transaction(Part part);
  Task<void> run_statements(Part part);
  Task<void> remove_invalid_index(std::string name);
  /// Tries until it succeeds or fails for another reason than a lock. `sql` and its line are for the message.
  template <class F>
  Task<void> with_patience(Part part, std::string sql, std::uint32_t first_line, F attempt);
  Task<std::string> long_transactions();
  static void refuse_drift(const std::vector<MigrationStatus>& status);

  detail::Connection& connection_;
  std::vector<Migration> files_;
  MigratorOptions options_;
};

}  // namespace ashlar::pg
