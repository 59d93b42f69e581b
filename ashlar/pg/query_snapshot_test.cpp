#include <ashlar/pg/query_snapshot.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <ashlar/pg/codec_schema.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/query_commands.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/detail/test_session.hpp>

namespace ashlar::pg {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

enum class Shade { light, dark };
struct Corner {
  std::int32_t x;
  std::int32_t y;
};
struct Tile {
  std::int64_t id;
  Shade shade;
  std::vector<Shade> others;
  Corner corner;
  std::optional<std::string> note;
};

/// The statements of this file whose name begins so, in order.
std::vector<const Statement*> named(std::string_view prefix) {
  auto out = statements_in_order();
  std::erase_if(out, [&](const Statement* statement) { return !statement->name().starts_with(prefix); });
  return out;
}

const std::vector<std::string> kSchema = {
    "create type shade as enum ('light', 'dark')", "create type corner as (x int4, y int4)",
    "create domain short as varchar(10)",  // PostgreSQL describes a column of it by its base
    "create table tiles (id bigint primary key, shade shade not null, others shade[] not null, corner corner not null, "
    "note short)"};

/// What a database with that schema says of them.
QuerySnapshot snapshot_of_named(std::string_view prefix, std::string_view change = {}) {
  QuerySnapshot out;
  test::with_db([&](Db& db) -> Task<void> {
    for (const std::string& sql : kSchema) {
      const DynamicQuery<void()> make{unsafe_sql(sql)};
      co_await db.exec(make);
    }
    if (!change.empty()) {
      const DynamicQuery<void()> make{unsafe_sql(std::string(change))};
      co_await db.exec(make);
    }
    co_await test::with_session(db.url(), [&](detail::Connection& connection) -> Task<void> {
      auto described = co_await describe_queries(connection);
      std::erase_if(described,
                    [&](const DescribedQuery& query) { return !query.statement->name().starts_with(prefix); });
      out = snapshot_of(described, connection.types());
    });
  });
  return out;
}

TEST(QuerySnapshot, WhatFitTheDatabaseFitsTheFile) {
  const Query<Tile(std::int64_t, Shade)> tile{
      "select id, shade, others, corner, note from tiles where id = $1 and shade = $2", {.name = "kept_tile"}};
  const Query<std::int64_t()> count{"select count(*) from tiles", {.name = "kept_count"}};
  const QuerySnapshot snapshot = snapshot_of_named("kept_");
  const std::string json = to_json(snapshot);
  EXPECT_THAT(check_snapshot(snapshot_from_json(json), "queries.json", named("kept_")), IsEmpty());
  EXPECT_THAT(json,
              AllOf(HasSubstr(R"({"name":"shade","kind":"enumeration")"), HasSubstr(R"("attributes":["int4","int4"])"),
                    HasSubstr(R"({"name":"note","type":"varchar","null":"possible"})")));
}

TEST(QuerySnapshot, TheSameSchemaGivesTheSameFile) {
  const Query<Tile(std::int64_t)> tile{"select id, shade, others, corner, note from tiles where id = $1",
                                       {.name = "same_tile"}};
  EXPECT_EQ(to_json(snapshot_of_named("same_")), to_json(snapshot_of_named("same_", "create type noise as (a int)")));
}

TEST(QuerySnapshot, AQueryThatNoLongerFitsIsNamedWithoutADatabase) {
  QuerySnapshot snapshot;
  {
    const Query<Tile()> right{"select id, shade, others, corner, note from tiles", {.name = "typed_right"}};
    snapshot = snapshot_of_named("typed_");
  }
  struct Narrow {
    std::int32_t id;
    Shade shade;
    std::vector<std::int32_t> others;
    Corner corner;
    std::string note;
  };
  const Query<Narrow()> wrong{"select id, shade, others, corner, note from tiles", {.name = "typed_wrong"}};
  const auto problems = check_snapshot(snapshot, "queries.json", named("typed_"));
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], AllOf(HasSubstr("typed_wrong"), HasSubstr("query_snapshot_test.cpp"),
                                 HasSubstr("`id` is int8 in PostgreSQL"), HasSubstr("`others` is shade[]"),
                                 HasSubstr("`note` may be NULL")));
}

TEST(QuerySnapshot, WhatIsMissingAndWhatIsStaleIsNamed) {
  QuerySnapshot snapshot;
  {
    const Query<std::int64_t()> old{"select max(id) as old from tiles", {.name = "stale_old"}};
    snapshot = snapshot_of_named("stale_");
  }
  const Query<std::int64_t()> fresh{"select min(id) as fresh from tiles", {.name = "stale_fresh"}};
  EXPECT_THAT(check_snapshot(snapshot, "q.json", named("stale_")),
              ElementsAre(AllOf(HasSubstr("stale_fresh"), HasSubstr("is not in q.json"), HasSubstr("--write q.json")),
                          AllOf(HasSubstr("no longer has"), HasSubstr("select max(id) as old"))));
}

TEST(QuerySnapshot, NothingIsKeptWhenAQueryDoesNotFit) {
  const Query<std::string()> wrong{"select count(*) from tiles", {.name = "refused_count"}};
  try {
    static_cast<void>(snapshot_of_named("refused_"));
    FAIL() << "it was kept";
  } catch (const QueryMismatch& error) {
    EXPECT_THAT(error.message(), AllOf(HasSubstr("nothing was kept"), HasSubstr("refused_count")));
  }
}

TEST(QuerySnapshot, RefusesWhatIsNoSnapshot) {
  EXPECT_THROW(static_cast<void>(snapshot_from_json("{")), Invalid);
  EXPECT_THROW(static_cast<void>(snapshot_from_json("{}")), Invalid) << "another file";
  EXPECT_THROW(static_cast<void>(snapshot_from_json("[]")), Invalid);
  EXPECT_THROW(static_cast<void>(snapshot_from_json(R"({"format": 2, "types": [], "queries": []})")), Invalid);
  const Query<std::int64_t()> count{"select 1::int8 as unheard", {.name = "unheard"}};
  const QuerySnapshot strange = snapshot_from_json(
      R"({"format": 1, "types": [], "queries": [{"sql": "select 1::int8 as unheard", "parameters": [],
          "columns": [{"name": "unheard", "type": "nobody", "null": "unknown"}]}]})");
  EXPECT_THROW(static_cast<void>(check_snapshot(strange, "q.json", named("unheard"))), Invalid);
}

TEST(QuerySnapshot, TheCommandWritesAndChecksAFile) {
  const std::string file =
      (std::filesystem::temp_directory_path() / ("ashlar-queries-" + std::to_string(::getpid()) + ".json")).string();
  // The queries of this program have no tables in common, so the database is asked for nothing here.
  const auto commands = detail::query_commands([]() -> Task<QuerySnapshot> { co_return QuerySnapshot{}; });
  ASSERT_EQ(commands.size(), 1U);
  const auto run = [&](std::vector<std::string> words) { return async::run(commands[0].run(std::move(words))); };
  EXPECT_EQ(run({"--write", file}), 0);
  EXPECT_EQ(run({"--check", file}), 1) << "each query of this program is missing in it";
  EXPECT_EQ(run({"--check", file + ".not-there"}), 2);
  EXPECT_EQ(run({"--write"}), 2);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace ashlar::pg
