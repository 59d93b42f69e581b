#include <ashlar/pg/statistics.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/statistics_views.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const Query<void()> create_stock{"create table stock (id bigint primary key, number int not null)"};
const Query<void()> fill_stock{"insert into stock select i, 0 from generate_series(1, 20000) i"};
const Query<void()> empty_stock{"delete from stock where id % 10 <> 0"};
const Query<void()> analyze_stock{"analyze stock"};
const Query<void(std::int64_t)> take_from_stock{"update stock set number = number - 1 where id = $1 and number < 1000",
                                                {.name = "take_from_stock"}};
const Query<std::int64_t()> sessions_that_wait{"select count(distinct pid) from pg_locks where not granted"};

const StatisticsTable& table_of(const Statistics& statistics, std::string_view name) {
  const auto it = std::ranges::find(statistics.tables, name, &StatisticsTable::name);
  if (it == statistics.tables.end()) throw Internal(fmt::format("there is no table {}", name));
  return *it;
}

std::vector<std::string> rules_of(const Statistics& statistics) {
  std::vector<std::string> out;
  for (const Alert& alert : statistics.alerts) out.push_back(alert.rule);
  return out;
}

struct Said {
  int code = 0;
  std::string text;
  std::string error;
};

/// What the command `db` says.
Said command(const std::string& url, std::vector<std::string> words) {
  Said said;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  said.code = async::run([](std::string to, std::vector<std::string> arguments) -> Task<int> {
    Db db(Options{.url = std::move(to)});
    auto commands = db.commands();
    const auto it = std::ranges::find(commands, std::string("db"), &async::Command::name);
    co_return co_await it->run(std::move(arguments));
  }(url, std::move(words)));
  said.text = ::testing::internal::GetCapturedStdout();
  said.error = ::testing::internal::GetCapturedStderr();
  return said;
}

TEST(Statistics, EveryViewIsReadWithoutATroubleAndFitsATerminal) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_stock);
    co_await db.exec(fill_stock);
    co_await db.exec(analyze_stock);
    for (const std::string_view view : statistics_views()) {
      const Statistics found = co_await statistics(db, std::string(view));
      if (view != "top") EXPECT_THAT(found.notes, Each(HasSubstr("pg_stat_statements"))) << view;
      EXPECT_TRUE(schema::parse_tree(to_json(found))) << to_json(found);
      const std::string text = to_text(found);
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const auto width = std::ranges::count_if(text.substr(at, end - at), [](char c) { return (c & 0xc0) != 0x80; });
        EXPECT_LE(width, 120) << view << ": " << text.substr(at, end - at);
        at = end + 1;
      }
    }
  });
}

TEST(Statistics, ShowTablesIndexesAndSequencesOfTheProgram) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_stock);
    co_await db.exec(fill_stock);
    co_await db.exec(analyze_stock);
    const Statistics tables = co_await statistics(db, "tables");
    const StatisticsTable& table = table_of(tables, "tables");
    EXPECT_EQ(table.text(0, "table"), "stock");
    EXPECT_EQ(table.number(0, "rows"), 20000);
    EXPECT_GT(table.number(0, "total").value_or(0), table.number(0, "indexes").value_or(1e9));
    const Statistics indexes = co_await statistics(db, "indexes");
    EXPECT_EQ(table_of(indexes, "indexes").text(0, "index"), "stock_pkey");
    EXPECT_EQ(table_of(indexes, "indexes").text(0, "unique"), "t");
    const Statistics overview = co_await statistics(db, "overview");
    EXPECT_THAT(to_text(overview), AllOf(HasSubstr("fsync"), HasSubstr("critical: fsync-off")));
  });
}

TEST(Statistics, ShowWhoWaitsForWhomByTheNamesOfQueries) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_stock);
    co_await db.exec(fill_stock);
    async::Event held;
    async::Event seen;
    Statistics found;
    const auto wait = [&]() -> Task<void> {
      co_await held.wait();
      co_await db.transaction([](Tx& tx) -> Task<void> { co_await tx.exec(take_from_stock, 7); });
    };
    const auto hold = [&]() -> Task<void> {
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        co_await tx.exec(take_from_stock, 7);
        held.set();
        co_await seen.wait();
      });
    };
    const auto look = [&]() -> Task<void> {
      while (co_await db.one(sessions_that_wait) < 2) {
      }
      found = co_await statistics(db, "locks", {.limits = {{"blocked", 0, 1e9}}});
      seen.set();
    };
    co_await async::all(hold(), wait(), wait(), look());
    const StatisticsTable& table = table_of(found, "sessions");
    EXPECT_EQ(table.rows.size(), 3U) << to_text(found);
    if (table.rows.size() != 3) co_return;
    EXPECT_EQ(table.text(0, "depth"), "0");
    EXPECT_EQ(table.text(0, "state"), "idle in transaction");
    EXPECT_THAT(std::string(table.text(0, "statement")), StartsWith("take_from_stock ("));
    EXPECT_EQ(table.text(1, "depth"), "1");
    EXPECT_EQ(table.text(1, "blocked_by"), table.text(0, "session"));
    EXPECT_GE(table.number(1, "waits").value_or(-1), 0);
    EXPECT_THAT(std::string(table.text(1, "wants")), HasSubstr(" on "));
    EXPECT_THAT(to_text(found), AllOf(HasSubstr("└ "), HasSubstr("take_from_stock")));
    EXPECT_THAT(rules_of(found), ElementsAre("blocked", "blocked"));
  });
}

TEST(Statistics, EstimateBloatOfWhatWasDeleted) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_stock);
    co_await db.exec(fill_stock);
    co_await db.exec(analyze_stock);
    const Statistics before = co_await statistics(db, "bloat");
    EXPECT_LT(table_of(before, "tables").number(0, "share").value_or(1), 0.05) << to_text(before);
    EXPECT_LT(table_of(before, "indexes").number(0, "share").value_or(1), 0.15) << to_text(before);
    co_await db.exec(empty_stock);
    co_await db.exec(analyze_stock);
    const Statistics after = co_await statistics(db, "bloat");
    EXPECT_EQ(table_of(after, "tables").text(0, "table"), "stock");
    EXPECT_GT(table_of(after, "tables").number(0, "share").value_or(0), 0.8) << to_text(after);
    EXPECT_GT(table_of(after, "indexes").number(0, "share").value_or(0), 0.7) << to_text(after);
  });
}

TEST(Statistics, CountASequenceAgainstTheTypeOfItsColumn) {
  static const Query<void()> create{"create table small (id serial primary key, name text)"};
  static const Query<void()> widen{"alter sequence small_id_seq as bigint no maxvalue"};
  static const Query<std::int64_t()> use_up{"select setval('small_id_seq', 2000000000)"};
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create);
    co_await db.exec(widen);
    (void)co_await db.one(use_up);
    const Statistics found = co_await statistics(db, "sequences");
    const StatisticsTable& table = table_of(found, "sequences");
    EXPECT_EQ(table.text(0, "column"), "small.id");
    EXPECT_EQ(table.text(0, "type"), "integer");
    EXPECT_EQ(table.text(0, "limit"), "2147483647");
    EXPECT_NEAR(table.number(0, "used").value_or(0), 0.931, 0.001);
    EXPECT_EQ(rules_of(found), std::vector<std::string>{"sequence"});
    EXPECT_EQ(found.alerts.at(0).level, AlertLevel::critical);
    EXPECT_THAT(found.alerts.at(0).message, HasSubstr("93.1 % of its numbers for small.id (integer)"));
  });
}

TEST(Statistics, SayWhatARoleMayNotSee) {
  static const Query<void()> make_role{
      "do $$ begin if not exists (select from pg_roles where rolname = 'watcher') then create role watcher login; end "
      "if; end $$"};
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(make_role);
    co_await db.exec(create_stock);
    co_await db.exec(fill_stock);
    co_await db.exec(analyze_stock);
    Db watching(Options{.url = db.url() + "&user=watcher"});
    const Statistics found = co_await statistics(watching, "check");
    EXPECT_THAT(found.notes, Contains(HasSubstr("`grant pg_monitor to watcher`")));
    EXPECT_THAT(found.notes, Contains(HasSubstr("bloat of 1 tables is not estimated")));
    for (const std::string_view view : statistics_views()) {
      const Statistics part = co_await statistics(watching, std::string(view));
      EXPECT_THAT(to_text(part), Not(IsEmpty()));
    }
    EXPECT_EQ(table_of(co_await statistics(watching, "tables"), "tables").text(0, "table"), "stock");
    co_await watching.stop();
  });
}

TEST(Statistics, ReadNoTableThatIsLocked) {
  static const Query<void()> lock{"lock table stock in access exclusive mode"};
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_stock);
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.exec(lock);
      const Statistics found = co_await statistics(db, "tables");
      EXPECT_THAT(found.notes, Contains(HasSubstr("a table is locked, and its size must wait")));
      const Statistics waits = co_await statistics(db, "locks");
      EXPECT_THAT(waits.notes, IsEmpty()) << "this is what one looks at then";
    });
  });
}

/// A server of its own, which counts statements.
TEST(Statistics, ShowTheCostOfStatementsByTheNamesOfQueries) {
  const std::shared_ptr<PrivateServer> server =
      PrivateServer::start({.settings = {{"shared_preload_libraries", "pg_stat_statements"}}});
  static const Query<void()> count{"create extension pg_stat_statements"};
  async::run([](std::string url) -> Task<void> {
    Db db(Options{.url = std::move(url), .check_queries = false, .statistics_interval = 0ms});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    const Statistics without = co_await statistics(db, "top");
    EXPECT_THAT(without.notes, ElementsAre(HasSubstr("`create extension pg_stat_statements`")));
    co_await db.exec(count);
    co_await db.exec(create_stock);
    for (int i = 0; i < 25; ++i) co_await db.exec(take_from_stock, i);
    const Statistics found = co_await statistics(db, "top", {.order = "calls"});
    EXPECT_THAT(found.notes, IsEmpty());
    const StatisticsTable& table = table_of(found, "queries");
    std::optional<std::size_t> row;
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      if (table.text(i, "query").starts_with("take_from_stock (")) row = i;
    }
    EXPECT_TRUE(row) << to_text(found);
    if (row) {
      EXPECT_EQ(table.number(*row, "calls"), 25);
      EXPECT_GT(table.number(*row, "mean").value_or(0), 0);
    }
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(server->url()));
}

TEST(Statistics, OfAnUnknownViewOrderOrRuleAreRefused) {
  test::with_db([](Db& db) -> Task<void> {
    EXPECT_THAT((co_await test::caught<Invalid>(statistics(db, "wheather")))->message(), HasSubstr("wheather"));
    EXPECT_THAT((co_await test::caught<Invalid>(statistics(db, "top", {.order = "id; drop table x"})))->message(),
                HasSubstr("total, mean"));
    EXPECT_THAT((co_await test::caught<Invalid>(statistics(db, "check", {.allow = {"nothing"}})))->message(),
                HasSubstr("idle-in-transaction"));
    co_await test::caught<Invalid>(statistics(db, "tables", {.rows = 0}));
  });
}

TEST(DbCommand, CheckExitsWithWhatIsWorst) {
  const TestDatabase database(test::server(), "template1");
  // A throwaway server may lose its data, and has no autovacuum.
  const Said bad = command(database.url(), {"check"});
  EXPECT_EQ(bad.code, 2);
  EXPECT_THAT(bad.text, AllOf(HasSubstr("critical: fsync-off: "), HasSubstr("warning: autovacuum-off: ")));
  EXPECT_LT(bad.text.find("critical"), bad.text.find("warning"));
  EXPECT_EQ(command(database.url(), {"check", "--allow", "fsync-off"}).code, 1);
  const Said good = command(database.url(), {"check", "--allow", "fsync-off", "--allow", "autovacuum-off"});
  EXPECT_EQ(good.code, 0);
  EXPECT_THAT(good.text, HasSubstr("nothing is wrong by any rule"));
  const Said strict = command(database.url(), {"check", "--allow", "fsync-off", "--limit", "connections=0.0001:2"});
  EXPECT_EQ(strict.code, 1);
  EXPECT_THAT(strict.text, HasSubstr("warning: connections: "));
  EXPECT_EQ(command(database.url(), {"connections", "--limit", "connections=0.0001"}).code, 0)
      << "only a check judges by its exit code";
}

TEST(DbCommand, WatchesAsOftenAsItIsTold) {
  const TestDatabase database(test::server(), "template1");
  const Said said = command(database.url(), {"connections", "--json", "--watch", "0.1", "--times", "3"});
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(std::ranges::count(said.text, '\n'), 3) << said.text;
  EXPECT_THAT(said.text, StartsWith(R"({"view":"connections","tables":{"use":[{"used":)"));
}

TEST(DbCommand, SaysWhatIsWrongWithItsWords) {
  const std::string url = test::server()->url();
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{"tops"}, "`tops` is no view"},
      {{"top", "--watch"}, "--watch needs a value"},
      {{"top", "--watch", "soon"}, "a number from 0.1 is expected"},
      {{"top", "--watch", "nan"}, "a number from 0.1 is expected"},
      {{"top", "--times", "3"}, "give both"},
      {{"top", "--rows", "0"}, "a number from 1 is expected"},
      {{"top", "--by", "size"}, "`size` is no order"},
      {{"check", "--limit", "connections"}, "RULE=WARNING[:CRITICAL]"},
      {{"check", "--limit", "fun=1"}, "`fun` is no rule"},
      {{"check", "--verbose"}, "`--verbose` is unknown"},
      {{"check", "top"}, "`top` is unknown"},
  };
  for (const auto& [words, message] : wrong) {
    const Said said = command(url, words);
    EXPECT_EQ(said.code, 3) << words.back();
    EXPECT_THAT(said.error, HasSubstr(message));
    EXPECT_EQ(said.text, "");
  }
}

TEST(DbCommand, WithoutAServerSaysSo) {
  const Said said = command("postgresql:///x?host=/nonexistent", {"check"});
  EXPECT_EQ(said.code, 3);
  EXPECT_THAT(said.error, HasSubstr("/nonexistent"));
}

TEST(DbCommand, ListsTheRules) {
  const Said said = command(test::server()->url(), {"rules"});
  EXPECT_EQ(said.code, 0);
  for (const AlertRule& rule : alert_rules()) EXPECT_THAT(said.text, HasSubstr(std::string(rule.name)));
  const Said json = command(test::server()->url(), {"rules", "--json"});
  EXPECT_TRUE(schema::parse_tree(json.text)) << json.text;
}

}  // namespace
}  // namespace ashlar::pg
