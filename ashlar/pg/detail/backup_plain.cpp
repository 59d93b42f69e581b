#include <ashlar/pg/detail/backup_plain.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/schema/json.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

/// The value behind the last `"NAME": ` of the manifest, which has one range of the log near its end.
std::string manifest_value(std::string_view manifest, std::string_view name) {
  const std::string key = fmt::format("\"{}\": ", name);
  const std::size_t at = manifest.rfind(key);
  if (at == std::string_view::npos) return {};
  std::string_view value = manifest.substr(at + key.size());
  value = value.substr(0, value.find_first_of(",}\n"));
  while (!value.empty() && (value.front() == '"' || value.front() == ' ')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == '"' || value.back() == ' ')) value.remove_suffix(1);
  return std::string(value);
}

std::string free_id(const fs::path& folder, DateTime now) {
  const std::string text = now.to_string();
  std::string id;
  for (const char c : text.substr(0, 19)) {
    if (c != '-' && c != ':') id += c;
  }
  std::string free = id;
  for (int i = 2; fs::exists(folder / free); ++i) free = fmt::format("{}-{:02}", id, i);
  return free;
}

}  // namespace

UnfinishedBackup::UnfinishedBackup(const BackupRepository& repository, const ConnectOptions& server,
                                   const fs::path& programs, Backup backup)
    : repository_(repository), backup_(std::move(backup)) {
  backup_.started = DateTime::now();
  backup_.id = free_id(repository.folder() / "full", backup_.started);
  folder_ = repository.folder() / "full" / ("." + backup_.id);
  try {
    must_run({{(programs / "pg_basebackup").string(), "--pgdata=" + folder_.string(), "--format=tar", "--compress=1",
               "--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password",
               std::string(kNoticeLostHosts), "--label=ashlar " + backup_.id},
              libpq_environment(server),
              repository.user()},
             "no backup was made");
    const std::string manifest = read_text(folder_ / "backup_manifest");
    backup_.first_lsn = manifest_value(manifest, "Start-LSN");
    backup_.last_lsn = manifest_value(manifest, "End-LSN");
    const std::string timeline = manifest_value(manifest, "Timeline");
    std::from_chars(timeline.data(), timeline.data() + timeline.size(), backup_.timeline);
    if (!parse_lsn(backup_.first_lsn) || !parse_lsn(backup_.last_lsn) || backup_.timeline == 0)
      throw Internal(fmt::format("no backup was made: the manifest of {} does not say where in the log it begins",
                                 programs.string()));
    for (const auto& entry : fs::directory_iterator(folder_)) {
      BackupFile file{entry.path().filename().string(), static_cast<std::int64_t>(entry.file_size()),
                      sha256_of(entry.path())};
      backup_.stored_bytes += file.bytes;
      backup_.files.push_back(std::move(file));
    }
    std::ranges::sort(backup_.files, {}, &BackupFile::name);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    throw;
  }
}

UnfinishedBackup::~UnfinishedBackup() {
  std::error_code ignored;
  if (!finished_) fs::remove_all(folder_, ignored);
}

Backup UnfinishedBackup::finish(std::uint64_t next_transaction) {
  backup_.finished = DateTime::now();
  backup_.next_transaction = next_transaction;
  write_durably(folder_ / "backup.json", schema::to_json(backup_) + "\n", repository_.user());
  const fs::path named = repository_.of(backup_);
  std::error_code error;
  fs::rename(folder_, named, error);
  if (error) throw Internal(fmt::format("cannot name the backup {}: {}", named.string(), error.message()));
  finished_ = true;
  sync_path(named.parent_path());
  return backup_;
}

void fetch_plain(const BackupRepository& repository, const Backup& backup, const fs::path& programs,
                 const fs::path& into) {
  if (const auto damage = repository.damage_of(backup); !damage.empty())
    throw Internal(fmt::format("the backup {} cannot be used: {}; take another with --backup", backup.id,
                               fmt::join(damage, "; ")));
  const fs::path from = repository.of(backup);
  const auto extract = [&](const char* archive, const fs::path& to) {
    must_run({{"/bin/tar", "--extract", "--gzip", "--no-same-owner", "--file", (from / archive).string(), "--directory",
               to.string()},
              {},
              repository.user()},
             fmt::format("the backup {} could not be taken out", backup.id));
  };
  extract("base.tar.gz", into);
  extract("pg_wal.tar.gz", into / "pg_wal");
  must_run({{(programs / "pg_verifybackup").string(), "--exit-on-error",
             "--manifest-path=" + (from / "backup_manifest").string(), into.string()},
            {},
            repository.user()},
           fmt::format("the backup {} is not whole", backup.id));
}

}  // namespace ashlar::pg::detail
