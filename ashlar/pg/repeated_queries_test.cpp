#include <ashlar/pg/repeated_queries.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/context.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/query_watch.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Query<std::int64_t(std::int64_t)> one_of{"select id from generate_series(1, 100) as t (id) where id = $1",
                                               {.name = "repeats_one_of"}};
const Query<std::int64_t(std::vector<std::int64_t>)> many_of{
    "select id from generate_series(1, 100) as t (id) where id = any($1)", {.name = "repeats_many_of"}};

TEST(RepeatedQueries, FindsALoopThatAsksForOneRowAtATimeAndSaysHowToAskOnce) {
  test::with_db([](Db& db) -> Task<void> {
    const RepeatedQueries watch;
    for (std::int64_t id = 1; id <= 10; ++id) (void)co_await db.one(one_of, id);
    const auto found = watch.found();
    EXPECT_EQ(found.size(), 1U);
    if (found.empty()) co_return;
    EXPECT_THAT(found[0].query, AllOf(HasSubstr("repeats_one_of"), HasSubstr("repeated_queries_test.cpp:")));
    EXPECT_EQ(found[0].times, 10U);
    EXPECT_THAT(found[0].instead, HasSubstr("where id = any($1)"));
    EXPECT_THAT(watch.report(), HasSubstr("ran 10 times; once is enough"));
  });
}

TEST(RepeatedQueries, SeesThoseInTransactionsToo) {
  test::with_db([](Db& db) -> Task<void> {
    const RepeatedQueries watch(3);
    co_await db.transaction([](Tx& tx) -> Task<void> {
      for (std::int64_t id = 1; id <= 3; ++id) (void)co_await tx.one(one_of, id);
    });
    EXPECT_EQ(watch.found().size(), 1U);
  });
}

TEST(RepeatedQueries, IsSilentOnTheBatchAndBelowTheLimit) {
  test::with_db([](Db& db) -> Task<void> {
    const RepeatedQueries watch(5);
    for (std::int64_t id = 1; id <= 4; ++id) (void)co_await db.one(one_of, id);
    EXPECT_EQ((co_await db.all(many_of, std::vector<std::int64_t>{1, 2, 3, 4, 5, 6})).size(), 6U);
    EXPECT_THAT(watch.found(), IsEmpty());
    EXPECT_EQ(watch.report(), "");
  });
}

TEST(RepeatedQueries, CountsFromItsMakingOn) {
  test::with_db([](Db& db) -> Task<void> {
    for (std::int64_t id = 1; id <= 10; ++id) (void)co_await db.one(one_of, id);
    const RepeatedQueries watch;
    EXPECT_THAT(watch.found(), IsEmpty());
  });
}

std::string metric_of(std::string_view query) {
  const std::string text = metrics::default_registry().expose();
  const std::string line = std::string("pg_repeated_queries_total{query=\"") + std::string(query) + "\"} ";
  const auto at = text.find(line);
  return at == std::string::npos ? "" : text.substr(at + line.size(), text.find('\n', at) - at - line.size());
}

TEST(RepeatWarnings, CountEachRequestByItself) {
  const Query<std::int64_t(std::int64_t)> query{"select $1 + 1", {.name = "repeats_by_request"}};
  const detail::RepeatWarnings warnings(10);
  async::CancelScope scope;  // of a connection: its requests differ in their deadlines
  const auto request = [&](async::TimePoint deadline, int times) {
    const async::Context context{.deadline = deadline, .scope = &scope};
    for (int i = 0; i < times; ++i) detail::note_query(query, &context);
  };
  const async::TimePoint now = async::Clock::now();
  for (int i = 0; i < 20; ++i) request(now + i * 1ms, 3);
  EXPECT_EQ(metric_of("repeats_by_request"), "");
  request(now + 1min, 12);
  request(now + 2min, 10);
  EXPECT_EQ(metric_of("repeats_by_request"), "2");
}

TEST(RepeatWarnings, AreSwitchedOnByTheOptionOfADb) {
  const Query<std::int64_t(std::int64_t)> query{"select $1 + 1", {.name = "repeats_by_option"}};
  const auto ask = [&query](Db& db) -> Task<void> {
    for (std::int64_t i = 0; i < 10; ++i) (void)co_await db.one(query, i);
  };
  test::with_db([&](Db& db) -> Task<void> { co_await async::timeout(1h, ask(db)); });
  EXPECT_EQ(metric_of("repeats_by_option"), "");
  test::with_db([&](Db& db) -> Task<void> { co_await async::timeout(1h, ask(db)); }, {.warn_after_repeats = 10});
  EXPECT_EQ(metric_of("repeats_by_option"), "1");
  EXPECT_EQ(detail::query_watchers.load(), 0U);
}

}  // namespace
}  // namespace ashlar::pg
