// How SQL and the conditions of plans are read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/accesses.hpp>
#include <ashlar/pg/detail/advise.hpp>
#include <ashlar/pg/detail/conditions.hpp>
#include <ashlar/pg/detail/plan.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/pg/repeated_queries.hpp>

namespace ashlar::pg::detail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = Condition::Kind;

std::vector<std::string> texts(std::string_view sql) {
  std::vector<std::string> out;
  for (const SqlToken& token : sql_tokens(sql)) out.emplace_back(token.text);
  return out;
}
Condition one(std::string_view text) {
  const auto all = conditions_of(text);
  EXPECT_EQ(all.size(), 1U) << text;
  return all.empty() ? Condition{} : all.front();
}

TEST(SqlTokens, KeepsStringsNamesAndCommentsApart) {
  EXPECT_THAT(texts("select \"a \"\"b\", 'it''s', E'a\\'b', $x$ $1 $x$ -- $2\n /* a /* b */ c */ from t where "
                    "n>=-1.5e3 and d::date=$1"),
              ElementsAre("select", "\"a \"\"b\"", ",", "'it''s'", ",", "E'a\\'b'", ",", "$x$ $1 $x$", "from", "t",
                          "where", "n", ">=-", "1.5e3", "and", "d", "::", "date", "=", "$1"));
}

TEST(SqlTokens, SurviveWhatIsNoSql) {
  EXPECT_THAT(texts("'never ends"), ElementsAre("'never ends"));
  EXPECT_THAT(texts(")) ] /* open"), ElementsAre(")", ")", "]"));
  EXPECT_THAT(texts("$tag$ open"), ElementsAre("$tag$ open"));
  EXPECT_THAT(texts("$ {\\"), ElementsAre("$", "{", "\\"));
  EXPECT_THAT(texts(""), IsEmpty());
}

TEST(SqlTokens, QuoteOnlyNamesThatNeedIt) {
  EXPECT_EQ(identifier("created_at"), "created_at");
  EXPECT_EQ(identifier("order"), "\"order\"");
  EXPECT_EQ(identifier("Name"), "\"Name\"");
  EXPECT_EQ(identifier("2nd"), "\"2nd\"");
}

TEST(Conditions, TakesThoseJoinedByAndApart) {
  const auto all = conditions_of("((a.x = $1) AND (a.y >= 5) AND ((a.z = 1) OR (a.z = 2)))");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].column, "x");
  EXPECT_EQ(all[0].kind, Kind::equal);
  EXPECT_TRUE(all[0].parameter);
  EXPECT_EQ(all[1].kind, Kind::range);
  EXPECT_TRUE(all[1].constant);
  EXPECT_EQ(all[1].predicate, "y >= 5");
  EXPECT_EQ(all[2].kind, Kind::either);
  EXPECT_EQ(all[2].alias, "a");
}

TEST(Conditions, TakesThoseJoinedByOrApart) {
  const Condition either = one("((a.x = $1) OR ((a.y = 5) AND (a.z > $2)) OR (a.w ~~ $3))");
  EXPECT_EQ(either.kind, Kind::either);
  ASSERT_EQ(either.alternatives.size(), 3U);
  EXPECT_EQ(either.alternatives[0].at(0).column, "x");
  ASSERT_EQ(either.alternatives[1].size(), 2U);
  EXPECT_EQ(either.alternatives[1][1].kind, Kind::range);
  EXPECT_EQ(either.alternatives[2].at(0).kind, Kind::pattern);
  EXPECT_EQ(one("((a.x = $1) OR (b.y = $2))").kind, Kind::other);
}

TEST(Conditions, NameTheColumnsOfATable) {
  EXPECT_THAT(columns_of("sum((a.x + (b.y)::integer)), lower(a.\"Z\")", "a").value(), ElementsAre("x", "Z"));
  EXPECT_THAT(columns_of("sum((cents)::numeric)", "a").value(), ElementsAre("cents"));
  EXPECT_FALSE(columns_of("ROW(a.*, b.x)", "a").has_value());
}

TEST(SqlTokens, KnowTheColumnsThatAStatementSets) {
  EXPECT_THAT(columns_set_by("update t set a = b, (c, d) = (select e, f from g), \"H\" = 1 where i = 2"),
              ElementsAre("H", "a", "c", "d"));
  EXPECT_THAT(columns_set_by("insert into t values (1) on conflict (k) do update set v = excluded.v returning w"),
              ElementsAre("v"));
  EXPECT_THAT(columns_set_by("select a from t where b = 1"), IsEmpty());
}

TEST(Conditions, KnowsBooleansNullsAndLists) {
  EXPECT_EQ(one("a.done").predicate, "done");
  EXPECT_EQ(one("(NOT a.done)").predicate, "not done");
  EXPECT_TRUE(one("(NOT a.done)").boolean);
  EXPECT_EQ(one("(a.gone IS NULL)").kind, Kind::equal);
  EXPECT_EQ(one("(a.gone IS NULL)").predicate, "gone is null");
  EXPECT_EQ(one("(a.gone IS NOT NULL)").kind, Kind::other);
  EXPECT_EQ(one("(a.gone IS NOT NULL)").predicate, "gone is not null");
  EXPECT_EQ(one("(a.id = ANY ($1))").kind, Kind::equal);
  EXPECT_EQ(one("($1 = ANY (a.tags))").operation, "any of");
  EXPECT_EQ(one("(a.state = 'waiting'::text)").predicate, "state = 'waiting'::text");
  EXPECT_FALSE(one("(a.at > now())").constant);
}

TEST(Conditions, TurnsTheColumnToTheLeft) {
  const Condition condition = one("($1 <@ a.tags)");
  EXPECT_EQ(condition.column, "tags");
  EXPECT_EQ(condition.operation, "@>");
  EXPECT_EQ(condition.kind, Kind::contains);
  EXPECT_EQ(one("(5 < a.n)").operation, ">");
}

TEST(Conditions, SeesJoinsFromBothSides) {
  const Condition join = one("(b.a_id = a.id)");
  EXPECT_TRUE(join.is_join());
  EXPECT_EQ(join.alias + "." + join.column, "b.a_id");
  EXPECT_EQ(join.turned().alias + "." + join.turned().column, "a.id");
  EXPECT_EQ(one("(a.x = a.y)").kind, Kind::other);
}

TEST(Conditions, LooksThroughCastsThatAnIndexServesAndNoOthers) {
  EXPECT_EQ(one("((a.name)::text = $1)").column, "name");
  EXPECT_EQ(one("((a.at)::date = $1)").column, "");
  EXPECT_EQ(one("((a.at)::date = $1)").expression, "(at)::date");
  EXPECT_EQ(one("(lower(a.email) = $1)").expression, "lower(email)");
  EXPECT_EQ(one("(lower((\"A\".\"E\")::text) = $1)").expression, "lower((\"E\")::text)");
  EXPECT_EQ(one("((a.name)::text ~~* $1)").kind, Kind::pattern);
}

TEST(Conditions, ReadsSortKeys) {
  const SortKey key = sort_key_of("a.created_at DESC NULLS LAST");
  EXPECT_EQ(key.alias, "a");
  EXPECT_EQ(key.column, "created_at");
  EXPECT_TRUE(key.descending);
  EXPECT_FALSE(key.nulls_first);
  EXPECT_TRUE(sort_key_of("a.created_at DESC").nulls_first);
  EXPECT_EQ(sort_key_of("(lower(a.name))").column, "");
}

TEST(Plans, RefusesWhatIsNone) {
  EXPECT_THROW((void)parse_plan("{}"), Invalid);
  EXPECT_THROW((void)parse_plan("[{}]"), Invalid);
  EXPECT_THROW((void)parse_plan("not json"), Invalid);
  EXPECT_TRUE(has_plan("  (select 1)"));
  EXPECT_TRUE(has_plan("-- one\nwith x as (select 1) select * from x"));
  EXPECT_FALSE(has_plan("create table x ()"));
  EXPECT_FALSE(has_plan(""));
}

TEST(Plans, AllowedRulesHaveReasons) {
  EXPECT_THAT(allowed_rules("offset-pagination: ten pages; missing-index"),
              ElementsAre("offset-pagination", "missing-index"));
  EXPECT_THAT(allowed_rules(""), IsEmpty());
  EXPECT_TRUE(comment_allows("who made it; allow unused-index: for audits", "unused-index"));
  EXPECT_FALSE(comment_allows("allow unused-index-or-not", "unused-index"));
}

TEST(Batched, AsksForManyAtOnce) {
  EXPECT_EQ(batched("select id, name from authors where id = $1"), "select id, name from authors where id = any($1)");
  EXPECT_EQ(batched("delete from authors where id=$1 returning id"),
            "delete from authors where id=any($1) returning id");
  EXPECT_THAT(batched("insert into authors values ($1)"), HasSubstr("copy_in"));
  EXPECT_THAT(batched("update authors set name = $2 where id = $1"), HasSubstr("unnest"));
  EXPECT_THAT(batched("select 1 from t where a = $1 and b = $2"), HasSubstr("unnest"));
}

}  // namespace
}  // namespace ashlar::pg::detail
