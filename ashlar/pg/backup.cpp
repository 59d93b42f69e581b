#include <ashlar/pg/backup.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/backup_drill.hpp>
#include <ashlar/pg/detail/backup_health.hpp>
#include <ashlar/pg/detail/backup_pgbackrest.hpp>
#include <ashlar/pg/detail/backup_plain.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/detail/backup_repository.hpp>
#include <ashlar/pg/detail/backup_restore.hpp>
#include <ashlar/pg/detail/backup_server.hpp>
#include <ashlar/schema/settings.hpp>
#include <ashlar/telemetry/log.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using detail::BackupIdentity;
using detail::BackupRepository;
using detail::FolderLock;
using detail::ServerFacts;

/// How long a backup waits for the log that ends it.
constexpr auto kArchiveWait = 60s;

Task<ServerFacts> facts_of(Db& db) {
  ServerFacts facts;
  co_await detail::with_server(db, [&]() -> Task<void> { facts = co_await detail::ask_server(db); });
  co_return facts;
}

void must_be_its_own(const BackupIdentity& identity, const ServerFacts& facts, const fs::path& folder) {
  if (identity.system_identifier == facts.system_identifier) return;
  throw Conflict(
      fmt::format("{} holds the backups of another server ({}, this one is {}): name another folder in "
                  "ASHLAR_BACKUP_DIR. A server that was made anew, or restored by copying its rows, is another server",
                  folder.string(), identity.system_identifier, facts.system_identifier));
}

/// Whether the server sees our folders.
bool is_here(const ConnectOptions& options, const ServerFacts& facts) {
  const bool local = std::ranges::all_of(options.hosts, [](const ConnectOptions::Host& host) {
    return ConnectOptions::is_unix(host) || host.host == "localhost" || host.host == "127.0.0.1" || host.host == "::1";
  });
  std::error_code error;
  // A container that has its port on this machine has its files elsewhere.
  return local && (facts.data_folder.empty() || fs::exists(facts.data_folder, error) || error);
}

/// Whether the log that ends the backup has come, or comes soon.
Task<bool> is_archived(const BackupRepository& repository, const Backup& backup, std::int64_t segment_bytes) {
  const auto give_up = std::chrono::steady_clock::now() + kArchiveWait;
  for (;;) {
    const bool come = co_await async::offload([&] { return repository.has_end_of(backup, segment_bytes); });
    if (come) co_return true;
    if (std::chrono::steady_clock::now() > give_up) co_return false;
    co_await async::sleep(50ms);
  }
}

}  // namespace

BackupSettings BackupSettings::from_environment() {
  auto settings = schema::load_settings<BackupSettings>({.prefix = "ASHLAR_BACKUP"});
  if (settings.keep == 0) throw Invalid("ASHLAR_BACKUP_KEEP is 0: at least one backup is kept");
  return settings;
}

Backups::Backups(Db& db, BackupSettings settings) : db_(db), settings_(std::move(settings)) {}

fs::path Backups::folder() const {
  if (settings_.dir && !settings_.dir->empty()) return *settings_.dir;
  const char* const data = std::getenv("ASHLAR_DATA_DIR");
  return fs::path(data != nullptr && *data != 0 ? data : ".ashlar") / "backups";
}

RestoreTarget RestoreTarget::parse(std::string_view text) {
  constexpr std::string_view kHelp =
      "a target is `latest`, a time with its offset (2026-03-01T02:59:59+01:00, or Z at its end), an LSN (0/3000148), "
      "or "
      "xid:NUMBER";
  if (text == "latest") return {};
  if (text.starts_with("xid:")) {
    const std::string_view digits = text.substr(4);
    if (digits.empty() || digits.size() > 19 || digits.find_first_not_of("0123456789") != std::string_view::npos)
      throw Invalid(fmt::format("`{}` is no transaction: {}", text, kHelp));
    return {.kind = Kind::transaction, .value = std::string(digits)};
  }
  if (detail::parse_lsn(text)) return {.kind = Kind::lsn, .value = std::string(text)};
  const auto time = DateTime::parse(text);
  if (!time) throw Invalid(fmt::format("`{}` is no target: {}", text, kHelp));
  // At three in the morning nobody guesses whose clock was meant.
  const bool says_its_offset = text.ends_with('Z') || text.ends_with('z') ||
                               (text.size() > 11 && text.substr(11).find_first_of("+-") != std::string_view::npos);
  if (!says_its_offset) throw Invalid(fmt::format("`{}` does not say its offset from UTC: {}", text, kHelp));
  return {.kind = Kind::time, .value = std::string(text), .time = *time};
}

Task<std::vector<std::string>> Backups::set_up(std::optional<BackupTool> tool) {
  const BackupRepository repository(folder());
  std::vector<std::string> left;
  co_await detail::with_server(db_, [&]() -> Task<void> {
    const ServerFacts facts = co_await detail::ask_server(db_);
    if (facts.superuser.empty() || facts.segment_bytes == 0)
      throw Forbidden(
          "the server does not say what backups must know of it: use a role that may read pg_roles and "
          "pg_control_init()");
    const auto before = co_await async::offload([&] { return repository.find_identity(); });
    if (before) must_be_its_own(*before, facts, repository.folder());
    const ConnectOptions connect = ConnectOptions::parse(db_.url());
    const bool elsewhere = !is_here(connect, facts);
    const bool can = !elsewhere && facts.is_superuser && !facts.data_folder.empty();
    if (tool == BackupTool::pgbackrest && !can)
      throw Unsupported(
          "pgBackRest reads the server's files: they must be on this machine, and our role a superuser's");
    const bool by_pgbackrest = tool     ? *tool == BackupTool::pgbackrest
                               : before ? before->tool == BackupTool::pgbackrest
                                        : can && !detail::find_program("pgbackrest").empty();
    if (!by_pgbackrest && settings_.passphrase)
      throw Unsupported(
          "only pgBackRest encrypts: install pgbackrest and run `backup setup --tool pgbackrest`, or unset "
          "ASHLAR_BACKUP_PASSPHRASE and encrypt the disk");
    if (before && before->tool != (by_pgbackrest ? BackupTool::pgbackrest : BackupTool::plain))
      throw Conflict(fmt::format("{} holds backups of the other tool: name another folder in ASHLAR_BACKUP_DIR",
                                 repository.folder().string()));
    const BackupIdentity identity{.system_identifier = facts.system_identifier,
                                  .tool = by_pgbackrest ? BackupTool::pgbackrest : BackupTool::plain,
                                  .superuser = facts.superuser,
                                  .database = facts.database,
                                  .server_version = facts.version,
                                  .segment_bytes = facts.segment_bytes};
    co_await async::offload([&] {
      if (by_pgbackrest) detail::PgBackRest(repository).set_up(settings_, facts, connect);
      repository.create(identity);
    });
    const std::string command = repository.archive_command();
    if (elsewhere || !facts.is_superuser) {
      left.push_back(fmt::format(
          "{}: run `backup receive` as a service, which fetches the log over the replication protocol; or set in "
          "postgresql.conf, when the server sees this folder under the same name: archive_mode = on, archive_timeout = "
          "60s, archive_command = '{}'",
          elsewhere ? "the server is not on this machine" : "only a superuser changes a server's settings", command));
      co_return;
    }
    co_await detail::alter_system(db_, "archive_mode", "on");
    co_await detail::alter_system(db_, "archive_command", command);
    if (facts.archive_timeout == 0) co_await detail::alter_system(db_, "archive_timeout", "60s");
    if (facts.wal_level == "minimal") co_await detail::alter_system(db_, "wal_level", "replica");
    co_await detail::reload(db_);
    if (facts.archive_mode == "off" || facts.wal_level == "minimal")
      left.emplace_back("restart the server: archiving begins when it starts");
    left.emplace_back("then make the first backup: `backup`");
  });
  co_return left;
}

Task<Backups::Made> Backups::make(BackupKind kind) {
  const BackupRepository repository(folder());
  Made made;
  co_await detail::with_server(db_, [&]() -> Task<void> {
    const BackupIdentity identity = co_await async::offload([&] { return repository.identity(); });
    const ServerFacts facts = co_await detail::ask_server(db_);
    must_be_its_own(identity, facts, repository.folder());
    const bool by_pgbackrest = identity.tool == BackupTool::pgbackrest;
    if (!by_pgbackrest && kind == BackupKind::incremental)
      throw Unsupported(
          "pg_basebackup makes full backups only; for incremental ones install pgbackrest and run `backup setup --tool "
          "pgbackrest` with another folder");
    if (!by_pgbackrest && facts.tablespaces > 0)
      throw Unsupported(
          fmt::format("the server has {} tablespaces of its own, which the plain tool does not keep: "
                      "install pgbackrest and run `backup setup --tool pgbackrest`",
                      facts.tablespaces));
    const auto lock = co_await async::offload([&] {
      auto held = std::make_unique<FolderLock>(repository.folder(), FolderLock::Mode::alone, repository.user());
      repository.remove_remains();
      return held;
    });
    const ConnectOptions server = ConnectOptions::parse(db_.url());
    if (by_pgbackrest) {
      made.backup =
          co_await async::offload([&] { return detail::PgBackRest(repository).make(kind, settings_, facts, server); });
      co_return;
    }
    const auto unfinished = co_await async::offload([&] {
      return std::make_unique<detail::UnfinishedBackup>(
          repository, server, detail::server_programs(facts.version / 10000),
          Backup{.data_bytes = facts.data_bytes, .server_version = facts.version});
    });
    const std::uint64_t next = co_await detail::next_transaction(db_);
    made.backup = co_await async::offload([&] { return unfinished->finish(next); });
    const bool archives = facts.archive_mode != "off" || facts.receivers > 0;
    if (!archives || !co_await is_archived(repository, made.backup, facts.segment_bytes)) {
      made.problems.push_back(fmt::format(
          "the backup can be restored as it is, but to no later moment: the log is not archived{}; see `backup check`",
          archives ? fmt::format(" (its end has not come in {} s)", kArchiveWait.count()) : ""));
      co_return;  // older ones may be all there is
    }
    made.expired = co_await async::offload([&] { return repository.expire(settings_.keep, identity.segment_bytes); });
  });
  co_return made;
}

Task<std::vector<Backup>> Backups::list() {
  const BackupRepository repository(folder());
  co_return co_await async::offload([&] {
    (void)repository.identity();
    return repository.backups();
  });
}

Task<BackupHealth> Backups::check(bool verify) {
  const BackupRepository repository(folder());
  BackupHealth health;
  std::optional<ServerFacts> facts;
  std::exception_ptr error;
  try {
    facts = co_await facts_of(db_);
  } catch (const Unavailable&) {
    error = std::current_exception();
  }
  co_await async::offload([&] {
    health = detail::health_of(repository, settings_, facts, verify);
    if (error) health.problems.push_back(fmt::format("the server cannot be asked: {}", explain(error)));
  });
  co_return health;
}

Task<std::vector<std::string>> Backups::expire() {
  const BackupRepository repository(folder());
  co_return co_await async::offload([&] {
    const BackupIdentity identity = repository.identity();
    const FolderLock lock(repository.folder(), FolderLock::Mode::alone, repository.user());
    repository.remove_remains();
    if (identity.tool == BackupTool::plain) return repository.expire(settings_.keep, identity.segment_bytes);
    std::vector<std::string> gone;
    for (const Backup& backup : repository.backups()) gone.push_back(backup.id);
    detail::PgBackRest(repository).expire(settings_.keep);
    for (const Backup& backup : repository.backups()) std::erase(gone, backup.id);
    return gone;
  });
}

Task<void> Backups::receive() {
  const BackupRepository repository(folder());
  ServerFacts facts = co_await facts_of(db_);
  co_await async::offload([&] {
    must_be_its_own(repository.identity(), facts, repository.folder());
    const std::string programs = (detail::server_programs(facts.version / 10000) / "pg_receivewal").string();
    const std::string to = "--directory=" + repository.log().string();
    detail::Program program{{programs, to, "--slot=ashlar_backup", "--no-password",
                             std::string(detail::kNoticeLostHosts), "--create-slot", "--if-not-exists"},
                            detail::libpq_environment(ConnectOptions::parse(db_.url())),
                            repository.user()};
    detail::must_run(program, "the server gives no slot for its log");
    program.arguments = {
        programs, to, "--slot=ashlar_backup", "--no-password", std::string(detail::kNoticeLostHosts), "--synchronous"};
    program.inherits_output = true;
    detail::must_run(program, "the log is not received any more");
  });
}

Task<Restored> Backups::restore(RestoreOptions options) {
  const BackupRepository repository(folder());
  co_return co_await async::offload([&] { return detail::restore_into(repository, options); });
}

Task<DrillReport> Backups::drill(DrillOptions options) {
  const BackupRepository repository(folder());
  const DateTime began = DateTime::now();
  std::optional<ServerFacts> facts;
  try {
    facts = co_await facts_of(db_);
  } catch (const Unavailable& error) {
    log::warn("the server cannot be asked: what a loss would lose is not known", {{"error", error}});
  }
  co_return co_await async::offload(
      [&] { return detail::run_drill(repository, options, facts, db_.options().check_queries, began); });
}

}  // namespace ashlar::pg
