// Odd names, few rights, other people's indexes, many tables: what the advisor must not stumble over.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <source_location>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/test_advisor_schema.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg {
namespace {

using test::Folder;
using test::Schema;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::vector<std::string> proposals(const Advice& advice) {
  std::vector<std::string> out;
  for (const Finding& finding : advice.findings) out.push_back(finding.proposal);
  return out;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Each proposal for the schema is valid there, and then there is nothing left to say.
void expect_to_work(const Schema& schema, const Advice& advice) {
  for (const Finding& finding : advice.findings) {
    EXPECT_TRUE(finding.is_migration) << finding.proposal;
    schema.run(finding.proposal);
    schema.run(finding.takes_back);
    schema.run(finding.proposal);
  }
  const Advice again = schema.advise();
  EXPECT_THAT(again.findings, IsEmpty()) << to_text(again);
}

TEST(AdvisorNames, QuotesWhatNeedsIt) {
  const Schema schema(
      R"(create schema "Odd Schema"; create table "Odd Schema"."Order" (id bigint primary key, "Select" text not null,)"
      R"( "a ""b""" int not null, "user" text not null, state text not null);)"
      R"(create table "Order" (id bigint primary key, "Select" text not null);)"
      R"(create index "By Select" on "Odd Schema"."Order" ("Select"); )"
      R"(create index "By Select too" on "Odd Schema"."Order" ("Select", "user");)");
  const Query<std::int64_t(int)> quoted{R"(select id from "Odd Schema"."Order" where "a ""b""" = $1)",
                                        {.name = "odd_quoted"}};
  const Query<std::int64_t(std::string)> expression{R"(select id from "Odd Schema"."Order" where lower("user") = $1)",
                                                    {.name = "odd_expression"}};
  const Query<std::int64_t()> partial{
      "select id from \"Odd Schema\".\"Order\" where state = 'it''s\nnew' order by \"user\" limit 3",
      {.name = "odd_partial"}};
  const Query<std::int64_t(std::string)> other{R"(select id from "Order" where "Select" = $1)", {.name = "odd_other"}};
  const Advice advice = schema.advise();
  EXPECT_THAT(proposals(advice),
              UnorderedElementsAre(R"(create index "Order_a ""b""_idx" on "Odd Schema"."Order" ("a ""b"""))",
                                   R"(create index "Order_lower_user_idx" on "Odd Schema"."Order" ((lower("user"))))",
                                   HasSubstr("on \"Odd Schema\".\"Order\" (state, \"user\")"),
                                   R"(create index "Order_Select_idx" on "Order" ("Select"))",
                                   R"(drop index "Odd Schema"."By Select")"));
  const Folder folder;
  for (const auto& file : write_migrations(folder.path(), advice)) {
    const std::string text = text_of(file);
    EXPECT_THAT(text, Not(HasSubstr("\nnew'; "))) << "a comment of one line";
  }
  expect_to_work(schema, advice);
}

TEST(AdvisorNames, NamesTheSchemaWhereAnotherTableHidesThatOfPublic) {
  const Schema schema(
      "create schema tenant; create table tenant.people (id bigint primary key, email text not null);"
      "create table public.people (id bigint primary key, email text not null);");
  schema.run("alter database " + schema.name() + " set search_path = tenant, public");
  const Query<std::int64_t(std::string)> query{"select id from public.people where email = $1",
                                               {.name = "hidden_by_email"}};
  const Advice advice = schema.advise();
  EXPECT_THAT(proposals(advice), ElementsAre("create index people_email_idx on public.people (email)"));
  expect_to_work(schema, advice);
}

TEST(AdvisorNames, KeepsCollationsAndClassesOfIndexesApart) {
  const Schema schema(
      "create table words (id bigint primary key, word text not null, lang text not null);"
      "create index by_pattern on words (word text_pattern_ops);"
      "create index by_c on words (lang collate \"C\")");
  const Query<std::int64_t()> sorted{"select id from words order by word limit 3", {.name = "words_sorted"}};
  const Query<std::int64_t(std::string)> equal{"select id from words where lang = $1", {.name = "words_of_lang"}};
  schema.run("insert into words select i, md5(i::text), 'x' || i from generate_series(1, 20000) i");
  schema.run("analyze");
  const Advice advice = schema.advise();
  EXPECT_THAT(proposals(advice), UnorderedElementsAre("create index words_word_idx on words (word)",
                                                      "create index words_lang_idx on words (lang)"));
}

TEST(AdvisorNames, LeavesAloneWhatOthersStandOn) {
  const Schema schema(
      "create table parents (id bigint primary key, code text not null);"
      "create unique index parents_code on parents (code); create unique index parents_code_too on parents (code);"
      "create table children (id bigint primary key, code text not null references parents (code));"
      "create index on children (code);"
      "create table marks (id bigint not null, kind int not null) partition by list (kind);"
      "create table marks_1 partition of marks for values in (1);"
      "create index on marks (id); create index marks_more on marks (id, kind)");
  const std::string kept = test::server()->run_sql(
      schema.name(),
      "select conindid::regclass::text from pg_constraint where contype = 'f' and conrelid = 'children'::regclass");
  for (const std::string& proposal : proposals(schema.advise())) {
    EXPECT_NE(proposal, "drop index " + kept);
    EXPECT_THAT(proposal, Not(HasSubstr("marks_1"))) << "PostgreSQL refuses to drop a part of an index";
  }
}

TEST(AdvisorNames, DoesNotJudgeAnIndexThatIsBeingBuilt) {
  const Schema schema("create table people (id bigint primary key, email text not null);");
  // The build waits for transactions that began before it.
  detail::BlockingClient reader(test::server()->socket_folder() + "/.s.PGSQL.5432", "ashlar", schema.name());
  reader.query("begin; lock table people in row exclusive mode");
  std::thread builder([&] { schema.run("create index concurrently people_email on people (email)"); });
  while (test::server()->run_sql(schema.name(), "select count(*) from pg_index where not indisvalid") == "0")
    std::this_thread::yield();
  const Advice advice = schema.advise({.copy = false});
  reader.query("commit");
  builder.join();
  EXPECT_THAT(advice.findings, IsEmpty()) << to_text(advice);
}

TEST(AdvisorNames, DoesWithFewRightsWhatItCan) {
  const Schema schema(
      "create table people (id bigint primary key, email text not null);"
      "create table secrets (id bigint primary key, what text not null);"
      "drop role if exists advised; create role advised login; grant select on people to advised");
  const Query<std::int64_t(std::string)> query{"select id from people where email = $1", {.name = "few_by_email"}};
  const Query<std::int64_t(std::string)> secret{"select id from secrets where what = $1", {.name = "few_secrets"}};
  const Advice advice = test::advise_on(schema.url() + (schema.url().contains('?') ? "&" : "?") + "user=advised");
  EXPECT_THAT(advice.notes, AllOf(Contains(HasSubstr("permission denied to create database")),
                                  Contains(AllOf(HasSubstr("few_secrets"), HasSubstr("permission denied"))),
                                  Contains(HasSubstr("no index was proved"))));
  ASSERT_EQ(advice.findings.size(), 1) << to_text(advice);
  EXPECT_EQ(advice.findings[0].proof.kind, ProofKind::none);
  EXPECT_FALSE(advice.findings[0].is_migration);
}

TEST(AdvisorNames, SaysThatHypopgIsOutOfSight) {
  const Schema schema("create table people (id bigint primary key, email text not null)");
  if (test::server()->run_sql(schema.name(), "select 1 from pg_available_extensions where name = 'hypopg'").empty())
    GTEST_SKIP() << "hypopg is not installed: postgresql-15-hypopg";
  schema.run("create schema tools; create extension hypopg schema tools");
  const Query<std::int64_t(std::string)> query{"select id from people where email = $1", {.name = "hidden_hypopg"}};
  const Advice advice = schema.advise({.copy = false});
  EXPECT_THAT(advice.notes, Contains(HasSubstr("not in the search_path")));
  EXPECT_THAT(proposals(advice), ElementsAre("create index people_email_idx on people (email)"));
}

// -- many

struct Made : Statement {
  explicit Made(std::string_view sql) : Statement(sql, kSpec, {}, std::source_location::current(), Registered::yes) {}
  static constexpr StatementSpec kSpec{.verify_row = nullptr, .parameters = {}};
};

TEST(AdvisorNames, LooksAtManyQueriesOfManyTables) {
  const char* const given = std::getenv("ASHLAR_ADVISOR_TABLES");
  const int tables = given == nullptr ? 20 : std::atoi(given);
  std::string create;
  std::list<std::string> texts;
  std::list<Made> statements;
  for (int i = 0; i < tables; ++i) {
    create +=
        fmt::format("create table t{0} (id bigint primary key, a int not null, b text not null, c int not null);", i);
    texts.push_back(fmt::format("select id from t{} where a = $1 and c > $2 order by id", i));
    statements.emplace_back(texts.back());
    texts.push_back(fmt::format("select x.id from t{} x join t{} y on y.id = x.a where y.b = $1", i, (i + 1) % tables));
    statements.emplace_back(texts.back());
  }
  const Schema schema(create);
  const auto began = std::chrono::steady_clock::now();
  const Advice advice = schema.advise();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  RecordProperty("seconds", fmt::format("{:.1f}", took.count()));
  EXPECT_GE(advice.queries, 2U * static_cast<unsigned>(tables));
  EXPECT_GE(advice.findings.size(), 2U * static_cast<unsigned>(tables)) << to_text(advice);
  EXPECT_THAT(advice.notes, Not(Contains(HasSubstr("were not tried"))));
}

}  // namespace
}  // namespace ashlar::pg
