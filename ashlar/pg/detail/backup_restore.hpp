// From a backup to a folder that a server can be started on.
#pragma once

#include <filesystem>
#include <memory>

#include <ashlar/base/time.hpp>
#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/detail/backup_recovery.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>

namespace ashlar::pg::detail {

/// A server that has replayed up to the target and answers queries.
struct Recovered {
  Restored report;
  DateTime backup_finished = {};
  std::unique_ptr<ScratchServer> server;
};

/// Into an empty folder, and one that is not there yet for tablespaces; both are the caller's to remove. Archives
/// nothing, from the first moment on. Blocks. The lock is the caller's.
[[nodiscard]] Recovered recover_into(const BackupRepository& repository, const RestoreOptions& options,
                                     const std::filesystem::path& tablespaces, bool durable);

/// Backups::restore; blocks.
[[nodiscard]] Restored restore_into(const BackupRepository& repository, const RestoreOptions& options);

/// Throws Unavailable when there is no room for that many bytes.
void must_have_room(const std::filesystem::path& folder, std::int64_t bytes);

}  // namespace ashlar::pg::detail
