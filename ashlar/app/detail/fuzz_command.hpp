// The command `fuzz` of every program.
#pragma once

#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/app/fuzz.hpp>

namespace CLI {  // NOLINT(readability-identifier-naming): as the library calls itself
class App;
}

namespace ashlar::detail {

struct FuzzCommand {
  FuzzOptions options;
  double seconds = 0;
  std::string report;
  bool logs = false;
  bool yes = false;
  bool throwaway = false;
};

/// `command` must live as long as the command line.
CLI::App* add_fuzz_command(CLI::App& cli, FuzzCommand& command);

/// Starts the application, tries it, tells, and stops it. The exit code: 1 with findings.
int run_fuzz(App& app, FuzzCommand command);

}  // namespace ashlar::detail
