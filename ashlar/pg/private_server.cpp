#include <ashlar/pg/private_server.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <sstream>
#include <system_error>
#include <thread>

#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/data_image.hpp>
#include <ashlar/pg/detail/process.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg {
namespace {

constexpr const char* kSocketFile = "ashlar.socket";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

/// Whether `user` may pass through every folder above `path`; names the first one it may not.
std::optional<fs::path> blocked_at(const fs::path& path, const detail::User& user) {
  fs::path walked;
  for (const auto& part : path) {
    walked /= part;
    struct stat info{};
    if (::stat(walked.c_str(), &info) != 0) return std::nullopt;  // not there yet: we shall make it
    const bool in_group = std::find(user.groups.begin(), user.groups.end(), info.st_gid) != user.groups.end();
    const mode_t bit = info.st_uid == user.uid ? S_IXUSR : in_group ? S_IXGRP : S_IXOTH;
    if ((info.st_mode & bit) == 0) return walked;
  }
  return std::nullopt;
}

void give_to(const fs::path& path, const std::optional<detail::User>& user) {
  if (user && ::lchown(path.c_str(), user->uid, user->gid) != 0)
    throw Internal(fmt::format("cannot give {} to the user {}: {}", path.string(), user->name, std::strerror(errno)));
}

fs::path make_temporary(std::string_view parent, const std::optional<detail::User>& user) {
  std::string pattern = fmt::format("{}/ashlar-XXXXXX", parent);
  if (::mkdtemp(pattern.data()) == nullptr)
    throw Internal(fmt::format("cannot make a folder in {}: {}", parent, std::strerror(errno)));
  give_to(pattern, user);
  return pattern;
}

/// Memory, where there is enough: copying a database there takes 10 ms instead of 400.
std::string_view throwaway_parent() {
  struct statvfs info{};
  constexpr std::uint64_t kEnough = 1U << 30;
  const bool roomy =
      ::statvfs("/dev/shm", &info) == 0 && static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize >= kEnough;
  return roomy && ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

/// The server that runs on this data folder, by its postmaster.pid: its process id, or 0. A stale file (the server was
/// killed, the number now belongs to something else) gives 0.
int running_on(const fs::path& data) {
  const auto lines = lines_of(read_file(data / "postmaster.pid"));
  if (lines.empty()) return 0;
  int pid = 0;
  std::from_chars(lines[0].data(), lines[0].data() + lines[0].size(), pid);
  if (pid <= 0 || (::kill(pid, 0) != 0 && errno == ESRCH)) return 0;
  const std::string name = read_file(fmt::format("/proc/{}/comm", pid));
  if (!name.starts_with("postgres") && !name.starts_with("postmaster")) return 0;
  std::error_code error;
  const fs::path where = fs::read_symlink(fmt::format("/proc/{}/cwd", pid), error);
  if (!error && !fs::equivalent(where, data, error)) return 0;
  const std::string status = read_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t after = status.rfind(')');
  if (after != std::string::npos && status.substr(after).starts_with(") Z")) return 0;
  return pid;
}

/// 0: it is gone.
int parent_of(int pid) {
  const std::string status = read_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t after = status.rfind(')');  // the name before it may hold anything: proc(5)
  int parent = 0;
  if (after != std::string::npos && after + 4 < status.size()) {
    std::from_chars(status.data() + after + 4, status.data() + status.size(), parent);
  }
  return parent;
}

/// A new server reads in postmaster.pid whether processes of a killed one still work on the data, and waits for their
/// end: the file must stay. Only when its number now belongs to another program would the new server refuse for ever.
void drop_foreign_pid_file(const fs::path& data) {
  int pid = 0;
  std::ifstream(data / "postmaster.pid") >> pid;
  std::error_code ignored;
  if (pid > 0 && ::kill(pid, 0) == 0 && running_on(data) == 0) fs::remove(data / "postmaster.pid", ignored);
}

/// Two programs that start on the same data at the same time take turns: the first makes it, the others attach.
class StartLock {
 public:
  explicit StartLock(const fs::path& data) : fd_(::open(data.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{90};
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return;  // a file system without locks
      if (std::chrono::steady_clock::now() > give_up) {
        ::close(fd_);
        throw Unavailable(
            fmt::format("another program has been starting PostgreSQL on {} for 90 s: stop it", data.string()));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }
  ~StartLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  StartLock(const StartLock&) = delete;
  StartLock& operator=(const StartLock&) = delete;

 private:
  int fd_;
};

std::vector<std::string> environment(const fs::path& binaries) {
  return {fmt::format("PATH={}:/usr/local/bin:/usr/bin:/bin", binaries.string()), "LC_ALL=C.UTF-8", "TZ=UTC"};
}

}  // namespace

// The server's parent is a thread of its own: PR_SET_PDEATHSIG fires when the thread that forked ends, not the process.
struct PrivateServer::Child {
  std::mutex mutex;
  std::condition_variable changed;
  bool started = false;
  bool ready = false;     // from then on it is started again when it ends
  bool stopping = false;  // unless we end it
  bool ended = false;     // for good
  int status = 0;
  std::exception_ptr error;
  std::thread keeper;
};

fs::path PrivateServer::find_binaries() {
  std::error_code error;
  fs::path best;
  int best_version = 0;
  const auto consider = [&](const fs::path& folder, std::string_view version_text) {
    int version = 0;
    std::from_chars(version_text.data(), version_text.data() + version_text.size(), version);
    if (version > best_version && ::access((folder / "postgres").c_str(), X_OK) == 0 &&
        ::access((folder / "initdb").c_str(), X_OK) == 0) {
      best = folder;
      best_version = version;
    }
  };
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error))
    consider(entry.path() / "bin", entry.path().filename().string());
  for (const auto& entry : fs::directory_iterator("/usr", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("pgsql-")) consider(entry.path() / "bin", name.substr(6));
  }
  if (!best.empty()) return best;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((fs::path(folder) / "postgres").c_str(), X_OK) == 0 &&
        ::access((fs::path(folder) / "initdb").c_str(), X_OK) == 0)
      return folder;
  }
  return {};
}

PrivateServer::PrivateServer(Options options) : options_(std::move(options)) {
  throwaway_ = options_.data.empty();
  if (options_.binaries.empty()) options_.binaries = find_binaries();
  if (options_.binaries.empty())
    throw Unavailable(
        "no PostgreSQL server is installed: `apt-get install postgresql` (or your system's package), or set "
        "DATABASE_URL to a server that runs already");
}

std::unique_ptr<PrivateServer> PrivateServer::start(Options options) {
  std::unique_ptr<PrivateServer> server(new PrivateServer(std::move(options)));
  server->prepare_folder();
  const StartLock lock(server->data_);
  if (!server->throwaway_ && server->attach()) return server;
  const bool fresh = !fs::exists(server->data_ / "PG_VERSION");
  const bool copied = fresh && server->initialise(server->throwaway_);
  try {
    server->launch();
    server->wait_ready();
  } catch (const Internal&) {
    if (!copied) throw;
    server->initialise(false);  // the image is broken: this server does without it, and leaves a new one
    server->launch();
    server->wait_ready();
  }
  if (!server->database_exists(server->options_.database)) server->create_database(server->options_.database);
  return server;
}

PrivateServer::~PrivateServer() {
  end(throwaway_ ? SIGQUIT : SIGINT);  // nothing is to be kept: without a checkpoint
  if (!owned_ || socket_folder_.empty()) return;
  std::error_code ignored;
  if (throwaway_) {
    fs::remove_all(data_.parent_path(), ignored);
  } else {
    fs::remove_all(socket_folder_, ignored);
  }
}

void PrivateServer::prepare_folder() {
  const auto user = detail::unprivileged_user();
  if (throwaway_) {
    data_ = make_temporary(throwaway_parent(), user);
    socket_folder_ = data_.string();
    data_ /= "data";
    fs::create_directory(data_);
    give_to(data_, user);
    ::chmod(data_.c_str(), 0700);
    return;
  }
  std::error_code error;
  data_ = fs::weakly_canonical(fs::absolute(options_.data), error);
  if (user) {
    if (const auto blocked = blocked_at(data_, *user)) {
      const fs::path elsewhere =
          fmt::format("/var/lib/ashlar/{}-{:08x}", data_.parent_path().parent_path().filename().string(),
                      static_cast<std::uint32_t>(std::hash<std::string>{}(data_.string())));
      notes_.push_back(fmt::format("PostgreSQL runs as the user {}, who may not enter {}: its data is in {}",
                                   user->name, blocked->string(), elsewhere.string()));
      fs::create_directories(data_.parent_path());
      if (!fs::exists(fs::symlink_status(data_))) fs::create_directory_symlink(elsewhere, data_, error);
      fs::create_directories(elsewhere.parent_path());
      fs::permissions(elsewhere.parent_path(), fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add,
                      error);
      data_ = elsewhere;
    }
  }
  if (!fs::create_directories(data_, error) && error)
    throw Internal(fmt::format("cannot make the data folder {}: {}; set ASHLAR_DATA_DIR to one that can be written",
                               data_.string(), error.message()));
  ::chmod(data_.c_str(), 0700);
  give_to(data_, user);
  const std::string version = read_file(data_ / "PG_VERSION");
  if (!version.empty()) {
    const std::string major = lines_of(version)[0];
    const fs::path folder = fmt::format("/usr/lib/postgresql/{}/bin", major);
    if (options_.binaries.string().find("/" + major + "/") == std::string::npos &&
        ::access((folder / "postgres").c_str(), X_OK) == 0)
      options_.binaries = folder;  // data of an older major version: use its own binaries while they are installed
  }
}

bool PrivateServer::initialise(bool from_image) {
  const auto user = detail::unprivileged_user();
  for (const auto& entry : fs::directory_iterator(data_)) {
    const bool known =
        entry.path().filename().string().starts_with("postgresql.log") || entry.path().filename() == kSocketFile;
    if (!throwaway_ && !known)
      throw Internal(fmt::format("{} is not empty and holds no PostgreSQL data ({} is in it): name another folder",
                                 data_.string(), entry.path().filename().string()));
    fs::remove_all(entry.path());
  }
  const fs::path log =
      fs::path(socket_folder_.empty() ? "/tmp" : socket_folder_) / fmt::format("ashlar-initdb-{}.log", ::getpid());
  detail::Spawn spawn;
  spawn.arguments = {(options_.binaries / "initdb").string(),
                     "--pgdata=" + data_.string(),
                     "--username=" + std::string(kUser),
                     "--auth-local=trust",
                     "--auth-host=reject",
                     "--encoding=UTF8",
                     "--locale=C.UTF-8",
                     "--no-instructions"};
  fs::path image;
  if (throwaway_) {
    spawn.arguments.insert(spawn.arguments.end(), {"--no-sync", "--wal-segsize=1"});
    const std::vector<std::string> arguments(spawn.arguments.begin() + 2, spawn.arguments.end());  // without the folder
    image = detail::image_of(options_.binaries, arguments);
    if (from_image && detail::copy_image(image, data_, user)) return true;
    if (!from_image) detail::drop_image(image);
  }
  spawn.environment = environment(options_.binaries);
  spawn.user = user;
  spawn.output_file = log.string();
  const int status = detail::wait_for(detail::spawn(spawn));
  const std::string output = read_file(log);
  std::error_code ignored;
  fs::remove(log, ignored);
  if (status != 0)
    throw Internal(fmt::format("initdb failed in {} ({}):\n{}", data_.string(), detail::describe_exit(status), output));
  if (throwaway_) detail::keep_image(image, data_);
  return false;
}

bool PrivateServer::attach() {
  using namespace std::chrono_literals;
  const auto give_up = std::chrono::steady_clock::now() + 15s;
  for (;;) {
    const int pid = running_on(data_);
    if (pid == 0) {
      drop_foreign_pid_file(data_);
      return false;
    }
    const auto lines = lines_of(read_file(data_ / "postmaster.pid"));
    if (lines.size() >= 5 && !lines[4].empty()) {
      socket_folder_ = lines[4];
      try {
        detail::BlockingClient client(socket_path(), kUser, "postgres", 2s);
        owned_ = false;
        pid_ = pid;
        running_ = true;
        of_parent_ = parent_of(pid) == ::getppid();
        if (!of_parent_) {
          notes_.push_back(
              fmt::format("using the PostgreSQL that another program runs on {} (process {})", data_.string(), pid));
        }
        if (!database_exists(options_.database)) create_database(options_.database);
        return true;
      } catch (const Error&) {
        // still starting, or shutting down after its program ended
      }
    }
    if (std::chrono::steady_clock::now() > give_up)
      throw Unavailable(
          fmt::format("a PostgreSQL server already runs on {} (process {}) and does not answer: stop it, or set "
                      "ASHLAR_DATA_DIR to another folder",
                      data_.string(), pid));
    std::this_thread::sleep_for(20ms);
  }
}

void PrivateServer::launch() {
  const auto user = detail::unprivileged_user();
  if (socket_folder_.empty() || !fs::exists(socket_folder_)) {
    // The same as last time, so that programs that were attached find it again.
    socket_folder_ = read_file(data_ / kSocketFile);
    if (socket_folder_.starts_with("/tmp/ashlar-")) {
      std::error_code ignored;
      fs::remove_all(socket_folder_, ignored);  // left by a program that was killed
      if (::mkdir(socket_folder_.c_str(), 0700) == 0) {
        give_to(socket_folder_, user);
      } else {
        socket_folder_.clear();  // somebody else has taken the name meanwhile
      }
    } else {
      socket_folder_.clear();
    }
    if (socket_folder_.empty()) {
      socket_folder_ = make_temporary("/tmp", user).string();  // short: a socket's path has at most 107 bytes
      std::ofstream(data_ / kSocketFile) << socket_folder_;
      give_to(data_ / kSocketFile, user);
    }
  }
  std::vector<std::pair<std::string, std::string>> settings = {
      {"listen_addresses", ""},
      {"unix_socket_directories", socket_folder_},
      {"unix_socket_permissions", "0700"},
      {"max_connections", "100"},
      {"jit", "off"},  // costs more than it gives for short statements
      {"logging_collector", "off"},
      {"log_timezone", "UTC"},
      {"timezone", "UTC"},
      {"log_checkpoints", "off"},
      {"cluster_name", "ashlar"},
  };
  if (throwaway_) {
    settings.insert(settings.end(), {{"fsync", "off"},
                                     {"synchronous_commit", "off"},
                                     {"full_page_writes", "off"},
                                     {"shared_buffers", "32MB"},
                                     {"wal_level", "minimal"},
                                     {"max_wal_senders", "0"},
                                     {"autovacuum", "off"},
                                     {"max_wal_size", "4GB"},
                                     {"deadlock_timeout", "100ms"}});
  } else {
    settings.insert(settings.end(), {{"shared_buffers", "128MB"}, {"random_page_cost", "1.1"}});
    // What statements cost, for `db top`. A library that is not there would keep the server from starting.
    if (fs::exists(options_.binaries.parent_path() / "lib" / "pg_stat_statements.so"))
      settings.emplace_back("shared_preload_libraries", "pg_stat_statements");
  }
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());

  detail::Spawn spawn;
  spawn.arguments = {(options_.binaries / "postgres").string(), "-D", data_.string()};
  for (const auto& [name, value] : settings) {
    spawn.arguments.emplace_back("-c");
    spawn.arguments.push_back(name + "=" + value);
  }
  spawn.environment = environment(options_.binaries);
  spawn.user = user;
  spawn.output_file = log_file().string();
  spawn.death_signal = SIGINT;  // fast shutdown

  auto child = std::make_shared<Child>();
  child->keeper = std::thread([this, child, spawn] { keep(*child, spawn); });
  child_ = child;
  std::unique_lock lock(child->mutex);
  child->changed.wait(lock, [&] { return child->started; });
  if (child->error) {
    lock.unlock();
    child->keeper.join();
    child_.reset();
    std::rethrow_exception(child->error);
  }
}

void PrivateServer::keep(Child& child, const detail::Spawn& spawn) {
  using namespace std::chrono_literals;
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);  // signals are for the program's threads
  std::unique_lock lock(child.mutex);
  for (auto pause = 50ms;;) {
    const auto began = std::chrono::steady_clock::now();
    try {
      pid_ = detail::spawn(spawn);
      running_ = true;
    } catch (...) {
      child.error = std::current_exception();
    }
    child.started = true;
    child.changed.notify_all();
    if (running_) {
      lock.unlock();
      const int status = detail::wait_for(pid_);
      lock.lock();
      running_ = false;
      child.status = status;
    }
    if (!child.ready || child.stopping) break;
    // It crashed, or somebody has stopped it: the program needs it. A server that does not stay is tried less often.
    if (std::chrono::steady_clock::now() - began > 10s) pause = 50ms;
    log::warn("the private PostgreSQL has ended and is started again",
              {{"reason", detail::describe_exit(child.status)}, {"pause_ms", pause.count()}});
    if (child.changed.wait_for(lock, pause, [&] { return child.stopping; })) break;
    pause = std::min<std::chrono::milliseconds>(pause * 2, 5s);
  }
  child.ended = true;
  child.changed.notify_all();
}

void PrivateServer::wait_ready() {
  using namespace std::chrono_literals;
  const auto start = std::chrono::steady_clock::now();
  int attempts = 0;
  for (;;) {
    try {
      const detail::BlockingClient client(socket_path(), kUser, "postgres", 5s);
      const std::lock_guard lock(child_->mutex);
      child_->ready = true;
      return;
    } catch (const Unavailable&) {
      // not listening yet, or still recovering
    }
    {
      std::unique_lock lock(child_->mutex);
      child_->changed.wait_for(lock, 5ms, [&] { return child_->ended; });
      if (child_->ended) {
        const int status = child_->status;
        lock.unlock();
        child_->keeper.join();
        child_.reset();
        const std::string log = log_end();
        // Processes of a killed server need a moment to notice and let its shared memory go.
        if (++attempts <= 40 && log.find("pre-existing shared memory block") != std::string::npos) {
          std::this_thread::sleep_for(50ms);
          launch();
          continue;
        }
        throw Internal(fmt::format("PostgreSQL did not start on {} ({}). The end of {}:\n{}", data_.string(),
                                   detail::describe_exit(status), log_file().string(), log));
      }
    }
    if (std::chrono::steady_clock::now() - start > 30s)
      throw Unavailable(fmt::format("PostgreSQL on {} is not ready after 30 s. The end of {}:\n{}", data_.string(),
                                    log_file().string(), log_end()));
  }
}

void PrivateServer::stop() noexcept { end(SIGINT); }

void PrivateServer::end(int signal) noexcept {
  using namespace std::chrono_literals;
  {
    const std::lock_guard lock(administering_);
    administrator_.reset();
  }
  if (owned_ && child_) {
    {
      std::unique_lock lock(child_->mutex);
      child_->stopping = true;
      child_->changed.notify_all();
      if (running_) ::kill(pid_, signal);
      if (!child_->changed.wait_for(lock, 10s, [&] { return child_->ended; })) {
        ::kill(pid_, SIGQUIT);
        if (!child_->changed.wait_for(lock, 5s, [&] { return child_->ended; })) ::kill(pid_, SIGKILL);
      }
    }
    child_->keeper.join();
    child_.reset();
  }
}

void PrivateServer::kill() noexcept {
  if (!owned_ || !child_) return;
  {
    std::unique_lock lock(child_->mutex);
    child_->stopping = true;
    child_->changed.notify_all();
    if (running_) ::kill(pid_, SIGKILL);
    child_->changed.wait(lock, [&] { return child_->ended; });
  }
  child_->keeper.join();
  child_.reset();
}

void PrivateServer::restart() {
  if (child_) stop();
  while (running_on(data_) != 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  drop_foreign_pid_file(data_);
  launch();
  wait_ready();
}

std::string PrivateServer::port() const {
  for (const auto& [name, value] : options_.settings) {
    if (name == "port") return value;
  }
  return "5432";  // of the socket's name; nothing listens on TCP unless asked to
}

std::string PrivateServer::socket_path() const { return fmt::format("{}/.s.PGSQL.{}", socket_folder_, port()); }

std::string PrivateServer::log_end() const {
  const auto lines = lines_of(read_file(log_file()));
  std::string out;
  for (std::size_t i = lines.size() > 15 ? lines.size() - 15 : 0; i < lines.size(); ++i) out += "  " + lines[i] + "\n";
  return out;
}

std::string PrivateServer::url(std::string_view database) const {
  const std::string number = port();
  return fmt::format("postgresql:///{}?host={}&user={}{}",
                     database.empty() ? std::string_view(options_.database) : database, socket_folder_, kUser,
                     number == "5432" ? "" : "&port=" + number);
}

}  // namespace ashlar::pg
