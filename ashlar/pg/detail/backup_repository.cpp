#include <ashlar/pg/detail/backup_repository.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <span>
#include <sstream>
#include <system_error>
#include <tuple>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_pgbackrest.hpp>
#include <ashlar/pg/detail/backup_piece.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_timelines.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/telemetry/log.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

// A hard link is what a file system makes only when the name is free; where there are none, mv -n asks the kernel for
// the same. Asked again for what is kept already, as after a crash, it compares.
// https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-ARCHIVING-WAL
constexpr std::string_view kArchiveScript = R"(#!/bin/sh
# archive-wal PATH NAME: PostgreSQL's archive_command. Keeps a finished piece of the log in wal/ beside this file. Exits
# with 0 only when it is on the disk, whole, under its name. Never overwrites.
set -eu
umask 027
folder=$(dirname "$0")/wal
kept=$folder/$2.gz
fail() {
  echo "archive-wal: $*" >&2
  exit 1
}
if [ -e "$kept" ]; then
  if gzip -dc "$kept" | cmp -s - "$1"; then
    sync "$kept" "$folder"  # whoever made it may have been stopped before
    exit 0
  fi
  fail "$kept is there and holds something else: does another server archive into this folder?"
fi
fresh=$folder/.$2.$$
trap 'rm -f "$fresh"' EXIT
gzip -1 -n -c "$1" >"$fresh" || fail "cannot write $fresh: is the disk full?"
sync "$fresh" || fail "cannot bring $fresh to the disk"
if ! ln -T "$fresh" "$kept" 2>/dev/null; then
  mv -n -T "$fresh" "$kept"
  [ ! -e "$fresh" ] || fail "$kept has just been made by somebody else"
fi
sync "$folder"
)";

// Above 125, PostgreSQL gives up instead of taking what is damaged for the end of the log: RestoreArchivedFile().
constexpr std::string_view kRestoreScript = R"(#!/bin/sh
# restore-wal NAME PATH: PostgreSQL's restore_command. 1: there is no such piece; 126: there is, and it is damaged.
set -u
folder=$(dirname "$0")/wal
if [ -e "$folder/$1.gz" ]; then
  gzip -dc "$folder/$1.gz" >"$2" && exit 0
  echo "restore-wal: $folder/$1.gz is damaged, or there is no room for it" >&2
  exit 126
fi
for kept in "$folder/$1" "$folder/$1.partial"; do
  [ -e "$kept" ] || continue
  cp "$kept" "$2" && exit 0
  echo "restore-wal: $kept cannot be read, or there is no room for it" >&2
  exit 126
done
exit 1
)";

std::uint64_t pieces_of_four_gigabytes(std::int64_t segment_bytes) {
  return (std::uint64_t{1} << 32) / static_cast<std::uint64_t>(segment_bytes);
}

std::optional<std::uint64_t> hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class T>
std::optional<T> read_json_file(const fs::path& file) {
  const std::string text = read_text(file);
  if (text.empty()) return std::nullopt;
  T value{};
  schema::Errors errors;
  if (!schema::parse_json(text, value, errors)) return std::nullopt;
  return value;
}

/// What is there may perhaps be read all the same.
bool is_refusal(int error) { return error == EROFS || error == EACCES || error == EPERM; }

// Nobody sees half of it: it loses its name first.
void remove_folder(const fs::path& folder) {
  const std::string name = folder.filename().string();
  const fs::path gone = folder.parent_path() / (name.starts_with('.') ? name : "." + name);
  std::error_code error;
  if (gone != folder) {
    fs::rename(folder, gone, error);
    if (error) throw Internal(fmt::format("cannot remove {}: {}", folder.string(), error.message()));
  }
  fs::remove_all(gone, error);
  if (error) log::warn("what is left of an old backup stays", {{"folder", gone.string()}, {"error", error.message()}});
}

}  // namespace

std::optional<LogPiece> parse_log_name(std::string_view name, std::int64_t segment_bytes) {
  LogPiece piece;
  for (const std::string_view end : {".gz", ".partial"}) {
    if (name.ends_with(end)) {
      name.remove_suffix(end.size());
      piece.partial = piece.partial || end == ".partial";
    }
  }
  if (name.size() != 24) return std::nullopt;
  const auto timeline = hexadecimal(name.substr(0, 8));
  const auto high = hexadecimal(name.substr(8, 8));
  const auto low = hexadecimal(name.substr(16, 8));
  if (!timeline || !high || !low || *low >= pieces_of_four_gigabytes(segment_bytes)) return std::nullopt;
  piece.timeline = static_cast<std::uint32_t>(*timeline);
  piece.number = *high * pieces_of_four_gigabytes(segment_bytes) + *low;
  piece.name = name;
  return piece;
}

std::string log_name(std::uint32_t timeline, std::uint64_t number, std::int64_t segment_bytes) {
  const std::uint64_t pieces = pieces_of_four_gigabytes(segment_bytes);
  return fmt::format("{:08X}{:08X}{:08X}", timeline, number / pieces, number % pieces);
}

std::optional<std::uint64_t> parse_lsn(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash > 8 || text.size() - slash > 9) return std::nullopt;
  const auto high = hexadecimal(text.substr(0, slash));
  const auto low = hexadecimal(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return *high << 32 | *low;
}

bool is_older(const Backup& a, const Backup& b) {
  const auto place = [](const Backup& backup) {
    return std::tuple(backup.timeline, parse_lsn(backup.first_lsn).value_or(0), backup.finished, backup.id);
  };
  return place(a) < place(b);
}

FolderLock::FolderLock(const fs::path& folder, Mode mode, const std::optional<User>& user)
    : fd_(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640)) {
  if (fd_ >= 0 && user) [[maybe_unused]]
    const int given = ::fchown(fd_, user->uid, user->gid);
  if (fd_ < 0 && mode == Mode::shared && is_refusal(errno)) {
    fd_ = ::open((folder / "lock").c_str(), O_RDONLY | O_CLOEXEC);
    // A copy that nobody has locked yet, and we cannot.
    if (fd_ < 0 && errno == ENOENT) fd_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (fd_ < 0)
    throw Invalid(fmt::format("cannot {} the folder of the backups, {}: {}",
                              mode == Mode::shared ? "read" : "write into", folder.string(), std::strerror(errno)));
  if (::flock(fd_, (mode == Mode::alone ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    ::close(fd_);
    throw Conflict(
        fmt::format("somebody else works in {} now: a backup, a restore or a drill; try again when it has "
                    "ended",
                    folder.string()));
  }
}

FolderLock::~FolderLock() { ::close(fd_); }

BackupRepository::BackupRepository(const fs::path& folder)
    : folder_(fs::absolute(folder).lexically_normal()), user_(unprivileged_user()) {}

std::optional<BackupIdentity> BackupRepository::find_identity() const {
  if (auto found = read_json_file<BackupIdentity>(folder_ / "backup.json")) return found;
  std::error_code error;
  if (fs::exists(folder_ / "backup.json", error) || error)
    throw Internal(
        fmt::format("{} cannot be read: run this as the user that the folder belongs to; if it is damaged, "
                    "remove it, and `backup setup` writes it anew",
                    (folder_ / "backup.json").string()));
  return std::nullopt;
}

BackupIdentity BackupRepository::identity() const {
  if (auto found = find_identity()) return *found;
  throw NotFound(fmt::format("there are no backups in {}: run `backup setup`, or name the folder in ASHLAR_BACKUP_DIR",
                             folder_.string()));
}

void BackupRepository::create(const BackupIdentity& identity) const {
  const std::string path = folder_.string();
  if (path.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.+@-") !=
      std::string::npos)
    throw Invalid(
        fmt::format("a folder of backups is named by letters, digits and /_.+@- for it is part of commands "
                    "that PostgreSQL runs: {}",
                    path));
  for (const fs::path& folder : {folder_, log(), folder_ / "full"}) make_folder(folder, user_);
  write_durably(folder_ / "archive-wal", kArchiveScript, user_, 0750);
  write_durably(folder_ / "restore-wal", kRestoreScript, user_, 0750);
  if (!may_write(log()))
    throw Invalid(fmt::format("the user {} may not write into {}: name another folder in ASHLAR_BACKUP_DIR",
                              user_ ? user_->name : "that runs this", log().string()));
  write_durably(folder_ / "backup.json", schema::to_json(identity) + "\n", user_);
}

bool BackupRepository::may_write(const fs::path& path) const {
  return run_program({{"/bin/sh", "-c", "test -w \"$1\"", "sh", path.string()}, {}, user_}).well();
}

BackupTool BackupRepository::tool() const {
  const auto identity = find_identity();
  return identity ? identity->tool : BackupTool::plain;
}

std::string BackupRepository::archive_command() const {
  if (tool() == BackupTool::pgbackrest) return PgBackRest(*this).archive_command();
  return fmt::format("/bin/sh {}/archive-wal \"%p\" \"%f\"", folder_.string());
}
std::string BackupRepository::restore_command(const fs::path& data) const {
  if (tool() == BackupTool::pgbackrest) return PgBackRest(*this).restore_command(data);
  return fmt::format("/bin/sh {}/restore-wal \"%f\" \"%p\"", folder_.string());
}

std::vector<Backup> BackupRepository::backups() const {
  if (tool() == BackupTool::pgbackrest) return PgBackRest(*this).backups();
  std::vector<Backup> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ / "full", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.')) continue;
    auto backup = read_json_file<Backup>(entry.path() / "backup.json");
    if (!backup) {
      log::warn("a backup cannot be used: its backup.json cannot be read", {{"folder", entry.path().string()}});
      continue;
    }
    backup->id = name;
    all.push_back(std::move(*backup));
  }
  std::ranges::sort(all, is_older);
  return all;
}

std::vector<LogPiece> BackupRepository::pieces(std::int64_t segment_bytes) const {
  std::map<std::pair<std::uint32_t, std::uint64_t>, LogPiece> found;
  const auto take = [&](std::string_view name) {
    auto piece = parse_log_name(name, segment_bytes);
    if (!piece) return;
    const auto [at, fresh] = found.try_emplace({piece->timeline, piece->number}, *piece);
    if (!fresh) at->second.partial = at->second.partial && piece->partial;
  };
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(log(), error)) take(entry.path().filename().string());
  // pgBackRest: VERSION/SIXTEEN-DIGITS/NAME-SHA1.zst
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "pgbackrest" / "archive", error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() > 24 && name[24] == '-') take(std::string_view(name).substr(0, 24));
  }
  std::vector<LogPiece> out;
  for (auto& [position, piece] : found) out.push_back(std::move(piece));
  return out;
}

bool BackupRepository::has_history(std::string_view name) const {
  std::error_code error;
  for (const std::string_view end : {"", ".gz"}) {
    if (fs::exists(log() / fmt::format("{}{}", name, end), error)) return true;
  }
  const fs::recursive_directory_iterator kept(folder_ / "pgbackrest" / "archive", error);
  return std::any_of(begin(kept), end(kept), [&](const auto& entry) { return entry.path().filename() == name; });
}

std::string BackupRepository::first_gap(const Backup& backup, std::int64_t segment_bytes) const {
  const auto first = parse_lsn(backup.first_lsn);
  if (!first) return {};
  const Timeline way{backup.timeline, 0};
  return detail::first_gap(pieces(segment_bytes), std::span(&way, 1), *first, segment_bytes);
}

bool BackupRepository::has_end_of(const Backup& backup, std::int64_t segment_bytes) const {
  const auto last = parse_lsn(backup.last_lsn);
  if (!last) return false;
  const std::uint64_t needed = (*last - 1) / static_cast<std::uint64_t>(segment_bytes);
  return std::ranges::any_of(pieces(segment_bytes), [&](const LogPiece& piece) {
    return piece.timeline == backup.timeline && piece.number >= needed;
  });
}

std::vector<std::string> BackupRepository::damage_of(const Backup& backup) const {
  std::vector<std::string> out;
  for (const BackupFile& file : backup.files) {
    const fs::path path = of(backup) / file.name;
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) {
      out.push_back(fmt::format("{} is missing", path.string()));
    } else if (size != static_cast<std::uintmax_t>(file.bytes)) {
      out.push_back(fmt::format("{} has {} bytes, and had {}", path.string(), size, file.bytes));
    } else if (sha256_of(path) != file.sha256) {
      out.push_back(fmt::format("{} is damaged: its SHA-256 is not that of what was written", path.string()));
    }
  }
  return out;
}

std::vector<std::string> BackupRepository::damaged_log(std::int64_t segment_bytes) const {
  constexpr std::size_t kAtOnce = 500;  // a command line has an end
  std::vector<std::string> out;
  Program test{{"/bin/gzip", "-t"}, {}, user_};
  const auto run = [&] {
    if (test.arguments.size() == 2) return;
    std::istringstream lines(run_program(test).output);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("gzip: ")) out.push_back("damaged: " + line.substr(6));
    }
    test.arguments.resize(2);
  };
  for (const LogPiece& piece : pieces(segment_bytes)) {
    const fs::path compressed = log() / (piece.name + ".gz");
    std::error_code error;
    if (fs::exists(compressed, error)) {
      test.arguments.push_back(compressed.string());
    } else if (std::string damage = damage_within(piece, segment_bytes); !damage.empty()) {
      out.push_back(std::move(damage));
    }
    if (test.arguments.size() > kAtOnce) run();
  }
  run();
  return out;
}

std::string BackupRepository::damage_within(const LogPiece& piece, std::int64_t segment_bytes) const {
  std::error_code error;
  if (fs::exists(log() / (piece.name + ".gz"), error)) return {};
  for (const std::string_view end : {"", ".partial"}) {
    const fs::path file = log() / fmt::format("{}{}", piece.name, end);
    if (!fs::exists(file, error)) continue;
    try {
      return damage_of_piece(file, piece, segment_bytes);
    } catch (const Internal& unreadable) {
      // Otherwise, it has just been named, or is not needed any more.
      if (fs::exists(file, error)) return std::string(unreadable.message());
    }
  }
  return {};
}

void BackupRepository::remove_remains() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_ / "full", ignored)) {
    if (entry.path().filename().string().starts_with('.')) remove_folder(entry.path());
  }
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (entry.path().filename().string().starts_with(".drill-")) remove_folder(entry.path());
  }
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours{24};
  for (const auto& entry : fs::directory_iterator(log(), ignored)) {
    if (entry.path().filename().string().starts_with('.') && entry.last_write_time(ignored) < long_ago)
      fs::remove(entry.path(), ignored);
  }
}

std::vector<std::string> BackupRepository::expire(unsigned keep, std::int64_t segment_bytes) const {
  std::vector<Backup> all = backups();
  std::vector<std::string> gone;
  const std::size_t surplus = all.size() > keep ? all.size() - keep : 0;
  for (std::size_t i = 0; i < surplus; ++i) {
    remove_folder(of(all[i]));
    gone.push_back(all[i].id);
  }
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(surplus));
  if (all.empty()) return gone;
  // Numbers go on over timelines; histories are small and stay.
  std::uint64_t needed = ~std::uint64_t{0};
  for (const Backup& backup : all) {
    const auto first = parse_lsn(backup.first_lsn);
    if (!first) return gone;
    needed = std::min(needed, *first / static_cast<std::uint64_t>(segment_bytes));
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(log(), error)) {
    const auto piece = parse_log_name(entry.path().filename().string(), segment_bytes);
    if (piece && piece->number < needed) fs::remove(entry.path(), error);
  }
  return gone;
}

std::optional<DrillReport> BackupRepository::last_drill() const {
  return read_json_file<DrillReport>(folder_ / "drill.json");
}

void BackupRepository::keep_drill(const DrillReport& report) const {
  write_durably(folder_ / "drill.json", schema::to_json(report) + "\n", user_);
}

}  // namespace ashlar::pg::detail
