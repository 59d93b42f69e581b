// Component: a part of a program with a life of its own, such as a database pool.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>

namespace ashlar::async {

class Loop;

/// A command that a component adds to the program's command line.
struct Command {
  std::string name;
  std::string help;
  std::function<Task<int>(std::vector<std::string> arguments)> run;  ///< gives the exit code
  bool needs_start = true;                                           ///< start() and start_loop() ran before it
};

/// Programs start their components in the order they were provided and stop them in reverse.
class Component {
 public:
  virtual ~Component() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// Before start(), for commands that fill it with made-up data: what it keeps shall go to a place of its own that is
  /// gone after stop(), whatever the settings say. False: it keeps nothing, or cannot.
  virtual bool use_throwaway() { return false; }
  /// Once, before any loop serves. Throws to refuse to serve, with a message that says what to do.
  virtual Task<void> start() { co_return; }
  /// Once, after every loop has drained.
  virtual Task<void> stop() { co_return; }
  /// In the supervisor of several worker processes, once for all of them: starts what they share, such as a private
  /// server, before the first of them starts; and stops it after the last has ended. Their own start() finds it
  /// running.
  virtual Task<void> start_shared() { co_return; }
  virtual Task<void> stop_shared() { co_return; }
  /// On each serving loop, before it serves and after it has drained.
  virtual Task<void> start_loop(Loop&) { co_return; }
  virtual Task<void> stop_loop(Loop&) { co_return; }
  /// Why requests cannot be served now, for /health/ready; nullopt when all is well. Cheap.
  virtual Task<std::optional<std::string>> unhealthy() { co_return std::nullopt; }
  /// Problems that `check` reports, one message each, saying where and what to do.
  virtual Task<std::vector<std::string>> check() { co_return std::vector<std::string>{}; }
  virtual std::vector<Command> commands() { return {}; }
  /// Settings for `settings`, as name and value with secrets already hidden.
  virtual std::vector<std::pair<std::string, std::string>> settings() { return {}; }
};

}  // namespace ashlar::async
