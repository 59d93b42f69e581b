// Indexes of other kinds than plain B-trees: those that hold more columns, and those of blocks.
#include <fmt/format.h>
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
#include <ashlar/pg/values.hpp>

namespace ashlar::pg {
namespace {

using test::Schema;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Order {
  std::int64_t id;
  std::string whole;
};

const Finding* find(const Advice& advice, std::string_view rule) {
  const auto it = std::ranges::find(advice.findings, rule, &Finding::rule);
  return it == advice.findings.end() ? nullptr : &*it;
}

/// Where it is known of pages that everybody sees their rows.
struct Vacuumed : Schema {
  explicit Vacuumed(const std::string& sql) : Schema(sql) {
    run("checkpoint");  // VACUUM takes a row for seen by all when its commit is on the disk
    run("vacuum analyze");
  }
};

/// Two hundred rows for each customer, far apart.
std::string orders(std::string_view more = {}) {
  return fmt::format(
      "create table orders (id bigint primary key, customer_id bigint not null, cents int not null, state int not null,"
      " note text not null);"
      "insert into orders select i, i % 100, i, i % 4, repeat('x', 200) from generate_series(1, 20000) i;"
      "create index orders_customer on orders (customer_id); {};",
      more);
}

// -- indexes that hold more columns

TEST(AdvisorCovering, ProposesToHoldASmallColumnForWhichManyRowsAreRead) {
  const Query<std::int64_t(std::int64_t)> spent{"select sum(cents) from orders where customer_id = $1",
                                                {.name = "spent_by_customer"}};
  const Vacuumed schema(orders());
  const Advice advice = schema.advise();
  SCOPED_TRACE(to_text(advice));
  const Finding* const finding = find(advice, "covering-index");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->proposal, "create index orders_customer_id_cents_idx on orders (customer_id) include (cents)");
  EXPECT_LE(finding->proof.cost_after, finding->proof.cost_before / 2);
  EXPECT_GT(finding->proof.bytes, 0);
  const Finding* const needless = find(advice, "duplicate-index");
  ASSERT_NE(needless, nullptr) << "what the new one does, too";
  EXPECT_EQ(needless->proposal, "drop index orders_customer");
  EXPECT_EQ(advice.findings.size(), 2);

  schema.run(finding->proposal + "; " + needless->proposal);
  EXPECT_THAT(schema.advise().findings, IsEmpty());
}

TEST(AdvisorCovering, IsProvedWithoutACopyToo) {
  const Query<std::int64_t(std::int64_t)> spent{"select sum(cents) from orders where customer_id = $1",
                                                {.name = "spent_by_customer"}};
  const Vacuumed schema(orders());
  if (test::server()->run_sql(schema.name(), "select 1 from pg_available_extensions where name = 'hypopg'").empty())
    GTEST_SKIP() << "hypopg is not installed: postgresql-15-hypopg";
  const Advice advice = schema.advise({.copy = false});
  const Finding* const finding = find(advice, "covering-index");
  ASSERT_NE(finding, nullptr) << to_text(advice);
  EXPECT_EQ(finding->proof.kind, ProofKind::hypothetical);
}

TEST(AdvisorCovering, TakesThePlaceOfAPlainIndexThatWouldBeMissing) {
  const Query<std::int64_t(std::int64_t)> spent{"select sum(cents) from orders where customer_id = $1",
                                                {.name = "spent_by_customer"}};
  const Vacuumed schema(orders("drop index orders_customer"));
  const Advice advice = schema.advise();
  ASSERT_EQ(advice.findings.size(), 1) << to_text(advice);
  EXPECT_EQ(advice.findings[0].proposal,
            "create index orders_customer_id_cents_idx on orders (customer_id) include (cents)");
}

TEST(AdvisorCovering, IsSilentAboutColumnsThatMayBeLarge) {
  const Query<std::int64_t(std::int64_t)> noted{"select sum(length(note)) from orders where customer_id = $1",
                                                {.name = "noted_by_customer"}};
  const Query<Order(std::int64_t)> whole{"select o.id, o from orders o where customer_id = $1",
                                         {.name = "orders_of_customer"}};
  EXPECT_THAT(Vacuumed(orders()).advise().findings, IsEmpty());
}

TEST(AdvisorCovering, IsSilentAboutColumnsThatTheProgramChanges) {
  const Query<std::int64_t(std::int64_t)> spent{"select sum(cents) from orders where customer_id = $1",
                                                {.name = "spent_by_customer"}};
  const Query<void(std::int64_t)> change{"update orders set (cents, state) = (0, 1) where id = $1", {.name = "refund"}};
  EXPECT_THAT(Vacuumed(orders()).advise().findings, IsEmpty());
}

TEST(AdvisorCovering, IsSilentWhereFewRowsAreRead) {
  const Query<std::int64_t(std::int64_t)> spent{"select sum(cents) from orders where customer_id = $1",
                                                {.name = "spent_by_customer"}};
  EXPECT_THAT(Vacuumed(orders("update orders set customer_id = id")).advise().findings, IsEmpty());
}

TEST(AdvisorCovering, IsSilentWhereRowsAreLocked) {
  const Query<std::int64_t(std::int64_t)> locked{"select cents from orders where customer_id = $1 for update",
                                                 {.name = "lock_customer"}};
  EXPECT_THAT(Vacuumed(orders()).advise().findings, IsEmpty());
}

TEST(AdvisorCovering, IsSilentWherePagesHoldRowsThatNotEverybodySees) {
  const Query<std::int64_t(std::int64_t)> spent{"select sum(cents) from orders where customer_id = $1",
                                                {.name = "spent_by_customer"}};
  const Vacuumed schema(orders());
  schema.run("update orders set state = 5; analyze orders");
  const Advice advice = schema.advise();
  EXPECT_EQ(find(advice, "covering-index"), nullptr) << to_text(advice) << "the table would be looked at all the same";
}

TEST(AdvisorCovering, IsSwitchedOffBesideTheSql) {
  const Query<std::int64_t(std::int64_t)> spent{"select sum(cents) from orders where customer_id = $1",
                                                {.name = "spent_by_customer", .allow = "covering-index: once a month"}};
  EXPECT_THAT(Vacuumed(orders()).advise().findings, IsEmpty());
}

TEST(AdvisorCovering, AnIndexThatHoldsMoreIsNotTheBeginningOfAnother) {
  const Schema schema(
      "create table t (a int not null, b int not null, c text not null);"
      "create index holds on t (a) include (c); create index longer on t (a, b);"
      "create index other_way on t (b desc, a); create index this_way on t (b, a, c);"
      "create index in_c on t (c collate \"C\"); create index c_and_a on t (c, a); create index like_c on t (c "
      "text_pattern_ops)");
  EXPECT_THAT(schema.advise().findings, IsEmpty());
}

// -- indexes of blocks

/// Rows in the order of their time, eight to a page: some 40 MB.
std::string readings(std::string_view order = "i", std::string_view more = {}) {
  return fmt::format(
      "create table readings (id bigint not null, at timestamptz not null, device int not null, value text not null) "
      "with (fillfactor = 10);"
      "insert into readings select i, timestamptz '2024-01-01' + {} * interval '1 minute', i % 50, repeat('x', 40) "
      "from "
      "generate_series(1, 42000) i; {};",
      order, more);
}

TEST(AdvisorBrin, ProposesBlockRangesWhereRowsLieInTheOrderOfTheColumn) {
  const Query<std::int64_t(DateTime)> since{"select sum(length(value)) from readings where at >= $1",
                                            {.name = "readings_since"}};
  const Vacuumed schema(readings());
  const Advice advice = schema.advise();
  SCOPED_TRACE(to_text(advice));
  ASSERT_EQ(advice.findings.size(), 1);
  const Finding& finding = advice.findings[0];
  EXPECT_EQ(finding.rule, "missing-brin-index");
  EXPECT_EQ(finding.proposal, "create index readings_at_idx on readings using brin (at)");
  EXPECT_THAT(finding.message,
              AllOf(HasSubstr("a B-tree would be"), HasSubstr("times as large"), HasSubstr("pages some")));
  EXPECT_LT(finding.proof.cost_after, finding.proof.cost_before);
  EXPECT_LT(finding.proof.bytes, 100'000);
  schema.run(finding.proposal);
  EXPECT_THAT(schema.advise().findings, IsEmpty());
}

TEST(AdvisorBrin, LeavesTheBTreeWhereFewRowsAreWanted) {
  const Query<std::int64_t(DateTime)> between{
      "select sum(length(value)) from readings where at >= $1 and at < $1 + interval '1 hour'",
      {.name = "readings_of_hour"}};
  const Advice advice = Vacuumed(readings()).advise();
  ASSERT_EQ(advice.findings.size(), 1) << to_text(advice);
  EXPECT_EQ(advice.findings[0].proposal, "create index readings_at_idx on readings (at)");
}

TEST(AdvisorBrin, LeavesTheBTreeWhereItIsWantedForTheOrder) {
  const Query<std::int64_t(DateTime)> since{"select sum(length(value)) from readings where at >= $1",
                                            {.name = "readings_since"}};
  const Query<std::int64_t()> newest{"select id from readings order by at desc limit 10", {.name = "newest_readings"}};
  const Advice advice = Vacuumed(readings()).advise();
  ASSERT_EQ(advice.findings.size(), 1) << to_text(advice);
  EXPECT_EQ(advice.findings[0].proposal, "create index readings_at_idx on readings (at)");
}

TEST(AdvisorBrin, IsSilentWhereRowsLieInAnotherOrderOrAreMoved) {
  const Query<std::int64_t(DateTime)> since{"select sum(length(value)) from readings where at >= $1",
                                            {.name = "readings_since"}};
  const Advice scattered = Vacuumed(readings("(i * 7919 % 42000)")).advise();
  EXPECT_EQ(find(scattered, "missing-brin-index"), nullptr) << to_text(scattered);
  const Query<void(std::int64_t, DateTime)> move{"update readings as r set at = $2 where id = $1",
                                                 {.name = "move_reading", .allow = "missing-index: seldom"}};
  const Advice moved = Vacuumed(readings()).advise();
  EXPECT_EQ(find(moved, "missing-brin-index"), nullptr) << to_text(moved);
}

TEST(AdvisorBrin, IsSwitchedOffBesideTheSql) {
  const Query<std::int64_t(DateTime)> since{
      "select sum(length(value)) from readings where at >= $1",
      {.name = "readings_since", .allow = "missing-brin-index: rows will be moved; missing-index"}};
  EXPECT_THAT(Vacuumed(readings()).advise().findings, IsEmpty());
}

}  // namespace
}  // namespace ashlar::pg
