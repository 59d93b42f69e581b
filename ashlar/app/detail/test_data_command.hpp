// The command `test-data` of every program: values that its schemas take, for seeds, imports and tests by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <ashlar/app/app.hpp>

namespace CLI {  // NOLINT(readability-identifier-naming): as the library calls itself
class App;
}

namespace ashlar::detail {

struct TestDataCommand {
  std::string what;  // a schema of the document, or an operation with a body; empty: list them
  std::size_t count = 10;
  std::uint64_t seed = 1;
  bool wild = false;
  bool invalid = false;
  bool csv = false;
};

/// `command` must live as long as the command line.
CLI::App* add_test_data_command(CLI::App& cli, TestDataCommand& command);

/// Prints them. The exit code: 2 for a name that is none.
int run_test_data(App& app, const TestDataCommand& command);

}  // namespace ashlar::detail
