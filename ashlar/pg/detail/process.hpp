// A child process that lives no longer than we do, perhaps under another user.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace ashlar::pg::detail {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  std::vector<gid_t> groups;
};

/// When this process is root: the user servers shall run as (`postgres`, else `nobody`). Else nullopt: run as
/// ourselves.
std::optional<User> unprivileged_user();

struct Spawn {
  std::vector<std::string> arguments;  ///< [0] is the full path of the program
  std::vector<std::string> environment;
  std::optional<User> user;
  std::string output_file;  ///< stdout and stderr are appended to it
  std::string folder = "/";
  int death_signal = 0;  ///< sent when the *thread* that spawns ends; 0: none
};

/// fork and exec. Throws Internal when exec fails (with the reason).
pid_t spawn(const Spawn& spawn);
/// Exit status as waitpid gives it.
int wait_for(pid_t pid) noexcept;
std::string describe_exit(int status);

}  // namespace ashlar::pg::detail
