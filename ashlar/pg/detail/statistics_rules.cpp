#include <ashlar/pg/detail/statistics_rules.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/statistics_text.hpp>

namespace ashlar::pg {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kGigabyte = 1 << 30;
// What is small does no harm.
constexpr double kSmallBloat = 100 << 20;
constexpr double kFewRows = 10'000;

constexpr std::array kRules = std::to_array<AlertRule>({
    {"connections", Measure::share, 0.8, 0.95, "connections, of those that the server allows"},
    {"blocked", Measure::seconds, 30, 300, "how long a session has waited for a lock"},
    {"idle-in-transaction", Measure::seconds, 300, 3600, "how long a session has done nothing in a transaction"},
    {"long-transaction", Measure::seconds, 1800, 6 * 3600, "age of a transaction"},
    {"prepared-transaction", Measure::seconds, 3600, 24 * 3600, "age of a prepared transaction"},
    {"cache-hits", Measure::share, 0.95, 0.8, "blocks found in shared_buffers, when 1 GB was read"},
    {"dead-rows", Measure::share, 0.3, 0.6, "dead rows of a table, beyond twice autovacuum's threshold"},
    {"table-bloat", Measure::share, 0.5, 0.8, "estimated waste of a table, from 100 MB on"},
    {"index-bloat", Measure::share, 0.5, 0.8, "estimated waste of a B-tree, from 100 MB on"},
    {"invalid-index", Measure::number, 1, kNever, "indexes that are written and never read"},
    {"replication-lag", Measure::seconds, 60, 600, "how far a replica is behind"},
    {"replication-lag-bytes", Measure::bytes, kGigabyte, 10 * kGigabyte, "what a replica has not replayed"},
    {"slot-kept", Measure::bytes, 10 * kGigabyte, 100 * kGigabyte, "WAL that is kept for a replication slot"},
    {"slot-lost", Measure::number, kNever, 1, "replication slots whose WAL is gone"},
    {"sequence", Measure::share, 0.75, 0.9, "used of a sequence, or of its column's type"},
    {"transaction-ids", Measure::share, 0.4, 0.75, "transaction numbers used before the server stops to write"},
    {"multixacts", Measure::share, 0.4, 0.75, "multixact numbers used before the server stops to write"},
    {"held-back", Measure::number, 1e7, 1e8, "transactions since which no dead row can be removed"},
    {"checksum-failures", Measure::number, kNever, 1, "blocks that were not as they had been written"},
    {"fsync-off", Measure::number, kNever, 1, "a crash of the machine loses the database"},
    {"autovacuum-off", Measure::number, 1, kNever, "nothing removes dead rows or freezes old ones"},
});

class Judge {
 public:
  Judge(Statistics& statistics, const StatisticsOptions& options) : statistics_(statistics), options_(options) {}

  void table(const StatisticsTable& table) {
    const std::string key = table.view + "." + table.name;
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      if (key == "overview.server") server(table, row);
      if (key == "connections.use") connections(table, row);
      if (key == "locks.sessions") waits(table, row);
      if (key.starts_with("long.")) transactions(table, row);
      if (key == "cache.databases" && row == 0) cache(table, row);
      if (key == "vacuum.tables") dead_rows(table, row);
      if (key.starts_with("bloat.")) bloat(table, row);
      if (key == "indexes.indexes" && table.text(row, "valid") == "f")
        raise("invalid-index", 1, table.text(row, "index"), "is invalid: writes pay for it, reads never use it",
              "drop index concurrently, and make it again");
      if (key.starts_with("replication.")) replication(table, row);
      if (key == "sequences.sequences") sequence(table, row);
      if (key.starts_with("txid.")) wraparound(table, row);
    }
  }

 private:
  static std::string show(Measure measure, std::optional<double> value) {
    return detail::format_measure(measure, value.value_or(0));
  }

  void raise(std::string_view rule, std::optional<double> value, std::string_view subject, std::string message,
             std::string advice) {
    if (!value || std::ranges::find(options_.allow, rule) != options_.allow.end()) return;
    const auto& known = *std::ranges::find(kRules, rule, &AlertRule::name);
    double warning = known.warning;
    double critical = known.critical;
    for (const AlertLimit& limit : options_.limits) {
      if (limit.rule == rule) std::tie(warning, critical) = std::pair{limit.warning, limit.critical};
    }
    const bool below = known.critical < known.warning && known.warning != kNever;
    const auto beyond = [&](double limit) { return below ? *value < limit : *value >= limit; };
    if (!beyond(warning) && !beyond(critical)) return;
    statistics_.alerts.push_back({.rule = std::string(rule),
                                  .level = beyond(critical) ? AlertLevel::critical : AlertLevel::warning,
                                  .subject = std::string(subject),
                                  .message = std::move(message),
                                  .advice = std::move(advice)});
  }

  void server(const StatisticsTable& t, std::size_t row) {
    raise("checksum-failures", t.number(row, "checksum_failures"), t.text(row, "database"),
          fmt::format("{} blocks did not have the checksum they were written with",
                      show(Measure::number, t.number(row, "checksum_failures"))),
          "the disk or the memory is failing: restore a backup on another machine");
    raise("fsync-off", t.text(row, "fsync") == "off" ? 1 : 0, "",
          "fsync is off: a crash of the machine loses the database",
          "set fsync = on and reload, unless the data may be lost");
    raise("autovacuum-off", t.text(row, "autovacuum") == "off" ? 1 : 0, "",
          "autovacuum is off: dead rows stay, and transaction numbers run out", "set autovacuum = on and reload");
  }

  void connections(const StatisticsTable& t, std::size_t row) {
    raise(
        "connections", t.number(row, "share"), "",
        fmt::format("{} of {} connections are used", t.text(row, "used"), t.text(row, "max")),
        "see `db connections`: lower the connections of each loop in pg::Options, pool them, or raise max_connections");
  }

  void waits(const StatisticsTable& t, std::size_t row) {
    if (t.text(row, "blocked_by").empty()) return;
    raise(
        "blocked", t.number(row, "waits"), t.text(row, "session"),
        fmt::format("has waited {} for {} in {}; blocked by {}", show(Measure::seconds, t.number(row, "waits")),
                    t.text(row, "wants"), detail::in_one_line(t.text(row, "statement"), 80), t.text(row, "blocked_by")),
        fmt::format("end the one at the top of `db locks`: select pg_terminate_backend(…)"));
  }

  void transactions(const StatisticsTable& t, std::size_t row) {
    if (t.name == "prepared") {
      return raise(
          "prepared-transaction", t.number(row, "age"), t.text(row, "name"),
          fmt::format("was prepared {} ago, and holds its locks", show(Measure::seconds, t.number(row, "age"))),
          fmt::format("commit prepared '{0}', or rollback prepared '{0}'", t.text(row, "name")));
    }
    const std::string statement = detail::in_one_line(t.text(row, "statement"), 80);
    const std::string end = fmt::format("select pg_terminate_backend({})", t.text(row, "session"));
    if (t.text(row, "state").starts_with("idle in transaction"))
      raise("idle-in-transaction", t.number(row, "in_state"), t.text(row, "session"),
            fmt::format("has done nothing in its transaction for {}; its last statement: {}",
                        show(Measure::seconds, t.number(row, "in_state")), statement),
            "commit before waiting for something else; idle_in_transaction_session_timeout ends such sessions; " + end);
    raise("long-transaction", t.number(row, "transaction"), t.text(row, "session"),
          fmt::format("has been in a transaction for {}: {}", show(Measure::seconds, t.number(row, "transaction")),
                      statement),
          "dead rows of all tables stay until it ends: make it shorter; " + end);
  }

  void cache(const StatisticsTable& t, std::size_t row) {
    if (t.number(row, "read").value_or(0) < kGigabyte) return;
    raise("cache-hits", t.number(row, "hits"), t.text(row, "database"),
          fmt::format("only {} of blocks are found in shared_buffers", show(Measure::share, t.number(row, "hits"))),
          "see `db top --by read` for the queries that read, `advise` for indexes; then shared_buffers");
  }

  void dead_rows(const StatisticsTable& t, std::size_t row) {
    const double dead = t.number(row, "dead").value_or(0);
    if (dead < kFewRows || dead < 2 * t.number(row, "threshold").value_or(0)) return;
    const bool off = t.text(row, "autovacuum") == "f";
    raise("dead-rows", t.number(row, "dead_share"), t.text(row, "table"),
          fmt::format("has {} dead rows, {} of all", show(Measure::number, dead),
                      show(Measure::share, t.number(row, "dead_share"))),
          fmt::format(
              "vacuum {}; then {}", t.text(row, "table"),
              off ? "switch its autovacuum on" : "see `db txid` for what holds them, or let autovacuum work more"));
  }

  void bloat(const StatisticsTable& t, std::size_t row) {
    if (t.number(row, "bloat").value_or(0) < kSmallBloat) return;
    const bool index = t.name == "indexes";
    const std::string_view name = t.text(row, index ? "index" : "table");
    raise(index ? "index-bloat" : "table-bloat", t.number(row, "share"), name,
          fmt::format("about {} of its {} are empty", show(Measure::bytes, t.number(row, "bloat")),
                      show(Measure::bytes, t.number(row, "size"))),
          index ? fmt::format("reindex index concurrently {}", name)
                : fmt::format("new rows fill it; to shrink it: pg_repack, or `vacuum full {}`, which locks it", name));
  }

  void replication(const StatisticsTable& t, std::size_t row) {
    if (t.name == "replicas") {
      const std::string advice = "see the replica's load and network, and queries there that stop the replay";
      raise("replication-lag", t.number(row, "lag"), t.text(row, "replica"),
            fmt::format("is {} behind", show(Measure::seconds, t.number(row, "lag"))), advice);
      raise("replication-lag-bytes", t.number(row, "replayed"), t.text(row, "replica"),
            fmt::format("has not replayed {}", show(Measure::bytes, t.number(row, "replayed"))), advice);
    } else if (t.name == "slots") {
      const std::string drop =
          fmt::format("start its consumer, or pg_drop_replication_slot('{}')", t.text(row, "slot"));
      raise("slot-kept", t.number(row, "kept"), t.text(row, "slot"),
            fmt::format("keeps {} of WAL from being removed", show(Measure::bytes, t.number(row, "kept"))), drop);
      raise("slot-lost", t.text(row, "state") == "lost" ? 1 : 0, t.text(row, "slot"),
            "needs WAL that is gone: its consumer cannot go on", drop);
    } else {
      raise("replication-lag", t.number(row, "behind"), "this standby",
            fmt::format("is {} behind", show(Measure::seconds, t.number(row, "behind"))),
            "see its load, and queries here that stop the replay");
    }
  }

  void sequence(const StatisticsTable& t, std::size_t row) {
    if (t.text(row, "cycles") == "t") return;
    const std::string_view column = t.text(row, "column");
    raise("sequence", t.number(row, "used"), t.text(row, "sequence"),
          fmt::format("has used {} of its numbers{}: {} of {}", show(Measure::share, t.number(row, "used")),
                      column.empty() ? "" : fmt::format(" for {} ({})", column, t.text(row, "type")),
                      t.text(row, "last"), t.text(row, "limit")),
          "make the column and the sequence bigint before inserts fail");
  }

  void wraparound(const StatisticsTable& t, std::size_t row) {
    if (t.name == "databases") {
      const std::string_view name = t.text(row, "database");
      const std::string advice =
          "vacuum freeze the tables at the top of `db txid`, after what it shows to hold them back";
      raise("transaction-ids", t.number(row, "used"), name,
            fmt::format("has used {} of its transaction numbers; at 100 % it takes no writes",
                        show(Measure::share, t.number(row, "used"))),
            advice);
      raise("multixacts", t.number(row, "multixacts_used"), name,
            fmt::format("has used {} of its multixact numbers; at 100 % it takes no writes",
                        show(Measure::share, t.number(row, "multixacts_used"))),
            advice);
    } else if (t.name == "holders") {
      raise("held-back", t.number(row, "transactions"), fmt::format("{} {}", t.text(row, "kind"), t.text(row, "name")),
            fmt::format("keeps rows that died in the last {} transactions from being removed",
                        show(Measure::number, t.number(row, "transactions"))),
            "end the session, commit the prepared transaction, or drop the slot");
    }
  }

  Statistics& statistics_;
  const StatisticsOptions& options_;
};

void check_rule(std::string_view name) {
  if (std::ranges::find(kRules, name, &AlertRule::name) != kRules.end()) return;
  std::string all;
  for (const AlertRule& rule : kRules) all += fmt::format("{}{}", all.empty() ? "" : ", ", rule.name);
  throw Invalid(fmt::format("`{}` is no rule; there are {}", name, all));
}

}  // namespace

std::span<const AlertRule> alert_rules() noexcept { return kRules; }

namespace detail {

void check_rules(const StatisticsOptions& options) {
  for (const AlertLimit& limit : options.limits) check_rule(limit.rule);
  for (const std::string& name : options.allow) check_rule(name);
}

void judge(Statistics& statistics, const StatisticsOptions& options) {
  Judge judge(statistics, options);
  for (const StatisticsTable& table : statistics.tables) judge.table(table);
  std::vector<Alert> sorted;
  for (const AlertLevel level : {AlertLevel::critical, AlertLevel::warning}) {
    for (Alert& alert : statistics.alerts) {
      if (alert.level == level) sorted.push_back(std::move(alert));
    }
  }
  statistics.alerts = std::move(sorted);
}

}  // namespace detail
}  // namespace ashlar::pg
