#include <ashlar/pg/detail/backup_timelines.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <iterator>
#include <set>
#include <sstream>
#include <system_error>
#include <tuple>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_pgbackrest.hpp>
#include <ashlar/pg/detail/backup_program.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

std::string history_name(std::uint32_t timeline) { return fmt::format("{:08X}.history", timeline); }

/// nullopt: the repository has none.
std::optional<std::vector<Timeline>> history_of(const BackupRepository& repository, std::uint32_t timeline,
                                                const fs::path& data) {
  const std::string name = history_name(timeline);
  if (!repository.has_history(name)) return std::nullopt;
  const fs::path file = data / ("." + name);
  if (repository.tool() == BackupTool::pgbackrest) {
    PgBackRest(repository).fetch_history(data, name, file);
  } else {
    must_run({{"/bin/sh", (repository.folder() / "restore-wal").string(), name, file.string()}, {}, repository.user()},
             fmt::format("{} cannot be read", name));
  }
  const std::string text = read_text(file);
  std::error_code ignored;
  fs::remove(file, ignored);
  auto history = parse_history(timeline, text);
  if (!history) throw Internal(fmt::format("{} in {} is damaged", name, repository.folder().string()));
  return history;
}

/// From the timeline of the backup on; empty: it leads elsewhere.
std::vector<Timeline> way_from(const Backup& backup, const std::vector<Timeline>& history) {
  const auto from = std::ranges::find(history, backup.timeline, &Timeline::id);
  if (from == history.end()) return {};
  const auto next = std::next(from);
  if (next != history.end() && next->begins < parse_lsn(backup.last_lsn).value_or(0)) return {};
  return {from, history.end()};
}

}  // namespace

std::optional<std::vector<Timeline>> parse_history(std::uint32_t timeline, std::string_view text) {
  std::vector<Timeline> out;
  std::uint64_t begins = 0;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    line.resize(std::min(line.size(), line.find('#')));
    std::istringstream words(line);
    std::string id, lsn;
    if (!(words >> id)) continue;
    words >> lsn;
    const auto number = number_of(id);
    const auto left_at = parse_lsn(lsn);
    if (!number || !left_at || *number >= timeline || (!out.empty() && *number <= out.back().id)) return std::nullopt;
    out.push_back({*number, begins});
    begins = *left_at;
  }
  if (out.empty()) return std::nullopt;
  out.push_back({timeline, begins});
  return out;
}

std::string first_gap(const std::vector<LogPiece>& pieces, std::span<const Timeline> way, std::uint64_t first_lsn,
                      std::int64_t segment_bytes) {
  const auto number_at = [&](std::uint64_t lsn) { return lsn / static_cast<std::uint64_t>(segment_bytes); };
  std::set<std::pair<std::uint32_t, std::uint64_t>> there;
  std::uint64_t end = number_at(way.back().begins);
  for (const LogPiece& piece : pieces) {
    there.emplace(piece.timeline, piece.number);
    if (piece.timeline == way.back().id) end = std::max(end, piece.number + 1);
  }
  std::size_t at = 0;
  for (std::uint64_t number = number_at(first_lsn); number < end; ++number) {
    while (at + 1 < way.size() && number_at(way[at + 1].begins) <= number) ++at;
    if (!there.contains({way[at].id, number})) return log_name(way[at].id, number, segment_bytes);
  }
  return {};
}

void check_timeline(std::string_view wanted) {
  if (!wanted.empty() && wanted != "latest" && !number_of(wanted))
    throw Invalid(fmt::format("`{}` is no timeline: `latest`, or its number", wanted));
}

Course course_of(const BackupRepository& repository, const Backup& backup, std::string_view wanted,
                 std::int64_t segment_bytes, const fs::path& data) {
  const auto pieces = repository.pieces(segment_bytes);
  std::vector<Timeline> way{{backup.timeline, 0}};
  if (wanted == "latest") {
    std::set<std::uint32_t, std::greater<>> newer;
    for (const LogPiece& piece : pieces) {
      if (piece.timeline > backup.timeline) newer.insert(piece.timeline);
    }
    for (const std::uint32_t timeline : newer) {
      const auto history = history_of(repository, timeline, data);
      if (!history) continue;
      auto found = way_from(backup, *history);
      if (found.empty()) continue;
      way = std::move(found);
      break;
    }
  } else if (const auto number = number_of(wanted); number && *number != backup.timeline) {
    const auto history = history_of(repository, *number, data);
    if (!history)
      throw NotFound(fmt::format("there is no timeline {} in {}: {} is missing", *number, repository.folder().string(),
                                 history_name(*number)));
    way = way_from(backup, *history);
    if (way.empty())
      throw Invalid(fmt::format(
          "the timeline {} does not go on from backup {}, which ends at {} of timeline {}: take another with --backup",
          *number, backup.id, backup.last_lsn, backup.timeline));
  }
  Course out;
  const auto first = parse_lsn(backup.first_lsn);
  if (way.size() > 1) out.timeline = std::to_string(way.back().id);
  for (const LogPiece& piece : pieces) {  // by number
    if (piece.timeline != way.back().id) continue;
    if (!piece.partial) out.last = piece.name;
    if (first && piece.number >= *first / static_cast<std::uint64_t>(segment_bytes)) out.end = piece;
  }
  if (first) out.gap = first_gap(pieces, way, *first, segment_bytes);
  return out;
}

}  // namespace ashlar::pg::detail
