#include <ashlar/pg/detail/backup_recovery.hpp>

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/backup_program.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

using namespace std::chrono_literals;

/// What a server must have no less of than the one that wrote the log, by pg_controldata's words.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kNoLess{{
    {"max_connections", "max_connections setting"},
    {"max_worker_processes", "max_worker_processes setting"},
    {"max_wal_senders", "max_wal_senders setting"},
    {"max_prepared_transactions", "max_prepared_xacts setting"},
    {"max_locks_per_transaction", "max_locks_per_xact setting"},
}};

/// A drill reads whole tables, and hears nothing meanwhile.
constexpr auto kLongestQuery = 24h;

std::string after(std::string_view text, std::string_view words) {
  const std::size_t at = text.rfind(words);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + words.size());
  return std::string(rest.substr(0, rest.find('\n')));
}

void own(const fs::path& path, const std::optional<User>& user) {
  if (user && ::lchown(path.c_str(), user->uid, user->gid) != 0)
    throw Internal(fmt::format("cannot give {} to {}: {}", path.string(), user->name, std::strerror(errno)));
}

std::string value_of(const RestoreTarget& target) {
  if (target.kind != RestoreTarget::Kind::time) return target.value;
  std::string text = target.time.to_string();  // 2026-03-01T01:59:59.000Z
  text.back() = '+';
  return text + "00";
}

// To knock would leave a line in its log each time. https://www.postgresql.org/docs/current/storage-file-layout.html
bool is_ready(const fs::path& data) {
  std::ifstream in(data / "postmaster.pid");
  std::string line;
  for (int i = 0; i < 8; ++i) {
    if (!std::getline(in, line)) return false;
  }
  return line.starts_with("ready");
}

}  // namespace

ScratchServer::ScratchServer(Recovery recovery) : recovery_(std::move(recovery)) {
  folder_ = "/tmp/ashlar-XXXXXX";  // short: a socket's path has at most 107 bytes
  if (::mkdtemp(folder_.data()) == nullptr)
    throw Internal(fmt::format("cannot make a folder in /tmp: {}", std::strerror(errno)));
  log_file_ = recovery_.data / "recovery.log";
  try {
    launch();
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    throw;
  }
}

ScratchServer::~ScratchServer() {
  if (pid_ > 0) {
    ::kill(pid_, SIGQUIT);
    wait_for(pid_);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

// Settings of the cluster's own files do not count: where Debian keeps them outside, they are not in the backup; and
// those that are must not make it listen, log elsewhere, ask for passwords, or archive.
void ScratchServer::launch() {
  own(folder_, recovery_.user);
  write_durably(fs::path(folder_) / "postgresql.conf", "# All is on the command line.\n", recovery_.user, 0600);
  write_durably(fs::path(folder_) / "pg_hba.conf", "local all all trust\n", recovery_.user, 0600);
  write_durably(fs::path(folder_) / "pg_ident.conf", "", recovery_.user, 0600);
  write_durably(recovery_.data / "recovery.signal", "", recovery_.user, 0600);
  std::error_code ignored;
  fs::remove(recovery_.data / "standby.signal", ignored);

  std::vector<std::pair<std::string, std::string>> settings = {
      {"config_file", folder_ + "/postgresql.conf"},
      {"hba_file", folder_ + "/pg_hba.conf"},
      {"ident_file", folder_ + "/pg_ident.conf"},
      {"listen_addresses", ""},
      {"unix_socket_directories", folder_},
      {"unix_socket_permissions", "0700"},
      {"port", "5432"},
      {"ssl", "off"},
      {"logging_collector", "off"},
      {"log_destination", "stderr"},
      {"log_min_messages", "warning"},
      {"lc_messages", "C"},
      {"log_timezone", "UTC"},
      {"timezone", "UTC"},
      {"wal_level", "replica"},
      {"archive_mode", "off"},
      {"primary_conninfo", ""},
      {"synchronous_standby_names", ""},
      {"hot_standby", "off"},
      {"autovacuum", "off"},
      {"shared_buffers", "128MB"},
      {"fsync", recovery_.durable ? "on" : "off"},
      {"recovery_target_action", "promote"},
      {"recovery_target_timeline", recovery_.timeline.empty() ? "current" : recovery_.timeline},
      {"recovery_target", ""},
      {"recovery_target_name", ""},
  };
  // An empty one takes back another that was set before it: the target comes last.
  constexpr std::array<std::pair<RestoreTarget::Kind, const char*>, 3> kTargets{
      {{RestoreTarget::Kind::time, "recovery_target_time"},
       {RestoreTarget::Kind::lsn, "recovery_target_lsn"},
       {RestoreTarget::Kind::transaction, "recovery_target_xid"}}};
  for (const auto& [kind, name] : kTargets) {
    if (kind != recovery_.target.kind) settings.emplace_back(name, "");
  }
  for (const auto& [kind, name] : kTargets) {
    if (kind == recovery_.target.kind) settings.emplace_back(name, value_of(recovery_.target));
  }
  if (!recovery_.restore_command.empty()) settings.emplace_back("restore_command", recovery_.restore_command);
  const auto control = control_data(recovery_.programs, recovery_.data, recovery_.user);
  for (const auto& [setting, words] : kNoLess) {
    if (const auto found = control.find(words); found != control.end())
      settings.emplace_back(std::string(setting), found->second);
  }

  Spawn spawn;
  spawn.arguments = {(recovery_.programs / "postgres").string(), "-D", recovery_.data.string()};
  for (const auto& [name, value] : settings) {
    spawn.arguments.emplace_back("-c");
    spawn.arguments.push_back(name + "=" + value);
  }
  spawn.environment = {fmt::format("PATH={}:/usr/local/bin:/usr/bin:/bin", recovery_.programs.string()),
                       "LC_ALL=C.UTF-8", "TZ=UTC"};
  spawn.user = recovery_.user;
  spawn.output_file = log_file_.string();
  spawn.death_signal = SIGINT;
  pid_ = detail::spawn(spawn);
}

Replayed ScratchServer::wait() {
  auto tell = std::chrono::steady_clock::now() + 10s;
  for (;;) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = 0;
      fail(status);
    }
    if (is_ready(recovery_.data)) break;
    if (std::chrono::steady_clock::now() > tell) {
      tell += 10s;
      log::info("recovery goes on", {{"last", after(read_text(log_file_), "LOG:  ")}});
    }
    std::this_thread::sleep_for(10ms);
  }
  Replayed out = replayed();
  const auto rows =
      query("postgres", "select pg_snapshot_xmax(pg_current_snapshot())::text, pg_walfile_name(pg_current_wal_lsn())");
  const std::string next = rows.at(0).at(0).value_or("0");
  std::from_chars(next.data(), next.data() + next.size(), out.next_transaction);
  const std::string name = rows.at(0).at(1).value_or("");
  std::from_chars(name.data(), name.data() + std::min<std::size_t>(8, name.size()), out.timeline, 16);
  return out;
}

Replayed ScratchServer::replayed() const {
  const std::string text = read_text(log_file_);
  Replayed out;
  const std::string done = after(text, "redo done at ");
  out.reached_lsn = done.substr(0, done.find(' '));
  constexpr std::string_view kRestored = "restored log file \"";
  for (std::size_t at = text.find(kRestored); at != std::string::npos; at = text.find(kRestored, at + 1)) {
    const std::string name =
        text.substr(at + kRestored.size(), text.find('"', at + kRestored.size()) - at - kRestored.size());
    if (!name.ends_with(".history")) out.last_piece = name;
  }
  std::string time = after(text, "last completed transaction was at log time ");
  time = time.substr(0, time.rfind('+'));
  out.last_transaction_at = DateTime::parse(time);
  return out;
}

void ScratchServer::fail(int status) const {
  const std::string text = read_text(log_file_);
  std::string reason = after(text, "FATAL:  ");
  for (const std::string_view script : {"restore-wal: ", "gzip: "}) {
    if (const std::string said = after(text, script); !said.empty()) reason += fmt::format("; {}{}", script, said);
  }
  if (const std::string last = after(text, "last completed transaction was at log time "); !last.empty())
    reason += fmt::format("; the last transaction of the log that is there was at {}", last);
  throw Internal(fmt::format("the log could not be replayed: {} ({}). The end of the server's own log:\n{}",
                             reason.empty() ? "PostgreSQL ended" : reason, describe_exit(status), last_lines(text)));
}

void ScratchServer::stop() {
  ::kill(pid_, SIGINT);
  const int status = wait_for(pid_);
  pid_ = 0;
  if (status != 0)
    throw Internal(fmt::format("the restored server did not end well ({}):\n{}", describe_exit(status),
                               last_lines(read_text(log_file_))));
}

std::string ScratchServer::url(std::string_view database) const {
  return fmt::format("postgresql:///{}?host={}&user={}", database, folder_, recovery_.superuser);
}

std::vector<std::string> ScratchServer::environment(std::string_view database) const {
  return {"PGHOST=" + folder_, "PGPORT=5432", "PGUSER=" + recovery_.superuser, fmt::format("PGDATABASE={}", database)};
}

std::vector<BlockingClient::Row> ScratchServer::query(std::string_view database, std::string_view sql) const {
  return BlockingClient(socket(), recovery_.superuser, database, kLongestQuery).query(sql);
}

}  // namespace ashlar::pg::detail
