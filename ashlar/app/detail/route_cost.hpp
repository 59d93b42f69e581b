// What each route costs: the processor time of the loops, by what they run.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <ashlar/app/middleware.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

/// Processor time by what used it. A loop's time since it was last seen at work goes to what it is seen at now: the sum
/// is exact, the parts are a sample.
class CostTable {
 public:
  explicit CostTable(unsigned loops) : loops_(loops) {}

  /// What a loop's thread has used so far is nobody's.
  void begin(unsigned loop, std::chrono::nanoseconds used) { loops_[loop] = used; }
  /// A look at a loop, whose thread has used `used` since it began. `running`: "GET /x" or "middleware X", of static
  /// storage, as Loop::running_route() gives it; null: the server itself. Not busy: it sleeps.
  void see(unsigned loop, bool busy, const char* running, std::chrono::nanoseconds used);
  /// ashlar_cpu_seconds_total. Any thread.
  void collect(metrics::Collector& out) const;

 private:
  struct Cost {
    std::string method, route, middleware;
    std::chrono::nanoseconds time{};
  };
  mutable std::mutex mutex_;
  std::vector<std::chrono::nanoseconds> loops_;  // of each, what has been counted
  std::unordered_map<const char*, Cost> costs_;
};

/// Looks at the loops of a runtime from a thread of its own, about 100 times a second. They do nothing for it.
class RouteCost {
 public:
  explicit RouteCost(async::Runtime& runtime);
  ~RouteCost();
  RouteCost(const RouteCost&) = delete;
  RouteCost& operator=(const RouteCost&) = delete;
  void collect(metrics::Collector& out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same middleware, which says on its loop when it runs.
std::shared_ptr<Middleware> measured(std::shared_ptr<Middleware> middleware);

/// What the metrics of a service say about it, as a table for people. Empty: it does not measure.
std::string cost_table(std::string_view exposition);
/// `routes --cost URL`: asks the service for its metrics, and prints the table. Gives the exit code; throws what
/// http::Client does.
int print_route_cost(std::string url, std::string_view metrics_path);

}  // namespace ashlar::detail
