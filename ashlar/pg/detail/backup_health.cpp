#include <ashlar/pg/detail/backup_health.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_pgbackrest.hpp>

namespace ashlar::pg::detail {
namespace {

double seconds(Duration span) { return static_cast<double>(span.micros) / 1e6; }

std::string in_words(Duration span) {
  const std::int64_t minutes = span.micros / 60'000'000;
  if (minutes < 120) return fmt::format("{} minutes", minutes);
  if (minutes < 60 * 48) return fmt::format("{} hours", minutes / 60);
  return fmt::format("{} days", minutes / (60 * 24));
}

void look_at_backups(const BackupRepository& repository, const BackupSettings& settings, const BackupIdentity& identity,
                     const std::vector<Backup>& backups, bool verify, BackupHealth& out) {
  out.backups = backups.size();
  if (backups.empty()) {
    out.problems.emplace_back("there is no backup: run `backup`");
    return;
  }
  const Backup& newest = backups.back();
  const Duration age = DateTime::now() - newest.finished;
  out.newest_backup = newest.id;
  out.backup_age_seconds = seconds(age);
  if (age > settings.max_age)
    out.problems.push_back(
        fmt::format("the newest backup is {} old, and shall be no more than {}: does whatever runs "
                    "`backup` still run?",
                    in_words(age), in_words(settings.max_age)));
  for (const Backup& backup : backups) {
    if (const std::string gap = repository.first_gap(backup, identity.segment_bytes); !gap.empty()) {
      out.problems.push_back(
          fmt::format("the log of backup {} has a gap: {} is not in {}. Nothing after it can be "
                      "restored from this backup: make a new one",
                      backup.id, gap, repository.log().string()));
    }
    if (!verify) continue;
    for (std::string& damage : repository.damage_of(backup)) out.problems.push_back(std::move(damage));
  }
  if (!repository.has_end_of(newest, identity.segment_bytes))
    out.problems.push_back(
        fmt::format("the log that ends backup {} is not in the archive: it can be restored to no later "
                    "moment",
                    newest.id));
  if (!verify) return;
  if (identity.tool == BackupTool::pgbackrest) {
    for (std::string& damage : PgBackRest(repository).damage()) out.problems.push_back(std::move(damage));
  }
  for (std::string& damage : repository.damaged_log(identity.segment_bytes)) out.problems.push_back(std::move(damage));
}

void look_at_server(const BackupRepository& repository, const BackupSettings& settings, const BackupIdentity& identity,
                    const ServerFacts& server, const std::vector<Backup>& backups, BackupHealth& out) {
  if (server.system_identifier != identity.system_identifier) {
    out.problems.push_back(fmt::format("{} holds the backups of another server: run `backup setup` with another folder",
                                       repository.folder().string()));
    return;
  }
  out.archive_failures = server.failures;
  const bool archives = server.archive_mode != "off" && !server.archive_command.empty();
  if (!archives && server.receivers == 0) {
    out.problems.emplace_back(
        server.archive_command.empty()
            ? "the log is not archived, so that all since the last backup would be lost: run `backup setup`, or "
              "`backup receive` as a service"
            : "the log is not archived (archive_mode is off): restart the server, for `backup setup` has changed it");
  }
  const bool fails = server.failed_at && (!server.archived_at || *server.failed_at > *server.archived_at);
  if (archives && fails)
    out.problems.push_back(
        fmt::format("archiving fails, last at {} with {}; {} times so far. The server's own log says "
                    "why (a full disk, rights, a name that is taken)",
                    server.failed_at->to_string(), server.failed, server.failures));
  if (archives && server.receivers == 0 && server.archive_timeout == 0)
    out.problems.emplace_back("archive_timeout is 0, so that a quiet server archives nothing for days: set it to 60s");

  const auto now = parse_log_name(server.piece, identity.segment_bytes);
  const auto pieces = repository.pieces(identity.segment_bytes);
  const LogPiece* newest = nullptr;
  for (const LogPiece& piece : pieces) {
    if (now && piece.timeline == now->timeline) newest = &piece;
  }
  if (newest != nullptr) out.newest_log = newest->name;
  // A command of somebody else's, or one that keeps nothing, is as content as ours.
  const auto archived = parse_log_name(server.archived, identity.segment_bytes);
  const bool is_kept =
      std::ranges::any_of(pieces, [&](const LogPiece& piece) { return piece.name == server.archived; });
  if (archives && server.receivers == 0 && now && archived && archived->timeline == now->timeline && !is_kept)
    out.problems.push_back(fmt::format(
        "the server has archived {}, and it is not in {}: its archive_command, `{}`, keeps it elsewhere, or "
        "not at all; run `backup setup`",
        server.archived, repository.folder().string(), server.archive_command));
  if (server.archived_at) out.log_age_seconds = seconds(DateTime::now() - *server.archived_at);
  // The piece that is written now comes when it is full, or when archive_timeout has passed.
  if (now && newest != nullptr && newest->number + 1 < now->number && server.receivers == 0 && server.archived_at &&
      DateTime::now() - *server.archived_at > settings.max_log_age)
    out.problems.push_back(fmt::format("{} pieces of the log wait for being archived, and none has been for {}",
                                       now->number - newest->number - 1,
                                       in_words(DateTime::now() - *server.archived_at)));
  if (now && !backups.empty() && backups.back().timeline != now->timeline)
    out.problems.push_back(
        fmt::format("the newest backup is of timeline {}, and the server, which was promoted or "
                    "restored since, is on {}: make a backup now",
                    backups.back().timeline, now->timeline));
}

void look_at_drill(const BackupRepository& repository, const BackupSettings& settings, BackupHealth& out) {
  const auto drill = repository.last_drill();
  if (drill) {
    const Duration age = DateTime::now() - drill->began;
    out.drill_age_seconds = seconds(age);
    out.drill_passed = drill->passed;
    if (!drill->passed) {
      const auto failed = std::ranges::find(drill->steps, false, &DrillStep::passed);
      out.problems.push_back(fmt::format("the last drill, at {}, failed: {}", drill->began.to_string(),
                                         failed == drill->steps.end() ? "" : failed->name + ": " + failed->detail));
    }
    if (settings.max_drill_age && age > *settings.max_drill_age)
      out.problems.push_back(fmt::format("the last drill was {} ago: run `restore-drill`", in_words(age)));
  } else if (settings.max_drill_age) {
    out.problems.emplace_back("nobody has tried whether the backups can be restored: run `restore-drill`");
  }
}

}  // namespace

BackupHealth health_of(const BackupRepository& repository, const BackupSettings& settings,
                       const std::optional<ServerFacts>& server, bool verify) {
  BackupHealth out;
  const auto identity = repository.find_identity();
  if (!identity) {
    out.problems.push_back(fmt::format("nothing is set up in {}: run `backup setup`", repository.folder().string()));
    return out;
  }
  out.tool = identity->tool == BackupTool::plain ? "plain" : "pgbackrest";
  std::vector<Backup> backups;
  try {
    backups = repository.backups();
    look_at_backups(repository, settings, *identity, backups, verify, out);
  } catch (const Error& error) {
    out.problems.push_back(error.message());
  }
  if (server) look_at_server(repository, settings, *identity, *server, backups, out);
  look_at_drill(repository, settings, out);
  return out;
}

}  // namespace ashlar::pg::detail
