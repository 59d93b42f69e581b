// Rules, names and forms of statistics, on tables that are made up.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/statement_names.hpp>
#include <ashlar/pg/detail/statistics_reader.hpp>
#include <ashlar/pg/detail/statistics_rules.hpp>
#include <ashlar/pg/detail/statistics_text.hpp>
#include <ashlar/pg/detail/statistics_views.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/pg/statistics.hpp>

namespace ashlar::pg {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Cells = std::vector<std::pair<std::string_view, std::string_view>>;

/// One row of "view.table"; columns that are not named are NULL.
StatisticsTable made_up(std::string_view source, const Cells& cells) {
  for (const detail::TableSource& known : detail::table_sources()) {
    if (source != fmt::format("{}.{}", known.view, known.name)) continue;
    StatisticsTable table{
        .view = std::string(known.view), .name = std::string(known.name), .title = {}, .columns = columns_of(known)};
    auto& row = table.rows.emplace_back(table.columns.size());
    for (const auto& [name, value] : cells) {
      const auto it = std::ranges::find(table.columns, name, &StatisticsColumn::name);
      EXPECT_NE(it, table.columns.end()) << name;
      if (it != table.columns.end()) row[static_cast<std::size_t>(it - table.columns.begin())] = value;
    }
    return table;
  }
  ADD_FAILURE() << "there is no " << source;
  return {};
}

std::string judged(std::string_view source, const Cells& cells, const StatisticsOptions& options = {}) {
  Statistics statistics{.view = "check", .tables = {made_up(source, cells)}, .alerts = {}, .notes = {}};
  detail::judge(statistics, options);
  std::string out;
  for (const Alert& alert : statistics.alerts)
    out += fmt::format("{}{}{}", out.empty() ? "" : " ", alert.rule, alert.level == AlertLevel::critical ? "!" : "");
  return out;
}

TEST(AlertRules, HaveLimitsThatWarnFirst) {
  struct Case {
    std::string_view source;
    Cells fine;
    Cells warning;
    Cells critical;
    std::string_view rule;
  };
  const std::vector<Case> cases{
      {"connections.use", {{"share", "0.79"}}, {{"share", "0.8"}}, {{"share", "0.97"}}, "connections"},
      {"locks.sessions",
       {{"waits", "29"}, {"blocked_by", "7"}},
       {{"waits", "30"}, {"blocked_by", "7"}},
       {{"waits", "301"}, {"blocked_by", "7"}},
       "blocked"},
      {"long.transactions",
       {{"state", "idle in transaction"}, {"in_state", "299"}},
       {{"state", "idle in transaction"}, {"in_state", "300"}},
       {{"state", "idle in transaction (aborted)"}, {"in_state", "3600"}},
       "idle-in-transaction"},
      {"long.transactions",
       {{"state", "active"}, {"transaction", "1799"}, {"in_state", "1799"}},
       {{"state", "active"}, {"transaction", "1800"}, {"in_state", "1800"}},
       {{"state", "active"}, {"transaction", "21600"}, {"in_state", "21600"}},
       "long-transaction"},
      {"long.prepared", {{"age", "60"}}, {{"age", "3600"}}, {{"age", "86400"}}, "prepared-transaction"},
      {"cache.databases",
       {{"hits", "0.5"}, {"read", "1000"}},
       {{"hits", "0.94"}, {"read", "2e9"}},
       {{"hits", "0.7"}, {"read", "2e9"}},
       "cache-hits"},
      {"vacuum.tables",
       {{"dead", "9000"}, {"dead_share", "0.9"}, {"threshold", "50"}},
       {{"dead", "20000"}, {"dead_share", "0.4"}, {"threshold", "5000"}},
       {{"dead", "20000"}, {"dead_share", "0.7"}, {"threshold", "5000"}},
       "dead-rows"},
      {"bloat.tables",
       {{"bloat", "1000"}, {"share", "0.99"}},
       {{"bloat", "2e8"}, {"share", "0.6"}},
       {{"bloat", "2e8"}, {"share", "0.8"}},
       "table-bloat"},
      {"bloat.indexes",
       {{"bloat", "2e8"}, {"share", "0.4"}},
       {{"bloat", "2e8"}, {"share", "0.5"}},
       {{"bloat", "2e8"}, {"share", "0.9"}},
       "index-bloat"},
      {"replication.replicas", {{"lag", "1"}}, {{"lag", "60"}}, {{"lag", "601"}}, "replication-lag"},
      {"replication.replicas",
       {{"replayed", "1000"}},
       {{"replayed", "2e9"}},
       {{"replayed", "2e10"}},
       "replication-lag-bytes"},
      {"replication.standby", {{"behind", "1"}}, {{"behind", "60"}}, {{"behind", "601"}}, "replication-lag"},
      {"replication.slots", {{"kept", "1e9"}}, {{"kept", "2e10"}}, {{"kept", "2e11"}}, "slot-kept"},
      {"sequences.sequences", {{"used", "0.7"}}, {{"used", "0.75"}}, {{"used", "0.9"}}, "sequence"},
      {"txid.databases", {{"used", "0.1"}}, {{"used", "0.4"}}, {{"used", "0.8"}}, "transaction-ids"},
      {"txid.databases",
       {{"multixacts_used", "0.1"}},
       {{"multixacts_used", "0.4"}},
       {{"multixacts_used", "0.8"}},
       "multixacts"},
      {"txid.holders", {{"transactions", "1000"}}, {{"transactions", "2e7"}}, {{"transactions", "2e8"}}, "held-back"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(judged(one.source, one.fine), "") << one.rule;
    EXPECT_EQ(judged(one.source, one.warning), one.rule);
    EXPECT_EQ(judged(one.source, one.critical), fmt::format("{}!", one.rule));
  }
}

TEST(AlertRules, OfYesAndNoAreAlwaysTheSame) {
  EXPECT_EQ(judged("overview.server", {{"fsync", "on"}, {"autovacuum", "on"}, {"checksum_failures", "0"}}), "");
  EXPECT_EQ(judged("overview.server", {{"fsync", "off"}, {"autovacuum", "off"}}), "fsync-off! autovacuum-off");
  EXPECT_EQ(judged("overview.server", {{"checksum_failures", "1"}}), "checksum-failures!");
  EXPECT_EQ(judged("replication.slots", {{"state", "lost"}}), "slot-lost!");
  EXPECT_EQ(judged("indexes.indexes", {{"valid", "f"}}), "invalid-index");
  EXPECT_EQ(judged("indexes.indexes", {{"valid", "t"}}), "");
}

TEST(AlertRules, SayNothingOfWhatIsNotKnown) {
  for (const detail::TableSource& source : detail::table_sources()) {
    if (source.view == "indexes" || source.view == "overview") continue;
    EXPECT_EQ(judged(fmt::format("{}.{}", source.view, source.name), {}), "") << source.title;
  }
}

TEST(AlertRules, TakeOtherLimitsAndExceptions) {
  const Cells half{{"share", "0.5"}};
  EXPECT_EQ(judged("connections.use", half, {.limits = {{"connections", 0.4, 0.6}}}), "connections");
  EXPECT_EQ(judged("connections.use", half, {.limits = {{"connections", 0.4, 0.5}}}), "connections!");
  EXPECT_EQ(judged("connections.use", half, {.limits = {{"connections", 0.4, 0.5}}, .allow = {"connections"}}), "");
  EXPECT_EQ(judged("cache.databases", {{"hits", "0.9"}, {"read", "2e9"}}, {.limits = {{"cache-hits", 0.85, 0.5}}}), "");
  EXPECT_EQ(judged("sequences.sequences", {{"used", "0.99"}, {"cycles", "t"}}), "");
}

TEST(AlertRules, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const AlertRule& rule : alert_rules()) EXPECT_TRUE(names.insert(rule.name).second) << rule.name;
}

StatisticsTable waits_of(const std::vector<std::pair<std::string, std::string>>& sessions) {
  StatisticsTable table = made_up("locks.sessions", {});
  table.rows.clear();
  for (const auto& [pid, blockers] : sessions) {
    auto& row = table.rows.emplace_back(table.columns.size());
    row[1] = pid;
    row[9] = blockers;
  }
  EXPECT_EQ(table.columns.at(1).name, "session");
  EXPECT_EQ(table.columns.at(9).name, "blocked_by");
  return table;
}

std::vector<std::string> arranged(const std::vector<std::pair<std::string, std::string>>& sessions) {
  StatisticsTable table = waits_of(sessions);
  detail::arrange_waits(table);
  std::vector<std::string> out;
  for (std::size_t row = 0; row < table.rows.size(); ++row)
    out.push_back(fmt::format("{}{}", std::string(static_cast<std::size_t>(*table.number(row, "depth")), '>'),
                              table.text(row, "session")));
  return out;
}

TEST(Waits, AreATreeBelowTheOneThatWaitsForNobody) {
  EXPECT_THAT(arranged({{"1", "9"}, {"2", "1"}, {"3", "9"}, {"9", ""}}), ElementsAre("9", ">1", ">>2", ">3"));
}

TEST(Waits, ForSeveralAreShownOnce) {
  EXPECT_THAT(arranged({{"1", ""}, {"2", ""}, {"3", "1 2"}, {"12", "3"}}), ElementsAre("1", ">3", ">>12", "2"));
}

TEST(Waits, InACircleAreShownFromItsFirst) {
  EXPECT_THAT(arranged({{"1", "2"}, {"2", "1"}, {"3", "2"}}), ElementsAre("1", ">2", ">>3"));
  EXPECT_THAT(arranged({{"1", "1"}}), ElementsAre("1"));
  EXPECT_THAT(arranged({}), IsEmpty());
}

TEST(Measures, AreReadable) {
  using detail::format_measure;
  EXPECT_EQ(format_measure(Measure::number, 0), "0");
  EXPECT_EQ(format_measure(Measure::number, 99'999), "99999");
  EXPECT_EQ(format_measure(Measure::number, 123'456), "123 k");
  EXPECT_EQ(format_measure(Measure::number, 12'345'678), "12.3 M");
  EXPECT_EQ(format_measure(Measure::number, 999'999'999), "1.0 G");
  EXPECT_EQ(format_measure(Measure::number, 2.5), "2.5");
  EXPECT_EQ(format_measure(Measure::bytes, 0), "0 B");
  EXPECT_EQ(format_measure(Measure::bytes, 8192), "8.0 kB");
  EXPECT_EQ(format_measure(Measure::bytes, 5e9), "4.7 GB");
  EXPECT_EQ(format_measure(Measure::seconds, 0), "0 s");
  EXPECT_EQ(format_measure(Measure::seconds, 0.000'012), "12 µs");
  EXPECT_EQ(format_measure(Measure::seconds, 0.012), "12.0 ms");
  EXPECT_EQ(format_measure(Measure::seconds, 90), "1.5 min");
  EXPECT_EQ(format_measure(Measure::seconds, 86400 * 3), "3.0 d");
  EXPECT_EQ(format_measure(Measure::seconds, -0.004), "-4.0 ms");
  EXPECT_EQ(format_measure(Measure::share, 0.9312), "93.1 %");
}

TEST(StatisticsText, CutsTheWidestTextsAndSaysNone) {
  Statistics statistics{.view = "long", .tables = {}, .alerts = {}, .notes = {}};
  statistics.tables.push_back(
      made_up("long.transactions", {{"session", "4711"}, {"user", "ann"}, {"statement", std::string(300, 'x')}}));
  statistics.tables.push_back(made_up("long.prepared", {}));
  statistics.tables.back().rows.clear();
  statistics.tables.back().title = "Prepared transactions";
  const std::string text = to_text(statistics);
  EXPECT_THAT(text, HasSubstr("xxx…\n"));
  EXPECT_THAT(text, HasSubstr("  4711 "));
  EXPECT_THAT(text, HasSubstr("Prepared transactions\n  none\n"));
  EXPECT_THAT(to_json(statistics), HasSubstr("\"prepared\":[]"));
  EXPECT_THAT(to_json(statistics), HasSubstr("\"session\":4711,\"transaction\":null"));
}

TEST(StatisticsText, JsonHasNoNumbersThatAreNone) {
  Statistics statistics{.view = "tables", .tables = {}, .alerts = {}, .notes = {"a \"quoted\" note"}};
  statistics.tables.push_back(made_up("tables.tables", {{"table", "a\"b\n"}, {"hot", "NaN"}, {"total", "1e-05"}}));
  EXPECT_THAT(to_json(statistics), HasSubstr(R"({"table":"a\"b\n","total":1e-05,)"));
  EXPECT_THAT(to_json(statistics), HasSubstr(R"("hot":null)"));
  EXPECT_THAT(to_json(statistics), HasSubstr(R"("notes":["a \"quoted\" note"])"));
}

const Query<int(int)> plain{"select 4711 + $1::int", {.name = "plain"}};
const Query<int(std::string)> with_constants{
    "select  count(*)::int from Pg_Class -- all of them\n where relname like 'pg_%' and relpages > -7 and reltuples <> "
    "$1::float4 and relhasindex = true limit 10",
    {.name = "with_constants"}};
const Query<int(int)> without_name{"select 4712 + $1::int"};

TEST(StatementNames, AreFoundByTheTextOfTheServer) {
  const detail::StatementNames names;
  EXPECT_EQ(names.find("select 4711 + $1::int"), "plain");
  EXPECT_THAT(names.find("SELECT $2 + $1::int;"),
              AllOf(HasSubstr("plain"), HasSubstr(", "), HasSubstr("statistics_rules_test.cpp:")))
      << "two queries differ in a constant only, and are one for pg_stat_statements";
  EXPECT_EQ(names.find("select 1 from nowhere_at_all"), "");
  EXPECT_EQ(names.find("<insufficient privilege>"), "");
  EXPECT_EQ(names.find(""), "");
  EXPECT_THAT(names.describe("select 4711 + $1::int"), HasSubstr("plain ("));
  EXPECT_THAT(names.describe("select 4711 + $1::int"), HasSubstr("statistics_rules_test.cpp:"));
  EXPECT_EQ(names.describe("vacuum   stock", 9), "vacuum st…");
}

TEST(StatementNames, AreFoundByTheTextOfPgStatStatements) {
  const detail::StatementNames names;
  EXPECT_EQ(
      names.find("select  count(*)::int from Pg_Class -- all of them\n where relname like $2 and relpages > $3 and "
                 "reltuples <> $1::float4 and relhasindex = $4 limit $5"),
      "with_constants");
}

TEST(StatementNames, AreFoundByATextThatWasCut) {
  const detail::StatementNames names;
  const std::string whole(with_constants.sql());
  for (std::size_t size = 100; size < whole.size(); ++size)
    EXPECT_EQ(names.find(whole.substr(0, size)), "with_constants");
  EXPECT_EQ(names.find(whole.substr(0, 60)), "") << "the server cuts nothing so short";
}

TEST(StatementNames, ShapesDifferInMoreThanConstants) {
  using detail::shape_of;
  EXPECT_EQ(shape_of("select a from b where c = 1"), shape_of("SELECT a\n\tFROM b /* x */ WHERE c = $1"));
  EXPECT_EQ(shape_of("select a - 1"), shape_of("select a - $1"));
  EXPECT_EQ(shape_of("select -1.5e3, 'it''s', E'\\'', $x$y$x$"), shape_of("select $1, $2, $3, $4"));
  EXPECT_NE(shape_of("select a from b"), shape_of("select b from a"));
  EXPECT_NE(shape_of("select \"A\""), shape_of("select \"a\""));
}

}  // namespace
}  // namespace ashlar::pg
