// Reads the state of the database for /metrics, every now and then, over a connection of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/detail/background.hpp>
#include <ashlar/pg/statistics.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
class Db;
}

namespace ashlar::pg::detail {

class Connection;

/// Where a metric comes from: a column of a table of the statistics.
struct SampledMetric {
  std::string_view name;
  metrics::Kind kind;
  std::string_view unit;
  std::string_view source;             ///< "view.table"
  std::string_view column;             ///< empty: the number of rows
  std::string_view label = {};         ///< name of a label…
  std::string_view label_column = {};  ///< …and the column with its values; rows without one are left out
  std::string_view kind_label = {};    ///< a second label, whose value is always…
  std::string_view kind_value = {};
  std::string_view where = {};  ///< only rows where this column is not empty; the largest value of all rows counts
  std::string_view help = {};
};
[[nodiscard]] std::span<const SampledMetric> sampled_metrics() noexcept;

/// One value of one metric, as of the last sample.
struct SampledValue {
  const SampledMetric* metric = nullptr;
  std::string label;
  double value = 0;
};
[[nodiscard]] std::vector<SampledValue> sampled_values(const Statistics& statistics);

/// Of all processes that use the database one samples: who holds an advisory lock. The others ask for it each time.
/// Where a program has several databases, the series of each say which, by a label `db`. Belongs to the loop it is made
/// on.
class StatisticsSampler {
 public:
  StatisticsSampler(Db& db, async::Loop& loop, std::chrono::milliseconds interval);
  ~StatisticsSampler();
  StatisticsSampler(const StatisticsSampler&) = delete;
  StatisticsSampler& operator=(const StatisticsSampler&) = delete;

  Task<void> stop();
  [[nodiscard]] async::Loop& loop() const noexcept { return loop_; }

 private:
  class All;
  enum class State : std::uint8_t { unknown, follower, leader, down };

  Task<void> run();
  Task<void> sample_while_leader(Connection& connection);
  Task<void> sample(Connection& connection);
  void collect(metrics::Collector& out);
  /// What a scrape shows from now on.
  void publish();
  void set_state(State state);

  Db& db_;
  async::Loop& loop_;
  std::chrono::milliseconds interval_;
  const std::string name_;  // "host:port/database"
  const metrics::Registry& registry_;
  std::uint64_t samples_ = 0;
  Statistics light_;  // of this sample
  Statistics heavy_;  // of one of the last few
  std::mutex mutex_;  // of what follows: a scrape is on another thread
  std::vector<SampledValue> values_;
  std::vector<Alert> alerts_;
  double took_ = 0;
  std::atomic<State> state_ = State::unknown;
  metrics::Registry::Collection collection_;
  Background background_;
};

}  // namespace ashlar::pg::detail
