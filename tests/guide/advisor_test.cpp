// The code of docs/guide/advisor.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/repeated_queries.hpp>
#include <ashlar/testing/database.hpp>

namespace {

using namespace ashlar;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

// sample: allow
inline const pg::Query<std::int64_t(std::int64_t, std::int64_t)> reports_page{
    "select id from reports order by id limit $1 offset $2",
    {.name = "reports_page", .allow = "offset-pagination: there are ten pages at most"}};
// end of sample
inline const pg::Query<std::int64_t(std::string)> reports_of{"select id from reports where author = $1",
                                                             {.name = "reports_of"}};
inline const pg::Query<std::string(std::int64_t)> report_author{"select author from reports where id = $1",
                                                                {.name = "report_author"}};
inline const pg::Query<std::string(std::vector<std::int64_t>)> report_authors{
    "select author from reports where id = any($1)", {.name = "report_authors"}};

Task<std::size_t> authors_of(pg::Db& db, std::vector<std::int64_t> ids) {
  co_return (co_await db.all(report_authors, ids)).size();
}

Task<void> use(pg::Db& db) {
  // sample: advise
  const pg::Advice advice = co_await pg::advise(db);
  EXPECT_THAT(advice.findings,
              Contains(Field(&pg::Finding::proposal, "create index reports_author_idx on reports (author)")));
  // end of sample
  for (const pg::Finding& finding : advice.findings) EXPECT_NE(finding.rule, "offset-pagination");

  co_await db.start_loop(async::Loop::current());
  {
    const std::vector<std::int64_t> ids{1, 2, 3, 4, 5, 6};
    // sample: watch
    const pg::RepeatedQueries watch;
    co_await authors_of(db, ids);
    EXPECT_EQ(watch.report(), "");
    // end of sample
    for (const std::int64_t id : ids) (void)co_await db.maybe(report_author, id);
    EXPECT_THAT(watch.report(), HasSubstr("select author from reports where id = any($1)"));
  }
  co_await db.stop_loop(async::Loop::current());
}

TEST(Guide, AdvisorNamesTheIndexThatIsMissingAndTheLoopThatAsksAgainAndAgain) {
  const ashlar::testing::Database database;
  ashlar::testing::Database::server().run_sql(database.name(),
                                              "create table reports (id bigint primary key, author text not null)");
  async::run([](std::string url) -> Task<void> {
    pg::Db db{{.url = std::move(url)}};
    co_await use(db);
    co_await db.stop();
  }(database.url()));
}

}  // namespace
