#include <ashlar/pg/detail/statistics_sampler.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/connect_options.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/statistics_reader.hpp>
#include <ashlar/pg/detail/statistics_rules.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg::detail {
namespace {

const log::Logger logger{"pg.statistics"};

// Tables, indexes, sequences, queries: more of them are not shown.
constexpr std::size_t kMostRows = 50;
// Sizes of all tables and estimates of bloat are read each so many samples.
constexpr std::uint64_t kHeavyEach = 10;
constexpr std::chrono::seconds kLongestSample{60};

constexpr auto kGauge = metrics::Kind::gauge;
constexpr auto kCounter = metrics::Kind::counter;

// Names are those of OpenTelemetry's PostgreSQL receiver, where it has one:
// https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/receiver/postgresqlreceiver
constexpr std::array kMetrics = std::to_array<SampledMetric>({
    {.name = "postgresql.db_size",
     .kind = kGauge,
     .unit = "By",
     .source = "overview.server",
     .column = "size",
     .help = "Size of the database."},
    {.name = "postgresql.commits",
     .kind = kCounter,
     .unit = "{transaction}",
     .source = "overview.server",
     .column = "commits",
     .help = "Transactions committed."},
    {.name = "postgresql.rollbacks",
     .kind = kCounter,
     .unit = "{transaction}",
     .source = "overview.server",
     .column = "rollbacks",
     .help = "Transactions rolled back."},
    {.name = "postgresql.deadlocks",
     .kind = kCounter,
     .unit = "{deadlock}",
     .source = "overview.server",
     .column = "deadlocks",
     .help = "Deadlocks."},
    {.name = "postgresql.temp.io",
     .kind = kCounter,
     .unit = "By",
     .source = "overview.server",
     .column = "temporary_files",
     .help = "Written to temporary files by queries."},
    {.name = "postgresql.uptime",
     .kind = kGauge,
     .unit = "s",
     .source = "overview.server",
     .column = "up",
     .help = "Since the server was started."},

    {.name = "postgresql.connection.max",
     .kind = kGauge,
     .unit = "{connection}",
     .source = "connections.use",
     .column = "max",
     .help = "max_connections."},
    {.name = "postgresql.connection.used",
     .kind = kGauge,
     .unit = "1",
     .source = "connections.use",
     .column = "share",
     .help = "Connections, of those that the server allows to all but superusers."},
    {.name = "postgresql.backends",
     .kind = kGauge,
     .unit = "{connection}",
     .source = "connections.use",
     .column = "active",
     .kind_label = "state",
     .kind_value = "active",
     .help = "Connections of programs."},
    {.name = "postgresql.backends",
     .kind = kGauge,
     .unit = "{connection}",
     .source = "connections.use",
     .column = "idle",
     .kind_label = "state",
     .kind_value = "idle"},
    {.name = "postgresql.backends",
     .kind = kGauge,
     .unit = "{connection}",
     .source = "connections.use",
     .column = "in_transaction",
     .kind_label = "state",
     .kind_value = "idle_in_transaction"},

    {.name = "postgresql.lock.waiting",
     .kind = kGauge,
     .unit = "{session}",
     .source = "locks.sessions",
     .column = "",
     .where = "waits",
     .help = "Sessions that wait for a lock."},
    {.name = "postgresql.lock.longest_wait",
     .kind = kGauge,
     .unit = "s",
     .source = "locks.sessions",
     .column = "waits",
     .where = "waits",
     .help = "The longest wait for a lock at this moment."},
    {.name = "postgresql.transaction.oldest",
     .kind = kGauge,
     .unit = "s",
     .source = "long.transactions",
     .column = "transaction",
     .where = "transaction",
     .help = "Age of the oldest open transaction."},

    {.name = "postgresql.cache.hits",
     .kind = kCounter,
     .unit = "By",
     .source = "cache.databases",
     .column = "found",
     .label = "database",
     .label_column = "database",
     .help = "Blocks found in shared_buffers."},
    {.name = "postgresql.cache.reads",
     .kind = kCounter,
     .unit = "By",
     .source = "cache.databases",
     .column = "read",
     .label = "database",
     .label_column = "database",
     .help = "Blocks read from the system."},

    {.name = "postgresql.table.size",
     .kind = kGauge,
     .unit = "By",
     .source = "tables.tables",
     .column = "total",
     .label = "table",
     .label_column = "table",
     .help = "Of a table with its indexes; the largest tables."},
    {.name = "postgresql.sequential_scans",
     .kind = kCounter,
     .unit = "{scan}",
     .source = "tables.tables",
     .column = "whole_reads",
     .label = "table",
     .label_column = "table",
     .help = "Reads of the whole table."},
    {.name = "postgresql.index.scans",
     .kind = kCounter,
     .unit = "{scan}",
     .source = "tables.tables",
     .column = "index_reads",
     .label = "table",
     .label_column = "table",
     .help = "Reads by an index of the table."},
    {.name = "postgresql.operations",
     .kind = kCounter,
     .unit = "{row}",
     .source = "tables.tables",
     .column = "inserts",
     .label = "table",
     .label_column = "table",
     .kind_label = "operation",
     .kind_value = "insert",
     .help = "Rows written."},
    {.name = "postgresql.operations",
     .kind = kCounter,
     .unit = "{row}",
     .source = "tables.tables",
     .column = "updates",
     .label = "table",
     .label_column = "table",
     .kind_label = "operation",
     .kind_value = "update"},
    {.name = "postgresql.operations",
     .kind = kCounter,
     .unit = "{row}",
     .source = "tables.tables",
     .column = "deletes",
     .label = "table",
     .label_column = "table",
     .kind_label = "operation",
     .kind_value = "delete"},
    {.name = "postgresql.rows",
     .kind = kGauge,
     .unit = "{row}",
     .source = "vacuum.tables",
     .column = "rows",
     .label = "table",
     .label_column = "table",
     .kind_label = "state",
     .kind_value = "live",
     .help = "Rows of a table; those with the most dead ones."},
    {.name = "postgresql.rows",
     .kind = kGauge,
     .unit = "{row}",
     .source = "vacuum.tables",
     .column = "dead",
     .label = "table",
     .label_column = "table",
     .kind_label = "state",
     .kind_value = "dead"},
    {.name = "postgresql.bloat",
     .kind = kGauge,
     .unit = "By",
     .source = "bloat.tables",
     .column = "bloat",
     .label = "table",
     .label_column = "table",
     .help = "Estimated waste of a table."},
    {.name = "postgresql.index.bloat",
     .kind = kGauge,
     .unit = "By",
     .source = "bloat.indexes",
     .column = "bloat",
     .label = "index",
     .label_column = "index",
     .help = "Estimated waste of a B-tree."},
    {.name = "postgresql.index.size",
     .kind = kGauge,
     .unit = "By",
     .source = "indexes.indexes",
     .column = "size",
     .label = "index",
     .label_column = "index",
     .help = "Of the largest indexes."},
    {.name = "postgresql.sequence.used",
     .kind = kGauge,
     .unit = "1",
     .source = "sequences.sequences",
     .column = "used",
     .label = "sequence",
     .label_column = "sequence",
     .help = "Of the numbers that a sequence and its column have."},

    {.name = "postgresql.replication.data_delay",
     .kind = kGauge,
     .unit = "By",
     .source = "replication.replicas",
     .column = "replayed",
     .label = "replica",
     .label_column = "replica",
     .help = "What a replica has not replayed."},
    {.name = "postgresql.wal.lag",
     .kind = kGauge,
     .unit = "s",
     .source = "replication.replicas",
     .column = "lag",
     .label = "replica",
     .label_column = "replica",
     .help = "How far a replica is behind."},
    {.name = "postgresql.replication.slot.kept",
     .kind = kGauge,
     .unit = "By",
     .source = "replication.slots",
     .column = "kept",
     .label = "slot",
     .label_column = "slot",
     .help = "WAL that is kept for a replication slot."},
    {.name = "postgresql.standby.lag",
     .kind = kGauge,
     .unit = "s",
     .source = "replication.standby",
     .column = "behind",
     .help = "How far this standby is behind."},

    {.name = "postgresql.wraparound",
     .kind = kGauge,
     .unit = "1",
     .source = "txid.databases",
     .column = "used",
     .label = "database",
     .label_column = "database",
     .kind_label = "of",
     .kind_value = "transactions",
     .help = "Numbers that are used up before the server stops to write."},
    {.name = "postgresql.wraparound",
     .kind = kGauge,
     .unit = "1",
     .source = "txid.databases",
     .column = "multixacts_used",
     .label = "database",
     .label_column = "database",
     .kind_label = "of",
     .kind_value = "multixacts"},

    {.name = "postgresql.query.calls",
     .kind = kCounter,
     .unit = "{call}",
     .source = "top.queries",
     .column = "calls",
     .label = "query",
     .label_column = "query",
     .help = "Of the program's queries that take the most time."},
    {.name = "postgresql.query.time",
     .kind = kCounter,
     .unit = "s",
     .source = "top.queries",
     .column = "total",
     .label = "query",
     .label_column = "query",
     .help = "Time on the server."},
    {.name = "postgresql.query.reads",
     .kind = kCounter,
     .unit = "By",
     .source = "top.queries",
     .column = "read",
     .label = "query",
     .label_column = "query",
     .help = "Read from the system for a query."},
});

std::string name_of(const std::string& url) {
  const ConnectOptions options = ConnectOptions::parse(url);
  return fmt::format("{}:{}/{}", options.hosts.front().host, options.hosts.front().port, options.database);
}

}  // namespace

std::span<const SampledMetric> sampled_metrics() noexcept { return kMetrics; }

std::vector<SampledValue> sampled_values(const Statistics& statistics) {
  std::vector<SampledValue> out;
  for (const SampledMetric& metric : kMetrics) {
    for (const StatisticsTable& table : statistics.tables) {
      if (metric.source != table.view + "." + table.name) continue;
      if (!metric.where.empty()) {
        double most = 0;
        for (std::size_t row = 0; row < table.rows.size(); ++row) {
          const auto value = table.number(row, metric.where);
          if (value) most = metric.column.empty() ? most + 1 : std::max(most, *value);
        }
        out.push_back({&metric, {}, most});
        continue;
      }
      std::map<std::string, double> by_label;  // two replicas may have one name
      for (std::size_t row = 0; row < table.rows.size(); ++row) {
        const auto value = table.number(row, metric.column);
        std::string label(metric.label.empty() ? std::string_view() : table.text(row, metric.label_column));
        if (!value || (!metric.label.empty() && label.empty())) continue;
        double& known = by_label.try_emplace(std::move(label), 0).first->second;
        known = metric.kind == kCounter ? known + *value : std::max(known, *value);
      }
      for (auto& [label, value] : by_label) out.push_back({&metric, label, value});
    }
  }
  return out;
}

/// Those of the program.
class StatisticsSampler::All {
 public:
  static All& instance() {
    static All all;
    return all;
  }
  void add(StatisticsSampler& one) {
    const std::lock_guard lock(mutex_);
    samplers_.push_back(&one);
  }
  void remove(StatisticsSampler& one) {
    const std::lock_guard lock(mutex_);
    std::erase(samplers_, &one);
  }
  /// Whether there are several databases in one registry, which must be told apart.
  bool has_several(const StatisticsSampler& one) {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(samplers_, [&](const StatisticsSampler* other) {
      return &other->registry_ == &one.registry_ && other->name_ != one.name_;
    });
  }
  /// Of several that look at one database, the one that samples speaks, and while none does, the first.
  bool speaks(const StatisticsSampler& one, State state) {
    const std::lock_guard lock(mutex_);
    bool is_before = true;
    for (const StatisticsSampler* other : samplers_) {
      if (other == &one) is_before = false;
      if (other == &one || &other->registry_ != &one.registry_ || other->name_ != one.name_) continue;
      const State of_other = other->state_;
      if (of_other == State::leader && (state != State::leader || is_before)) return false;
      if (of_other == State::down && state == State::down && is_before) return false;
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<StatisticsSampler*> samplers_;
};

StatisticsSampler::StatisticsSampler(Db& db, async::Loop& loop, std::chrono::milliseconds interval)
    : db_(db),
      loop_(loop),
      interval_(interval),
      name_(name_of(db.url())),
      registry_(metrics::default_registry()),
      collection_(metrics::default_registry().collect([this](metrics::Collector& out) { collect(out); })) {
  All::instance().add(*this);
  background_.start(run());
}

StatisticsSampler::~StatisticsSampler() {
  All::instance().remove(*this);
  collection_ = {};
}

Task<void> StatisticsSampler::stop() { co_await background_.stop(); }

Task<void> StatisticsSampler::run() {
  bool is_down = false;
  for (;;) {
    try {
      co_await async::sleep(is_down || samples_ > 0 ? interval_ : interval_ / 2);
      co_await db_.with_session([this](Connection& connection) { return sample_while_leader(connection); });
      is_down = false;
      continue;
    } catch (const Cancelled&) {
      break;
    } catch (...) {
      logger.write(is_down ? log::Level::debug : log::Level::warn, "the state of the database cannot be read",
                   {{"reason", explain(std::current_exception())}});
    }
    is_down = true;
    set_state(State::down);
  }
}

Task<void> StatisticsSampler::sample_while_leader(Connection& connection) {
  co_await StatisticsReader::prepare(connection, "ashlar statistics");
  const auto rows =
      co_await TextQuery(connection, "select pg_try_advisory_lock(hashtextextended('ashlar.statistics', 0))");
  if (rows.at(0).at(0) != "t") {
    set_state(State::follower);
    co_return;
  }
  samples_ = 0;  // what is known of sizes may be of long ago
  for (;;) {
    co_await async::timeout(kLongestSample, sample(connection));
    co_await async::sleep(interval_);
  }
}

Task<void> StatisticsSampler::sample(Connection& connection) {
  const auto began = async::Clock::now();
  StatisticsReader reader(db_, {.rows = kMostRows});
  reader.use_names_only();
  const bool with_heavy = samples_++ % kHeavyEach == 0;
  light_ = {};
  co_await reader.read_on(connection, "check", with_heavy, light_);
  co_await reader.read_statements(light_);
  if (with_heavy) heavy_ = {};
  for (StatisticsTable& table : std::exchange(light_.tables, {})) {
    const bool is_heavy = std::ranges::any_of(table_sources(), [&](const TableSource& source) {
      return source.is_heavy && source.view == table.view && source.name == table.name;
    });
    (is_heavy ? heavy_ : light_).tables.push_back(std::move(table));
  }
  for (Statistics* part : {&light_, &heavy_}) {
    part->alerts.clear();
    judge(*part, {});
  }
  {
    const std::lock_guard lock(mutex_);
    took_ = std::chrono::duration<double>(async::Clock::now() - began).count();
  }
  publish();
}

void StatisticsSampler::publish() {
  std::vector<SampledValue> values;
  std::vector<Alert> alerts;
  for (const Statistics* part : {&light_, &heavy_}) {
    for (SampledValue& value : sampled_values(*part)) values.push_back(std::move(value));
    alerts.insert(alerts.end(), part->alerts.begin(), part->alerts.end());
  }
  const std::lock_guard lock(mutex_);
  state_ = State::leader;
  values_.swap(values);
  alerts_.swap(alerts);
}

void StatisticsSampler::set_state(State state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
}

void StatisticsSampler::collect(metrics::Collector& out) {
  const std::lock_guard lock(mutex_);
  const State state = state_;
  if (state == State::unknown || state == State::follower) return;  // it is for another process to say
  if (!All::instance().speaks(*this, state)) return;
  const bool several = All::instance().has_several(*this);
  std::array<metrics::Label, 3> labels;
  labels[0] = {"db", name_};
  // Those of the database, and `count` more.
  const auto with = [&](std::size_t count) {
    return metrics::Labels{std::span<const metrics::Label>(labels).subspan(several ? 0 : 1, count + (several ? 1 : 0))};
  };
  out.gauge({.name = "postgresql.up", .help = "Whether the database answers."}, state == State::leader ? 1 : 0,
            with(0));
  if (state == State::down) return;
  out.gauge({.name = "postgresql.sample.duration", .help = "How long the last sample took.", .unit = "s"}, took_,
            with(0));
  for (const SampledValue& value : values_) {
    const SampledMetric& metric = *value.metric;
    std::size_t count = 0;
    if (!metric.label.empty()) labels.at(++count) = {metric.label, value.label};
    if (!metric.kind_label.empty()) labels.at(++count) = {metric.kind_label, metric.kind_value};
    const metrics::Description about{.name = metric.name, .help = metric.help, .unit = metric.unit};
    if (metric.kind == kCounter) {
      out.counter(about, value.value, with(count));
    } else {
      out.gauge(about, value.value, with(count));
    }
  }
  for (const AlertRule& rule : alert_rules()) {
    for (const AlertLevel level : {AlertLevel::warning, AlertLevel::critical}) {
      const auto count = std::ranges::count_if(
          alerts_, [&](const Alert& alert) { return alert.rule == rule.name && alert.level == level; });
      labels[1] = {"rule", rule.name};
      labels[2] = {"level", level == AlertLevel::critical ? "critical" : "warning"};
      out.gauge({.name = "postgresql.alerts", .help = "What is wrong by the rules of `db check`.", .unit = "{alert}"},
                static_cast<double>(count), with(2));
    }
  }
}

}  // namespace ashlar::pg::detail
