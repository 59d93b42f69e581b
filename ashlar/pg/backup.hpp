// Backups: copies of the whole server and of its write-ahead log, out of which any moment since the oldest copy can be
// restored, and the drill that proves it.
//
//   ./service backup setup        once; then restart the server
//   ./service backup              every night
//   ./service backup check        what an alert asks
//   ./service restore-drill       every week: restores, verifies, measures RPO and RTO
//   ./service restore --to "2026-03-01T02:59:59+01:00" --into /srv/restored
//
// Two tools make them: pgBackRest, where it is installed and the server's files are on this machine (incremental,
// encrypted, with tablespaces), and PostgreSQL's own pg_basebackup with a folder of compressed log everywhere else.
// https://www.postgresql.org/docs/current/continuous-archiving.html
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>

namespace ashlar::pg {

class Db;

enum class BackupTool : std::uint8_t { plain, pgbackrest };
enum class BackupKind : std::uint8_t { full, incremental };

/// From the environment: ASHLAR_BACKUP_DIR, ASHLAR_BACKUP_KEEP, … (ASHLAR_BACKUP_PASSPHRASE_FILE names a
/// file that holds the passphrase).
struct BackupSettings {
  /// Where backups are kept. None: ASHLAR_DATA_DIR/backups, or .ashlar/backups. Another disk is better.
  std::optional<std::string> dir = {};
  /// Full backups that are kept, with the log from the oldest of them on.
  unsigned keep = 7;
  /// `check` finds fault with a newest backup older than this,
  Duration max_age = std::chrono::hours{26};
  /// and with log that has waited longer than this for being archived.
  Duration max_log_age = std::chrono::minutes{15};
  /// and, when it is set, with a last drill older than this.
  std::optional<Duration> max_drill_age = {};
  /// Encrypts what pgBackRest keeps: the key, read by `backup setup`, is in the file DIR.pgbackrest.conf afterwards.
  /// Without that file nobody can read the backups.
  std::optional<Secret<>> passphrase = {};

  /// Throws ValidationError with every variable that is wrong.
  [[nodiscard]] static BackupSettings from_environment();
};

struct BackupFile {
  std::string name;
  std::int64_t bytes = 0;
  std::string sha256;
};

struct Backup {
  std::string id;
  BackupKind kind = BackupKind::full;
  DateTime started = {};
  DateTime finished = {};
  std::int64_t stored_bytes = 0;
  std::int64_t data_bytes = 0;  ///< of the databases, as they were
  int server_version = 0;       ///< 150004
  std::uint32_t timeline = 0;
  std::string first_lsn;
  std::string last_lsn;  ///< from here on it can be restored to any moment
  /// Transactions from this one on are not in the backup itself; 0: not known.
  std::uint64_t next_transaction = 0;
  std::vector<BackupFile> files = {};
};

struct RestoreTarget {
  enum class Kind : std::uint8_t { latest, time, lsn, transaction };
  Kind kind = Kind::latest;
  std::string value = {};  ///< as PostgreSQL reads it
  DateTime time = {};      ///< of Kind::time

  /// "latest"; a time with its offset; an LSN, "0/3000148"; the number of a transaction, "xid:1234". Throws Invalid.
  [[nodiscard]] static RestoreTarget parse(std::string_view text);
};

struct RestoreOptions {
  RestoreTarget to = {};
  /// Made, or empty. Holds a stopped cluster afterwards.
  std::filesystem::path into;
  /// What is in `into` is put aside, under a name with the time in it. Never while a server runs on it.
  bool replace = false;
  /// Empty: the newest that ends before the target.
  std::string backup = {};
  /// Of a server that was promoted since the backup: "latest", or a number. Empty: that of the backup.
  std::string timeline = {};
};

struct Restored {
  std::string backup;
  std::string folder;
  std::string put_aside;  ///< where what was in the folder is now
  std::string reached_lsn;
  std::optional<DateTime> last_transaction_at;  ///< of the log that was replayed; none: the backup itself was newer
  std::uint64_t next_transaction = 0;
  std::uint32_t timeline = 0;
  double fetch_seconds = 0;                ///< to take it out of the backup, and verify it
  double recovery_seconds = 0;             ///< to start and replay the log, until queries are answered
  std::string log_file = {};               ///< of the server that replayed
  std::vector<std::string> problems = {};  ///< it is whole, but …
};

struct DrillOptions {
  /// Where the scratch cluster is made, and removed at the end. Empty: in the folder of the backups, if that can be
  /// written.
  std::filesystem::path scratch = {};
  /// Leaves out what reads all data: amcheck, checksums, counting rows.
  bool quick = false;
};

struct DrillStep {
  std::string name;
  bool passed = false;
  bool skipped = false;
  double seconds = 0;
  std::string detail;
};

struct DrillReport {
  DateTime began = {};
  bool passed = false;
  std::string backup;
  /// What a loss of the server at `began` would have lost: the age of the newest transaction that was restored, or 0
  /// when none is missing. None: the server could not be asked.
  std::optional<double> rpo_seconds;
  std::optional<std::int64_t> lost_transactions;  ///< transactions that wrote, and those that failed
  std::optional<std::int64_t> lost_log_bytes;
  /// From the beginning until the restored server answered queries.
  double rto_seconds = 0;
  std::string reached_lsn;
  std::optional<DateTime> last_transaction_at;
  std::int64_t tables = 0;
  std::int64_t rows = 0;
  std::vector<DrillStep> steps;
};

struct BackupHealth {
  std::string tool;
  std::optional<double> backup_age_seconds;
  std::string newest_backup;
  std::size_t backups = 0;
  std::optional<double> log_age_seconds;  ///< since a piece of log was archived last
  std::string newest_log;
  std::int64_t archive_failures = 0;  ///< since the server's statistics were reset
  std::optional<double> drill_age_seconds;
  std::optional<bool> drill_passed;
  std::vector<std::string> problems;  ///< each says what to do
};

/// One object may be used by one task at a time. What others do at once, in this process or another, is kept apart by
/// a lock on the folder: Conflict when it is taken.
class Backups {
 public:
  /// `db` is used to ask the server and need not be started; restore() and list() do without it.
  explicit Backups(Db& db, BackupSettings settings = BackupSettings::from_environment());

  /// Makes the folder, and has the server archive its log there (`alter system`, which wants a superuser). Gives what
  /// is left to do, a sentence each. `tool`: nullopt for pgBackRest where it can be used, else plain. Throws Conflict
  /// when the folder is another server's.
  [[nodiscard]] Task<std::vector<std::string>> set_up(std::optional<BackupTool> tool = {});

  struct Made {
    Backup backup;
    std::vector<std::string> expired;   ///< ids
    std::vector<std::string> problems;  ///< the backup is whole, but …
  };
  /// A backup, and then what expire() does. One that is interrupted or fails leaves nothing that looks like one.
  [[nodiscard]] Task<Made> make(BackupKind kind = BackupKind::full);
  /// Oldest first. Those that are whole; `verify()` says whether their bytes still are.
  [[nodiscard]] Task<std::vector<Backup>> list();
  /// Looks at everything without changing anything; `verify`: reads every byte that is kept.
  [[nodiscard]] Task<BackupHealth> check(bool verify = false);
  /// Removes backups beyond BackupSettings::keep, and log that no backup needs. Gives their ids.
  [[nodiscard]] Task<std::vector<std::string>> expire();
  /// Archives the log of a server elsewhere, over the replication protocol, by a pg_receivewal that ends with this
  /// process and not before; a server that goes away is waited for. The slot `ashlar_backup` makes the server keep what
  /// has not been received. Not cancellable. Throws Internal when pg_receivewal gives up.
  [[nodiscard]] Task<void> receive();
  /// Takes a backup out into a folder, replays log up to the target, and stops. Archives nothing. Throws NotFound when
  /// there is no such backup, Conflict when the folder is not free, Internal with the name of what is damaged or
  /// missing; then what is in the folder is no cluster, and is removed.
  [[nodiscard]] Task<Restored> restore(RestoreOptions options);
  /// Restores the newest backup and all log into a scratch cluster on a socket of its own, verifies it and removes it.
  /// What is wrong is in the report; the report is kept in the folder, or a step that was left out says why not.
  [[nodiscard]] Task<DrillReport> drill(DrillOptions options = {});

  [[nodiscard]] const BackupSettings& settings() const noexcept { return settings_; }
  [[nodiscard]] std::filesystem::path folder() const;

 private:
  Db& db_;
  BackupSettings settings_;
};

}  // namespace ashlar::pg
