// What can be said of backups without making or restoring one.
#pragma once

#include <optional>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>
#include <ashlar/pg/detail/backup_server.hpp>

namespace ashlar::pg::detail {

/// Blocks. `server`: nullopt: it could not be asked. Never throws for what it finds; throws Internal when the folder
/// cannot be read.
[[nodiscard]] BackupHealth health_of(const BackupRepository& repository, const BackupSettings& settings,
                                     const std::optional<ServerFacts>& server, bool verify);

}  // namespace ashlar::pg::detail
