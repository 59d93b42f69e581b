// Conditions that OR joins: an index for each, or the query as UNION ALL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/detail/test_advisor_schema.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {
namespace {

using test::Schema;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr const char* kPeople =
    "create table people (id bigint primary key, email text not null, phone text not null, name text not null,"
    " age int not null);"
    "insert into people select i, 'e' || i, 'p' || i, repeat('x', 100), i % 90 from generate_series(1, 20000) i;";
constexpr const char* kTeams =
    "create table teams (id bigint primary key, title text not null);"
    "create table members (id bigint primary key, team_id bigint not null references teams, nick text not null);"
    "insert into teams select i, 'team ' || i from generate_series(1, 5000) i;"
    "insert into members select i, 1 + i % 5000, 'nick ' || i from generate_series(1, 20000) i;"
    "create index members_team on members (team_id);";

struct Analyzed : Schema {
  explicit Analyzed(const std::string& sql) : Schema(sql) { run("analyze"); }
};

std::vector<std::string> proposals(const Advice& advice) {
  std::vector<std::string> out;
  for (const Finding& finding : advice.findings) out.push_back(finding.rule + ": " + finding.proposal);
  return out;
}

TEST(AdvisorOr, ProposesAnIndexForEachAlternative) {
  const Query<std::int64_t(std::string, std::string)> query{"select id from people where email = $1 or phone = $2",
                                                            {.name = "by_email_or_phone"}};
  const Analyzed schema(kPeople);
  const Advice advice = schema.advise();
  EXPECT_THAT(proposals(advice), UnorderedElementsAre("or-condition: create index people_email_idx on people (email)",
                                                      "or-condition: create index people_phone_idx on people (phone)"));
  for (const Finding& finding : advice.findings) {
    EXPECT_LT(finding.proof.cost_after, finding.proof.cost_before / 10);
    EXPECT_GT(finding.proof.bytes, 0);
    EXPECT_TRUE(finding.is_migration);
    schema.run(finding.proposal);
  }
  EXPECT_THAT(schema.advise().findings, IsEmpty());
}

TEST(AdvisorOr, ProposesOnlyTheIndexThatIsMissing) {
  const Query<std::int64_t(std::int64_t, std::string)> query{
      "select id from people where id = $1 or (email = $2 and name <> 'x')", {.name = "by_id_or_email"}};
  const Query<std::int64_t(std::string)> other{"select id from people where email = $1", {.name = "by_email"}};
  const Advice advice = Analyzed(kPeople).advise();
  ASSERT_THAT(proposals(advice), ElementsAre("missing-index: create index people_email_idx on people (email)"));
  EXPECT_EQ(advice.findings[0].queries.size(), 2) << "one for both";
}

TEST(AdvisorOr, SeesItOnAnEmptyTableAndWithoutACopy) {
  const Query<std::int64_t(std::string, std::string)> query{"select id from people where email = $1 or phone = $2",
                                                            {.name = "by_email_or_phone"}};
  const Analyzed schema("create table people (id bigint primary key, email text not null, phone text not null)");
  const Advice copied = schema.advise();
  ASSERT_EQ(copied.findings.size(), 2) << to_text(copied);
  EXPECT_EQ(copied.findings[0].proof.kind, ProofKind::structure);
  EXPECT_EQ(schema.advise({.copy = false}).findings.size(), 2);
}

TEST(AdvisorOr, IsSilentWhereAnAlternativeIsServedByNoIndex) {
  const Query<std::int64_t(std::string, int)> unequal{"select id from people where email = $1 or age <> $2",
                                                      {.name = "by_email_or_age"}};
  const Query<std::int64_t(std::string)> optional{"select id from people where $1 is null or name = $1",
                                                  {.name = "by_name_if_given"}};
  EXPECT_THAT(Analyzed(kPeople).advise().findings, IsEmpty());
}

TEST(AdvisorOr, IsSwitchedOffBesideTheSql) {
  const Query<std::int64_t(std::string, std::string)> query{
      "select id from people where email = $1 or phone = $2",
      {.name = "by_email_or_phone", .allow = "or-condition: once a night"}};
  EXPECT_THAT(Analyzed(kPeople).advise().findings, IsEmpty());
}

TEST(AdvisorOr, IsWrittenAsUnionAllWhereTheAlternativesAreOfSeveralTables) {
  const Query<std::int64_t(std::string, std::string)> query{
      "select m.id from members m join teams t on t.id = m.team_id where t.title = $1 or m.nick = $2 order by id limit "
      "5",
      {.name = "members_found"}};
  const Analyzed schema(std::string(kTeams) + "create index on teams (title); create index on members (nick);");
  const Advice advice = schema.advise();
  ASSERT_EQ(advice.findings.size(), 1) << to_text(advice);
  const Finding& finding = advice.findings[0];
  EXPECT_EQ(finding.rule, "or-condition");
  EXPECT_EQ(finding.proposal,
            "select m.id from members m join teams t on t.id = m.team_id where (t.title = $1)\n"
            "union all\n"
            "select m.id from members m join teams t on t.id = m.team_id where (m.nick = $2) and (t.title = $1) is not "
            "true\n"
            "order by id limit 5");
  EXPECT_FALSE(finding.is_migration);
  EXPECT_LT(finding.proof.cost_after, finding.proof.cost_before / 4);
}

TEST(AdvisorOr, NamesTheIndexesThatTheNewTextNeeds) {
  const Query<std::int64_t(std::string, std::string)> query{
      "select m.id from members m join teams t on t.id = m.team_id where m.id > 7 and (t.title = $1 or m.nick = $2)",
      {.name = "members_found"}};
  const Analyzed schema(kTeams);
  const Advice advice = schema.advise();
  ASSERT_EQ(advice.findings.size(), 1) << to_text(advice);
  EXPECT_THAT(advice.findings[0].message, HasSubstr("create index teams_title_idx on teams (title)"));
  EXPECT_THAT(advice.findings[0].message, HasSubstr("create index members_nick_id_idx on members (nick, id)"));
  EXPECT_THAT(advice.findings[0].proposal, HasSubstr("where m.id > 7 and (t.title = $1)\nunion all\n"));
  EXPECT_THAT(proposals(schema.advise({.copy = false})), ElementsAre(HasSubstr("union all")));
}

TEST(AdvisorOr, TheNewTextGivesTheSameRowsEachAsOften) {
  const Query<std::int64_t(std::string, std::string)> query{
      "select m.team_id from members m left join teams t on t.id = m.team_id + 4990 where t.title = $1 or m.nick = $2 "
      "or "
      "m.id between 3 and 5",
      {.name = "teams_found"}};
  const Analyzed schema(std::string(kTeams) +
                        "create index on teams (title); create index on members (nick); "
                        "create index on members ((team_id + 4990));");
  const Advice advice = schema.advise();
  ASSERT_EQ(advice.findings.size(), 1) << to_text(advice);
  const auto rows = [&](std::string sql) {
    for (const auto& [name, value] : {std::pair("$1", "'team 4995'"), std::pair("$2", "'nick 5004'")}) {
      for (std::size_t at = sql.find(name); at != std::string::npos; at = sql.find(name)) sql.replace(at, 2, value);
    }
    return test::server()->run_sql(
        schema.name(), "select string_agg(team_id::text, ' ' order by team_id) from (" + sql + ") as rows (team_id)");
  };
  EXPECT_EQ(rows(advice.findings[0].proposal), rows(std::string(query.sql())));
  EXPECT_EQ(rows(std::string(query.sql())), "4 5 5 5 5 6") << "some satisfy both, and some are alike";
}

TEST(AdvisorOr, IsNotRewrittenWhereRowsArePutTogether) {
  const Query<std::int64_t(std::string, std::string)> counted{
      "select count(*) from members m join teams t on t.id = m.team_id where t.title = $1 or m.nick = $2",
      {.name = "members_counted"}};
  const Query<std::int64_t(std::string, std::string)> distinct{
      "select distinct m.team_id from members m join teams t on t.id = m.team_id where t.title = $1 or m.nick = $2",
      {.name = "teams_found"}};
  const Query<std::int64_t(std::string, std::string)> locked{
      "select m.id from members m join teams t on t.id = m.team_id where t.title = $1 or m.nick = $2 for update",
      {.name = "members_locked"}};
  const Query<std::int64_t(std::string, std::string)> in_case{
      "select m.id from members m join teams t on t.id = m.team_id where case when t.title = $1 or m.nick = $2 then 1 "
      "else 0 end = 1",
      {.name = "members_in_case"}};
  EXPECT_THAT(Analyzed(kTeams).advise().findings, IsEmpty());
}

}  // namespace
}  // namespace ashlar::pg
