#include <ashlar/app/detail/spawn.hpp>

#include <fmt/format.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include <ashlar/base/error.hpp>

namespace ashlar::detail {

std::string program_path(const char* argument) {
  struct stat running{};
  struct stat named{};
  const bool known = ::stat("/proc/self/exe", &running) == 0;
  // A symbolic link in it stays: a deployment may turn it to a new version.
  if (argument != nullptr && std::string_view(argument).find('/') != std::string_view::npos && known &&
      ::stat(argument, &named) == 0 && running.st_dev == named.st_dev && running.st_ino == named.st_ino) {
    return std::filesystem::absolute(argument).string();
  }
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  if (size <= 0 || size == sizeof path) throw Unavailable("cannot find this program's own file: is /proc mounted?");
  return {path, static_cast<std::size_t>(size)};
}

std::vector<std::string> environment_with(std::span<const std::string> without, std::string more) {
  std::vector<std::string> all;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const std::string_view variable = *one;
    const auto named = [&](const std::string& name) {
      return variable.size() > name.size() && variable.starts_with(name) && variable[name.size()] == '=';
    };
    if (std::ranges::none_of(without, named)) all.emplace_back(variable);
  }
  all.push_back(std::move(more));
  return all;
}

pid_t spawn(const Program& program) {
  const auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
    all.push_back(nullptr);
    return all;
  };
  const auto arguments = pointers(program.arguments);
  const auto environment = pointers(program.environment);

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  // The same number: glibc (2.29 and later) takes close-on-exec off.
  for (const int fd : program.inherit) ::posix_spawn_file_actions_adddup2(&files, fd, fd);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, program.path.c_str(), &files, &attributes, arguments.data(), environment.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw Unavailable(fmt::format("cannot start {}: {}", program.path, std::strerror(error)));
  return pid;
}

std::string describe_exit(int status) {
  if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return fmt::format("status {}", status);
  const char* name = ::sigdescr_np(WTERMSIG(status));
  return name == nullptr ? fmt::format("signal {}", WTERMSIG(status))
                         : fmt::format("signal {} ({})", WTERMSIG(status), name);
}

}  // namespace ashlar::detail
