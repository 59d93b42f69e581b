// The command `bench` of every program: how fast each of its operations is, with requests made from its own document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>

namespace CLI {  // NOLINT(readability-identifier-naming): as the library calls itself
class App;
}

namespace ashlar::detail {

struct BenchCommand {
  std::vector<std::string> routes;
  std::string authorization;
  double seconds = 2;
  std::size_t concurrency = 8;
  std::uint64_t seed = 1;
  bool writes = false;
  bool json = false;
  bool logs = false;
};

/// `command` must live as long as the command line.
CLI::App* add_bench_command(CLI::App& cli, BenchCommand& command);

/// Starts the application, measures, tells, and stops it. The exit code: 1 when an operation answered with 500 or
/// above, 2 when nothing could be measured.
int run_bench(App& app, const BenchCommand& command);

}  // namespace ashlar::detail
