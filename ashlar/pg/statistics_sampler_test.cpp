// The metrics of a database: who samples it, and what a scrape shows.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/statistics_sampler.hpp>
#include <ashlar/pg/detail/statistics_views.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/statistics.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const Query<void()> create_crates{"create table crates (id serial primary key, number int not null)"};
const Query<void()> fill_crates{"insert into crates (number) select i from generate_series(1, 1000) i"};
const Query<void()> analyze_crates{"analyze crates"};

Task<void> until_shown(const metrics::Registry& registry, std::string_view text) {
  while (!registry.expose().contains(text)) co_await async::sleep(1ms);
}

TEST(StatisticsMetrics, AreSampledWhileTheProgramServes) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  test::with_db(
      [&](Db& db) -> Task<void> {
        co_await db.exec(create_crates);
        co_await db.exec(fill_crates);
        co_await db.exec(analyze_crates);
        co_await until_shown(registry, "postgresql_table_size_bytes{table=\"crates\"}");
        const std::string text = registry.expose();
        EXPECT_THAT(text, AllOf(HasSubstr("\npostgresql_up 1\n"), HasSubstr("postgresql_connection_max 100\n"),
                                HasSubstr("postgresql_backends{state=\"active\"} "),
                                HasSubstr("# TYPE postgresql_commits_total counter\n"),
                                HasSubstr("postgresql_rows{state=\"live\",table=\"crates\"} "),
                                HasSubstr("postgresql_sequence_used_ratio{sequence=\"crates_id_seq\"} "),
                                HasSubstr("postgresql_operations_total{operation=\"insert\",table=\"crates\"} "),
                                HasSubstr("postgresql_alerts{level=\"critical\",rule=\"fsync-off\"} 1\n"),
                                HasSubstr("postgresql_alerts{level=\"critical\",rule=\"sequence\"} 0\n")));
      },
      {.statistics_interval = 20ms});
  EXPECT_THAT(registry.expose(), Not(HasSubstr("postgresql_"))) << "gone with the program's database";
}

TEST(StatisticsMetrics, AreOffWithoutAnInterval) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  static const Query<std::int64_t()> sessions{
      "select count(*) from pg_stat_activity where application_name = 'ashlar statistics' and datname = "
      "current_database()"};
  test::with_db(
      [&](Db& db) -> Task<void> {
        co_await async::sleep(50ms);
        EXPECT_EQ(co_await db.one(sessions), 0);
        EXPECT_THAT(registry.expose(), Not(HasSubstr("postgresql_up")));
      },
      {.statistics_interval = 0ms});
}

/// A second program on the same database.
Task<void> beside(const std::string& url, metrics::Registry& registry, std::function<Task<void>()> body) {
  const metrics::ReplaceDefault replaced(registry);
  Db other(Options{.url = url, .check_queries = false, .statistics_interval = 20ms});
  co_await other.start();
  co_await other.start_loop(async::Loop::current());
  co_await body();
  co_await other.stop_loop(async::Loop::current());
  co_await other.stop();
}

TEST(StatisticsMetrics, AreShownByOneProcessAndByTheNextWhenItHasGone) {
  metrics::Registry first;
  metrics::Registry second;
  const TestDatabase database(test::server(), "template1");
  async::run([](std::string url, metrics::Registry& one, metrics::Registry& two) -> Task<void> {
    co_await beside(url, one, [&]() -> Task<void> {
      co_await until_shown(one, "\npostgresql_up 1\n");
      co_await beside(url, two, [&]() -> Task<void> {
        co_await async::sleep(200ms);  // it asks for the lock a few times meanwhile
        EXPECT_THAT(two.expose(), Not(HasSubstr("postgresql_up")));
      });
    });
    co_await beside(url, two, [&]() -> Task<void> { co_await until_shown(two, "\npostgresql_up 1\n"); });
    EXPECT_THAT(one.expose(), Not(HasSubstr("postgresql_up")));
  }(database.url(), first, second));
}

TEST(StatisticsMetrics, OfSeveralDatabasesOfAProgramSayWhich) {
  metrics::Registry registry;
  const TestDatabase first(test::server(), "template1");
  const TestDatabase second(test::server(), "template1");
  async::run([](std::string url, std::string other, metrics::Registry& shown) -> Task<void> {
    const auto name = [](const std::string& of) {
      const ConnectOptions options = ConnectOptions::parse(of);
      return fmt::format("db=\"{}:{}/{}\"", options.hosts[0].host, options.hosts[0].port, options.database);
    };
    co_await beside(url, shown, [&]() -> Task<void> {
      co_await until_shown(shown, "\npostgresql_up 1\n");
      co_await beside(other, shown, [&]() -> Task<void> {
        co_await until_shown(shown, fmt::format("\npostgresql_up{{{}}} 1\n", name(url)));
        co_await until_shown(shown, fmt::format("\npostgresql_up{{{}}} 1\n", name(other)));
        const std::string text = shown.expose();
        EXPECT_THAT(text,
                    AllOf(Not(HasSubstr("\npostgresql_up 1\n")), Not(HasSubstr("\npostgresql_connection_max 100\n"))));
        for (const std::string& one : {name(url), name(other)})
          EXPECT_THAT(
              text,
              AllOf(HasSubstr(fmt::format("\npostgresql_connection_max{{{}}} 100\n", one)),
                    HasSubstr(fmt::format("postgresql_alerts{{{},level=\"critical\",rule=\"sequence\"}} 0\n", one))));
      });
      co_await until_shown(shown, "\npostgresql_up 1\n");
    });
  }(first.url(), second.url(), registry));
}

// A scrape with one series twice is refused as a whole.
TEST(StatisticsMetrics, OfADatabaseThatAProgramHasTwiceAreThereOnce) {
  metrics::Registry registry;
  const std::shared_ptr<PrivateServer> server = PrivateServer::start();
  async::run([](PrivateServer& own, metrics::Registry& shown) -> Task<void> {
    co_await beside(own.url(), shown, [&]() -> Task<void> {
      co_await beside(own.url(), shown, [&]() -> Task<void> {
        const auto times = [&] {
          const std::string text = shown.expose();
          int count = 0;
          for (std::size_t at = text.find("\npostgresql_up "); at != std::string::npos;
               at = text.find("\npostgresql_up ", at + 1))
            ++count;
          return count;
        };
        co_await until_shown(shown, "\npostgresql_up 1\n");
        own.kill();
        co_await until_shown(shown, "\npostgresql_up 0\n");
        for (int i = 0; i < 50; ++i) {  // until both know it
          EXPECT_EQ(times(), 1);
          co_await async::sleep(10ms);
        }
        own.restart();
        co_await until_shown(shown, "\npostgresql_up 1\n");
        EXPECT_EQ(times(), 1);
      });
    });
  }(*server, registry));
}

TEST(StatisticsMetrics, SayThatTheDatabaseIsGoneAndComeBackWithIt) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  const std::shared_ptr<PrivateServer> server = PrivateServer::start();
  async::run([](PrivateServer& own, metrics::Registry& shown) -> Task<void> {
    Db db(Options{.url = own.url(), .check_queries = false, .statistics_interval = 20ms});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    co_await until_shown(shown, "\npostgresql_up 1\n");
    own.kill();
    co_await until_shown(shown, "\npostgresql_up 0\n");
    EXPECT_THAT(shown.expose(), Not(HasSubstr("postgresql_backends"))) << "what was is not what is";
    own.restart();
    co_await until_shown(shown, "\npostgresql_up 1\n");
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(*server, registry));
}

TEST(StatisticsMetrics, ComeFromColumnsThatExistAndHaveOneFormEach) {
  std::set<std::string> forms;
  for (const detail::SampledMetric& metric : detail::sampled_metrics()) {
    bool found = false;
    for (const detail::TableSource& source : detail::table_sources()) {
      if (metric.source != fmt::format("{}.{}", source.view, source.name)) continue;
      found = true;
      const auto columns = columns_of(source);
      for (const std::string_view column : {metric.column, metric.label_column, metric.where})
        EXPECT_TRUE(column.empty() || std::ranges::find(columns, column, &StatisticsColumn::name) != columns.end())
            << metric.name << ": " << column;
    }
    EXPECT_TRUE(found) << metric.name << ": " << metric.source;
    EXPECT_TRUE(forms.insert(fmt::format("{} {}", metric.name, metric.kind_value)).second) << metric.name;
  }
}

TEST(StatisticsMetrics, OfRowsWithOneLabelAreOne) {
  Statistics statistics;
  statistics.tables.push_back({.view = "replication",
                               .name = "replicas",
                               .title = {},
                               .columns = {{"replica"}, {"lag", Measure::seconds}},
                               .rows = {{"a", "1"}, {"a", "3"}, {"b", std::nullopt}, {std::nullopt, "9"}}});
  statistics.tables.push_back({.view = "locks",
                               .name = "sessions",
                               .title = {},
                               .columns = {{"waits", Measure::seconds}},
                               .rows = {{"1.5"}, {std::nullopt}, {"0.5"}}});
  std::string out;
  for (const detail::SampledValue& value : detail::sampled_values(statistics))
    out += fmt::format("{} {} {}\n", value.metric->name, value.label, value.value);
  EXPECT_EQ(out, "postgresql.lock.waiting  2\npostgresql.lock.longest_wait  1.5\npostgresql.wal.lag a 3\n");
}

TEST(Guide, AProgramMayLookAtItsOwnStatistics) {
  test::with_db([](Db& db) -> Task<void> {
    // sample: statistics
    const pg::Statistics found = co_await pg::statistics(db, "check", {.allow = {"fsync-off", "autovacuum-off"}});
    for (const pg::Alert& alert : found.alerts) ADD_FAILURE() << alert.subject << " " << alert.message;
    // end of sample
  });
}

}  // namespace
}  // namespace ashlar::pg
