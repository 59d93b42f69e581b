#include <ashlar/pg/detail/process.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <ashlar/base/error.hpp>

namespace ashlar::pg::detail {

std::optional<User> unprivileged_user() {
  if (::geteuid() != 0) return std::nullopt;
  for (const char* name : {"postgres", "nobody"}) {
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) continue;
    User user{entry.pw_uid, entry.pw_gid, name, {}};
    int count = 64;
    user.groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(name, entry.pw_gid, user.groups.data(), &count) < 0) count = 0;
    user.groups.resize(static_cast<std::size_t>(count));
    if (user.groups.empty()) user.groups.push_back(user.gid);
    return user;
  }
  throw Internal(
      "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as: "
      "start the program as an ordinary user, or set DATABASE_URL");
}

pid_t spawn(const Spawn& spawn) {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  for (const auto& text : spawn.arguments) arguments.push_back(const_cast<char*>(text.c_str()));
  for (const auto& text : spawn.environment) environment.push_back(const_cast<char*>(text.c_str()));
  arguments.push_back(nullptr);
  environment.push_back(nullptr);

  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) throw Internal(fmt::format("pipe: {}", std::strerror(errno)));
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Only async-signal-safe calls from here: other threads of the parent may have held locks.
    const auto fail = [&](const char* what) {
      const int error = errno;
      char text[64];
      std::size_t n = 0;
      while (what[n] != 0 && n < 56) {
        text[n] = what[n];
        ++n;
      }
      std::memcpy(text + n, &error, sizeof error);
      [[maybe_unused]] const auto written = ::write(report[1], text, n + sizeof error);
      ::_exit(127);
    };
    ::setpgid(0, 0);  // Ctrl-C in the terminal is for us; we stop the child when we have drained
    const int null = ::open("/dev/null", O_RDWR);
    if (null >= 0) ::dup2(null, 0);
    if (!spawn.output_file.empty()) {
      const int log = ::open(spawn.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (log < 0) fail("open the log");
      if (spawn.user && ::fchown(log, spawn.user->uid, spawn.user->gid) != 0) fail("chown the log");
      ::dup2(log, 1);
      ::dup2(log, 2);
    }
    for (int fd = 3; fd < 1024; ++fd) {
      if (fd != report[1]) ::close(fd);
    }
    if (spawn.user) {
      if (::setgroups(spawn.user->groups.size(), spawn.user->groups.data()) != 0) fail("setgroups");
      if (::setgid(spawn.user->gid) != 0) fail("setgid");
      if (::setuid(spawn.user->uid) != 0) fail("setuid");
    }
    if (::chdir(spawn.folder.c_str()) != 0) fail("chdir");
    ::umask(0077);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int sig = 1; sig < 32; ++sig) {
      if (sig != SIGKILL && sig != SIGSTOP) ::signal(sig, SIG_DFL);
    }
    if (spawn.death_signal != 0) {  // after setuid, which clears it
      ::prctl(PR_SET_PDEATHSIG, spawn.death_signal);
      if (::getppid() != parent) ::_exit(127);
    }
    ::execve(arguments[0], arguments.data(), environment.data());
    fail("exec");
  }
  const int fork_error = errno;
  ::close(report[1]);
  if (pid < 0) {
    ::close(report[0]);
    throw Internal(fmt::format("fork: {}", std::strerror(fork_error)));
  }
  ::setpgid(pid, pid);
  char text[80];
  ssize_t n = 0;
  do {
    n = ::read(report[0], text, sizeof text);
  } while (n < 0 && errno == EINTR);
  ::close(report[0]);
  if (n > static_cast<ssize_t>(sizeof(int))) {
    int error = 0;
    std::memcpy(&error, text + n - sizeof error, sizeof error);
    wait_for(pid);
    throw Internal(fmt::format("cannot start {}: {}: {}", spawn.arguments[0],
                               std::string_view(text, static_cast<std::size_t>(n) - sizeof error),
                               std::strerror(error)));
  }
  return pid;
}

int wait_for(pid_t pid) noexcept {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string describe_exit(int status) {
  if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return fmt::format("signal {}", WTERMSIG(status));
  return fmt::format("status {}", status);
}

}  // namespace ashlar::pg::detail
