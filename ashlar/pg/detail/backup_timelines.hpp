// Timelines of the log: each server that is promoted or restored begins one, and a history says where it left the one
// before. https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/backup.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>

namespace ashlar::pg::detail {

struct Timeline {
  std::uint32_t id = 0;
  std::uint64_t begins = 0;  ///< LSN where it left the one before
  friend bool operator==(const Timeline&, const Timeline&) = default;
};

/// The timelines that lead to this one, the oldest first, and itself, by the text of its history. nullopt: it is none.
[[nodiscard]] std::optional<std::vector<Timeline>> parse_history(std::uint32_t timeline, std::string_view text);

/// The first piece that is missing on the way, though later ones of its last timeline are there, or "".
[[nodiscard]] std::string first_gap(const std::vector<LogPiece>& pieces, std::span<const Timeline> way,
                                    std::uint64_t first_lsn, std::int64_t segment_bytes);

/// The log that is replayed on top of a backup.
struct Course {
  std::string timeline;         ///< for PostgreSQL; empty: that of the backup
  std::string gap;              ///< a piece that is missing on it, or ""
  std::string last;             ///< the last whole piece, or ""
  std::optional<LogPiece> end;  ///< the last piece of all since the backup began
};
/// `wanted` as RestoreOptions::timeline has it. "latest" is the newest whose log is here and that the backup leads to:
/// not that of a copy which somebody restored to look at, and which archives nothing. `data`: a folder for a moment; of
/// pgBackRest, the cluster. Blocks. Throws Invalid and NotFound.
[[nodiscard]] Course course_of(const BackupRepository& repository, const Backup& backup, std::string_view wanted,
                               std::int64_t segment_bytes, const std::filesystem::path& data);

/// Throws Invalid unless it is empty, "latest" or a number.
void check_timeline(std::string_view wanted);

}  // namespace ashlar::pg::detail
