// Backups by pg_basebackup: tar, gzip, and PostgreSQL's own manifest.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>

namespace ashlar::pg::detail {

/// A backup that has no name yet: removed with everything in it unless it is finished.
class UnfinishedBackup {
 public:
  /// Runs pg_basebackup; blocks. Throws Internal with what it said.
  UnfinishedBackup(const BackupRepository& repository, const ConnectOptions& server,
                   const std::filesystem::path& programs, Backup backup);
  ~UnfinishedBackup();
  UnfinishedBackup(const UnfinishedBackup&) = delete;
  UnfinishedBackup& operator=(const UnfinishedBackup&) = delete;
  /// Gives it its name, once all of it is on the disk; blocks.
  Backup finish(std::uint64_t next_transaction);

 private:
  const BackupRepository& repository_;
  Backup backup_;
  std::filesystem::path folder_;
  bool finished_ = false;
};

/// Takes a backup out into an empty folder, and compares it with both of its lists: ours and PostgreSQL's manifest.
/// Blocks. Throws Internal with the name of what is damaged.
void fetch_plain(const BackupRepository& repository, const Backup& backup, const std::filesystem::path& programs,
                 const std::filesystem::path& into);

}  // namespace ashlar::pg::detail
