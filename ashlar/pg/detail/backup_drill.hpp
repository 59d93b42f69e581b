// A restore for practice, with what came out of it.
#pragma once

#include <optional>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>
#include <ashlar/pg/detail/backup_server.hpp>

namespace ashlar::pg::detail {

/// `server`: as it was when the drill began; nullopt: it could not be asked. `check_queries`: those of the program.
/// Blocks; runs a loop of its own on this thread. Throws what keeps a drill from beginning.
[[nodiscard]] DrillReport run_drill(const BackupRepository& repository, const DrillOptions& options,
                                    const std::optional<ServerFacts>& server, bool check_queries, DateTime began);

}  // namespace ashlar::pg::detail
