#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/detail/test_advisor_schema.hpp>

namespace ashlar::pg {
namespace {

using test::Folder;
using test::Schema;
using test::with;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Explain, ShowsHowEachTableIsRead) {
  const Schema schema("create table people (id bigint primary key, email text not null unique, name text not null)");
  const Query<std::int64_t(std::string)> served{"select id from people where email = $1", {.name = "shown_by_email"}};
  const Query<std::int64_t(std::string)> unserved{"select id from people where name = $1", {.name = "shown_by_name"}};
  const std::string text = to_text(schema.explain());
  EXPECT_THAT(text, HasSubstr("people: index people_email_key by people.email = $1"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "people: whole table, then dropped unless people.name = $1\n  ! no index of people serves its conditions"));
}

TEST(Explain, FailsTheBuildWhenAQueryHasLostItsIndex) {
  const Schema schema(
      "create table people (id bigint primary key, email text not null); create index by_email on people (email)");
  const Query<std::int64_t(std::string)> query{"select id from people where email = $1", {.name = "kept_by_email"}};
  const Query<std::int64_t(std::int64_t)> other{"select id from people where id = $1", {.name = "kept_by_id"}};
  const std::string kept = plans_to_json(schema.explain());
  EXPECT_THAT(compare_plans(kept, schema.explain()), IsEmpty());
  schema.run("drop index by_email");
  const auto changes = compare_plans(kept, schema.explain());
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].query, "kept_by_email");
  EXPECT_TRUE(changes[0].is_loss);
  EXPECT_THAT(changes[0].text, HasSubstr("was read by index by_email by people.email = $1; now by whole table"));
  EXPECT_THROW((void)compare_plans("{}", schema.explain()), Invalid);
}

TEST(Explain, RunsQueriesOnACopyWithValuesOutOfTheTables) {
  const Schema schema(
      "create table people (id bigint primary key, email text not null, counter int not null);"
      "insert into people select i, 'p' || i, 0 from generate_series(1, 3000) i; analyze");
  const Query<std::int64_t(std::string)> found{"select id from people where email = $1", {.name = "ran_by_email"}};
  const Query<void(std::vector<std::int64_t>)> update{"update people set counter = 1 where id = any($1)",
                                                      {.name = "ran_update"}};
  const Query<std::int64_t(std::int64_t)> sorted{"select id from people order by email limit $1",
                                                 {.name = "ran_sorted"}};
  std::map<std::string, ExplainedQuery> ran;
  for (ExplainedQuery& query : schema.explain(Explain::run, "ran_")) ran[query.name] = query;
  EXPECT_EQ(ran.size(), 3U);
  EXPECT_THAT(ran["ran_by_email"].values, ElementsAre("'p1501'"));
  EXPECT_THAT(ran["ran_by_email"].flaws, Contains(HasSubstr("reads and drops 2 999 rows to keep 1")));
  EXPECT_GT(ran["ran_by_email"].pages, 0);
  EXPECT_THAT(ran["ran_update"].values, ElementsAre("'{1501}'"));
  EXPECT_THAT(ran["ran_sorted"].values, ElementsAre("'20'"));
  EXPECT_EQ(test::server()->run_sql(schema.name(), "select sum(counter) from people"), "0");
}

TEST(Explain, IsACommandThatWritesAndChecks) {
  const Schema schema(
      "create table people (id bigint primary key, email text not null); create index by_email on people (email)");
  const Query<std::int64_t(std::string)> query{"select id from people where email = $1",
                                               {.name = "commanded_by_email"}};
  Folder folder;
  const std::string file = (folder.path() / "plans.json").string();
  const auto command = [&](std::vector<std::string> arguments) {
    return with(schema.url(), [&arguments](Db& db) -> Task<int> {
      auto commands = db.commands();
      const auto explain = std::ranges::find(commands, std::string("explain"), &async::Command::name);
      co_return co_await explain->run(arguments);
    });
  };
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(command({"--write", file}), 0);
  EXPECT_EQ(command({"--check", file}), 0);
  schema.run("drop index by_email");
  EXPECT_EQ(command({"--check", file}), 1);
  EXPECT_EQ(command({"--check", file + ".missing"}), 2);
  EXPECT_EQ(command({"commanded_by"}), 0);
  EXPECT_EQ(command({"commanded_by", "--write", file}), 2);
  EXPECT_EQ(command({"--verbose"}), 2);
  EXPECT_THAT(
      ::testing::internal::GetCapturedStdout(),
      AllOf(HasSubstr("worse: commanded_by_email"), HasSubstr("! no index of people"), Not(HasSubstr("item_by_id"))));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("cannot read"), HasSubstr("`--verbose` is unknown: explain [--analyze]")));
}

}  // namespace
}  // namespace ashlar::pg
