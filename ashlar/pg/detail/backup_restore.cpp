#include <ashlar/pg/detail/backup_restore.hpp>

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_pgbackrest.hpp>
#include <ashlar/pg/detail/backup_plain.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_timelines.hpp>
#include <ashlar/telemetry/log.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

using Clock = std::chrono::steady_clock;

/// Beside the data: log that is replayed, and what the server writes at its end.
constexpr std::int64_t kRoomForLog = 64 << 20;

std::uint64_t number_of(const std::string& digits) {
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

bool ends_before(const Backup& backup, const RestoreTarget& target) {
  switch (target.kind) {
    case RestoreTarget::Kind::latest:
      return true;
    case RestoreTarget::Kind::time:
      return backup.finished <= target.time;
    case RestoreTarget::Kind::lsn:
      return parse_lsn(backup.last_lsn).value_or(~std::uint64_t{0}) <= parse_lsn(target.value).value_or(0);
    case RestoreTarget::Kind::transaction:
      return backup.next_transaction != 0 && backup.next_transaction <= number_of(target.value);
  }
  return false;
}

Backup choose(const BackupRepository& repository, const RestoreOptions& options) {
  const std::vector<Backup> all = repository.backups();
  if (all.empty()) throw NotFound(fmt::format("there is no backup in {}", repository.folder().string()));
  const Backup* found = nullptr;
  for (const Backup& backup : all) {
    const bool wanted = options.backup.empty() ? ends_before(backup, options.to) : backup.id == options.backup;
    if (wanted) found = &backup;
  }
  if (found == nullptr && !options.backup.empty())
    throw NotFound(fmt::format("there is no backup {}; the newest is {}", options.backup, all.back().id));
  if (found == nullptr)
    throw NotFound(fmt::format("no backup ends before {}: the oldest, {}, ends at {} ({})", options.to.value,
                               all.front().id, all.front().finished.to_string(), all.front().last_lsn));
  // pgBackRest does not write down which transactions a backup holds: PostgreSQL says so when it replays.
  const bool unknown = options.to.kind == RestoreTarget::Kind::transaction && found->next_transaction == 0;
  if (!unknown && !ends_before(*found, options.to))
    throw Invalid(fmt::format("the backup {} ends at {} ({}), after {}: take an earlier one", found->id,
                              found->finished.to_string(), found->last_lsn, options.to.value));
  return *found;
}

bool has_running_server(const fs::path& data) {
  int pid = 0;
  std::ifstream(data / "postmaster.pid") >> pid;
  if (pid <= 0 || (::kill(pid, 0) != 0 && errno == ESRCH)) return false;
  return read_text(fmt::format("/proc/{}/comm", pid)).starts_with("postgres");
}

bool is_empty_or_missing(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return true;
  return fs::is_directory(folder, error) && fs::is_empty(folder, error) && !error;
}

/// Those of a cluster that was restored here before stay its own.
fs::path free_tablespaces(const fs::path& into) {
  std::error_code error;
  fs::path free = into.string() + ".tablespaces";
  for (int i = 2; fs::exists(fs::symlink_status(free, error)); ++i)
    free = fmt::format("{}.tablespaces-{}", into.string(), i);
  return free;
}

void make_data_folder(const fs::path& folder, const std::optional<User>& user) {
  make_folder(folder, user);
  if (::chmod(folder.c_str(), 0700) != 0 || (user && ::chown(folder.c_str(), user->uid, user->gid) != 0))
    throw Invalid(fmt::format("cannot take the folder {}: {}", folder.string(), std::strerror(errno)));
}

/// A later restore out of the same backup gets another timeline than this one. Gives what is left to do, or "": from a
/// folder that cannot be written, the cluster is restored all the same.
std::string keep_history(const BackupRepository& repository, const fs::path& data, std::uint32_t timeline) {
  const std::string name = fmt::format("{:08X}.history", timeline);
  const fs::path file = data / "pg_wal" / name;
  const bool by_pgbackrest = repository.tool() == BackupTool::pgbackrest;
  const fs::path archive = by_pgbackrest ? repository.folder() / "pgbackrest" / "archive" : repository.log();
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  if (fs::exists(archive, error) && !repository.may_write(archive)) {
    const std::string way =
        by_pgbackrest ? "by pgbackrest's archive-push"
                      : fmt::format("by `{}/archive-wal {} {}`", repository.folder().string(), file.string(), name);
    return fmt::format(
        "{} cannot be written, so that it does not hold {}, by which the next restore knows that timeline {} is taken: "
        "before this server archives into it, keep it {}",
        archive.string(), name, timeline, way);
  }
  if (by_pgbackrest) {
    PgBackRest(repository).keep_history(data, file);
  } else {
    must_run({{"/bin/sh", (repository.folder() / "archive-wal").string(), file.string(), name}, {}, repository.user()},
             "the new timeline cannot be kept");
  }
  return {};
}

// The copy would else write its log among that of the server which it is a copy of.
void stop_archiving(const fs::path& data) {
  std::ofstream out(data / "postgresql.auto.conf", std::ios::app);
  out << "# This cluster was restored from a backup. `backup setup` has it archive its log again.\n"
         "archive_mode = 'off'\n"
         "restore_command = ''\n";
  out.flush();
  if (!out) throw Internal(fmt::format("cannot write {}", (data / "postgresql.auto.conf").string()));
  out.close();
  sync_path(data / "postgresql.auto.conf");
}

}  // namespace

void must_have_room(const fs::path& folder, std::int64_t bytes) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) return;  // what is written next says what is wrong
  const auto room = static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
  if (room < bytes)
    throw Unavailable(
        fmt::format("{} has room for {} MB, and the restored databases need {} MB: name a folder on another "
                    "disk",
                    folder.string(), room >> 20, (bytes >> 20) + 1));
}

Recovered recover_into(const BackupRepository& repository, const RestoreOptions& options, const fs::path& tablespaces,
                       bool durable) {
  const BackupIdentity identity = repository.identity();
  const bool by_pgbackrest = identity.tool == BackupTool::pgbackrest;
  const Backup backup = choose(repository, options);
  std::string timeline, trouble, last_piece;
  const auto look_at_log = [&] {
    Course course = course_of(repository, backup, options.timeline, identity.segment_bytes, options.into);
    timeline = std::move(course.timeline);
    last_piece = std::move(course.last);
    std::string what = "has a gap";
    if (!course.gap.empty()) {
      trouble = fmt::format("{} is missing in {}, and later log is there", course.gap, repository.log().string());
    } else if (course.end && !by_pgbackrest) {
      what = "is damaged";
      trouble = repository.damage_within(*course.end, identity.segment_bytes);
    }
    // PostgreSQL would take either for the end.
    if (!trouble.empty() && options.to.kind == RestoreTarget::Kind::latest && parse_lsn(backup.last_lsn))
      throw Internal(
          fmt::format("the log {}: {}. What came after it cannot be restored; name a target before it", what, trouble));
  };
  // Histories are read by pgBackRest for a cluster that is there.
  const bool can_look = !by_pgbackrest || options.timeline.empty();
  if (can_look) look_at_log();
  const fs::path programs = server_programs(backup.server_version / 10000);
  must_have_room(options.into, backup.data_bytes + kRoomForLog);

  Recovered out;
  out.report.backup = backup.id;
  out.report.folder = options.into.string();
  out.backup_finished = backup.finished;
  auto begin = Clock::now();
  if (by_pgbackrest) {
    PgBackRest(repository).fetch(backup, options.into, tablespaces);
  } else {
    fetch_plain(repository, backup, programs, options.into);
  }
  stop_archiving(options.into);
  out.report.fetch_seconds = seconds_since(begin);
  if (!can_look) look_at_log();

  begin = Clock::now();
  Replayed replayed;
  try {
    out.server = std::make_unique<ScratchServer>(Recovery{.data = options.into,
                                                          .programs = programs,
                                                          .user = repository.user(),
                                                          .superuser = identity.superuser,
                                                          .restore_command = repository.restore_command(options.into),
                                                          .target = options.to,
                                                          .timeline = timeline,
                                                          .durable = durable});
    replayed = out.server->wait();
  } catch (const Internal& error) {
    if (trouble.empty()) throw;
    throw Internal(fmt::format("{}\n{}", trouble, error.message()));
  }
  // A record that is damaged is the end of the log to PostgreSQL. Names of pieces grow with their place.
  if (options.to.kind == RestoreTarget::Kind::latest && parse_lsn(backup.last_lsn) && !last_piece.empty() &&
      replayed.last_piece.substr(std::min<std::size_t>(8, replayed.last_piece.size())) < last_piece.substr(8))
    throw Internal(
        fmt::format("the log is damaged at {}: replay ended there, and the log goes on to {}. What came after it "
                    "cannot be restored; "
                    "name a target before it. The end of the server's own log:\n{}",
                    replayed.reached_lsn, last_piece, last_lines(read_text(out.server->log_file()))));
  out.report.recovery_seconds = seconds_since(begin);
  out.report.reached_lsn = replayed.reached_lsn;
  out.report.last_transaction_at = replayed.last_transaction_at;
  out.report.next_transaction = replayed.next_transaction;
  out.report.timeline = replayed.timeline;
  out.report.log_file = out.server->log_file().string();
  return out;
}

Restored restore_into(const BackupRepository& repository, const RestoreOptions& given) {
  RestoreOptions options = given;
  if (options.into.empty()) throw Invalid("a folder to restore into is wanted: --into FOLDER");
  check_timeline(options.timeline);
  options.into = fs::weakly_canonical(fs::absolute(options.into));
  const fs::path& into = options.into;
  (void)repository.identity();
  const FolderLock lock(repository.folder(), FolderLock::Mode::shared, repository.user());
  (void)choose(repository, options);  // before anything is moved
  if (has_running_server(into)) throw Conflict(fmt::format("a server runs on {}: stop it first", into.string()));
  const fs::path tablespaces = free_tablespaces(into);
  fs::path aside;
  if (!is_empty_or_missing(into)) {
    if (!options.replace)
      throw Conflict(
          fmt::format("{} is not empty: name another folder, or say --replace, which puts what is in it "
                      "aside under another name",
                      into.string()));
    std::string stamp = DateTime::now().to_string();
    std::erase(stamp, ':');
    aside = fmt::format("{}.before-{}", into.string(), stamp);
    fs::rename(into, aside);
  }
  try {
    make_data_folder(into, repository.user());
    Recovered recovered = recover_into(repository, options, tablespaces, true);
    recovered.server->stop();
    std::string left = keep_history(repository, into, recovered.report.timeline);
    if (!left.empty()) recovered.report.problems.push_back(std::move(left));
    recovered.report.put_aside = aside.string();
    return recovered.report;
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(into, ignored);
    fs::remove_all(tablespaces, ignored);
    if (!aside.empty()) fs::rename(aside, into, ignored);
    if (!aside.empty() && ignored)
      log::error("what was in the folder before could not be put back", {{"is in", aside.string()}});
    throw;
  }
}

}  // namespace ashlar::pg::detail
