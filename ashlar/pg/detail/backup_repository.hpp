// The folder that backups are kept in: what is in it, who works in it, and what may go.
//
//   backup.json               which server it belongs to, and the tool
//   archive-wal, restore-wal  what PostgreSQL runs
//   wal/                      the log: NAME.gz; by pg_receivewal NAME and NAME.partial
//   full/ID/                  a backup: base.tar.gz, pg_wal.tar.gz, backup_manifest, backup.json; beginning with a
//                             dot: not whole, or on its way out
//   pgbackrest/               both, when pgBackRest makes them
//   drill.json                the last drill
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/detail/process.hpp>

namespace ashlar::pg::detail {

/// What must be known when the server is gone.
struct BackupIdentity {
  std::string system_identifier;
  BackupTool tool = BackupTool::plain;
  std::string superuser;  ///< a role that may do everything in a restored cluster
  std::string database;   ///< of the program
  int server_version = 0;
  std::int64_t segment_bytes = 16 << 20;
};

/// A piece of the log by its name: 24 hexadecimal digits.
struct LogPiece {
  std::uint32_t timeline = 0;
  std::uint64_t number = 0;
  std::string name;
  bool partial = false;
  auto operator<=>(const LogPiece&) const = default;
};

[[nodiscard]] std::optional<LogPiece> parse_log_name(std::string_view name, std::int64_t segment_bytes);
[[nodiscard]] std::string log_name(std::uint32_t timeline, std::uint64_t number, std::int64_t segment_bytes);
/// "0/3000148"; nullopt: it is none.
[[nodiscard]] std::optional<std::uint64_t> parse_lsn(std::string_view text);
/// By where they begin in the log, for clocks step: a backup that is new must not be taken for the oldest, and removed.
[[nodiscard]] bool is_older(const Backup& a, const Backup& b);

/// Held by whoever changes the folder (alone) or reads out of it (with others, also where nothing may be written), in
/// any process.
class FolderLock {
 public:
  enum class Mode : std::uint8_t { alone, shared };
  /// Throws Conflict at once when it is taken, Invalid when the folder cannot be used in this way.
  FolderLock(const std::filesystem::path& folder, Mode mode, const std::optional<User>& user);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

class BackupRepository {
 public:
  explicit BackupRepository(const std::filesystem::path& folder);

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
  [[nodiscard]] std::filesystem::path log() const { return folder_ / "wal"; }
  [[nodiscard]] std::filesystem::path of(const Backup& backup) const { return folder_ / "full" / backup.id; }
  [[nodiscard]] const std::optional<User>& user() const noexcept { return user_; }
  /// nullopt: nothing has been set up here.
  [[nodiscard]] std::optional<BackupIdentity> find_identity() const;
  /// Throws NotFound that says what to do.
  [[nodiscard]] BackupIdentity identity() const;
  [[nodiscard]] BackupTool tool() const;
  /// Makes the folders and scripts. The path must be one that a shell takes as it is: Invalid.
  void create(const BackupIdentity& identity) const;
  /// Whether the user that programs run as may. False on what is mounted for reading only.
  [[nodiscard]] bool may_write(const std::filesystem::path& path) const;
  /// For PostgreSQL's settings.
  [[nodiscard]] std::string archive_command() const;
  /// For a cluster that is restored into `data`.
  [[nodiscard]] std::string restore_command(const std::filesystem::path& data) const;

  /// Oldest first. Throws Internal when pgBackRest cannot read them, as with a wrong key.
  [[nodiscard]] std::vector<Backup> backups() const;
  /// By timeline and number; a piece that is there in two forms once.
  [[nodiscard]] std::vector<LogPiece> pieces(std::int64_t segment_bytes) const;
  /// Whether the history of a timeline is kept: "00000002.history".
  [[nodiscard]] bool has_history(std::string_view name) const;
  /// The first that is missing since the backup's beginning though later ones of its timeline are there, or "".
  [[nodiscard]] std::string first_gap(const Backup& backup, std::int64_t segment_bytes) const;
  /// Whether the log has come up to the backup's end: from there on, it can be restored to later moments.
  [[nodiscard]] bool has_end_of(const Backup& backup, std::int64_t segment_bytes) const;
  /// What differs from what was written: files of the backup by their SHA-256, pieces of the log by gzip's own sum, or
  /// as damage_within() finds it.
  [[nodiscard]] std::vector<std::string> damage_of(const Backup& backup) const;
  [[nodiscard]] std::vector<std::string> damaged_log(std::int64_t segment_bytes) const;
  /// Where a piece that is not compressed cannot be read, though there is more behind it, or "": damage_of_piece().
  [[nodiscard]] std::string damage_within(const LogPiece& piece, std::int64_t segment_bytes) const;
  /// Removes what was begun and never finished; the caller holds the lock alone.
  void remove_remains() const;
  /// Backups beyond the newest `keep`, and log before the oldest that stays. Gives ids.
  [[nodiscard]] std::vector<std::string> expire(unsigned keep, std::int64_t segment_bytes) const;

  [[nodiscard]] std::optional<DrillReport> last_drill() const;
  /// Throws Internal when it cannot be written.
  void keep_drill(const DrillReport& report) const;

 private:
  std::filesystem::path folder_;
  std::optional<User> user_;
};

}  // namespace ashlar::pg::detail
