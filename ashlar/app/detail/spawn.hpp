// Starting a program anew, as a supervisor starts its workers.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

namespace ashlar::detail {

/// The path by which this program was started, so that a newer file at that path is what runs next: argv[0] when it is
/// a path of the program that runs, else where the kernel found it. Throws Unavailable when neither is known.
std::string program_path(const char* argument);

/// The environment of this process without the variables named, and with "name=value" more.
std::vector<std::string> environment_with(std::span<const std::string> without, std::string more);

struct Program {
  std::string path;
  std::vector<std::string> arguments;  ///< [0] too
  std::vector<std::string> environment;
  std::vector<int> inherit;  ///< descriptors that it gets, beside 0, 1 and 2, under the same numbers
};
/// fork and exec, with no signal blocked. Throws Unavailable with the reason, of exec too.
pid_t spawn(const Program& program);

/// "exit status 3", "signal 11 (Segmentation fault)".
std::string describe_exit(int status);

}  // namespace ashlar::detail
