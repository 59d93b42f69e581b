#include <ashlar/pg/stream.hpp>

#include <gtest/gtest.h>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;

const Query<int(int)> numbers{"select generate_series(1, $1) as n"};
const Query<int(int)> failing{"select 1 / (3 - n) from generate_series(1, $1) n"};

TEST(Stream, GivesEveryRowInOrderWithoutHoldingThemAll) {
  test::with_db([](Db& db) -> Task<void> {
    auto rows = db.stream(numbers, 100'000);
    int expected = 0;
    while (const auto row = co_await rows.next()) EXPECT_EQ(*row, ++expected);
    EXPECT_EQ(expected, 100'000);
    EXPECT_EQ(db.stats().exclusive_used, 0U);
  });
}

TEST(Stream, AConsumerMayLeaveEarly) {
  test::with_db([](Db& db) -> Task<void> {
    {
      auto rows = db.stream(numbers, 100'000'000);
      EXPECT_EQ(co_await rows.next(), 1);
      EXPECT_EQ(co_await rows.next(), 2);
    }
    while (db.stats().exclusive_used != 0) co_await async::sleep(1ms);
    EXPECT_EQ(co_await db.one(numbers, 1), 1);
  });
}

TEST(Stream, AnErrorComesAfterTheRowsBeforeIt) {
  test::with_db([](Db& db) -> Task<void> {
    auto rows = db.stream(failing, 5);
    int seen = 0;
    bool failed = false;
    try {
      while (co_await rows.next()) ++seen;
    } catch (const DatabaseError& error) {
      failed = error.code == "22012";
    }
    EXPECT_EQ(seen, 2);
    EXPECT_TRUE(failed);
  });
}

TEST(Stream, WorksInsideATransaction) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.transaction([](Tx& tx) -> Task<void> {
      auto rows = tx.stream(numbers, 1000);
      int sum = 0;
      while (const auto row = co_await rows.next()) sum += *row;
      EXPECT_EQ(sum, 500'500);
    });
  });
}

TEST(Listen, HearsWhatOthersNotify) {
  test::with_db([](Db& db) -> Task<void> {
    auto notes = db.listen("news");
    const auto speak = [](Db& on) -> Task<void> {
      const DynamicQuery<std::int64_t()> listeners{
          unsafe_sql("select count(*) from pg_stat_activity where query = 'listen \"news\"' and state = 'idle'")};
      while (co_await on.one(listeners) == 0) {
      }
      co_await on.notify("news", "first");
      co_await on.transaction([](Tx& tx) -> Task<void> { co_await tx.notify("news", "second"); });
    };
    const auto hear = [](Generator<Notification>& from) -> Task<void> {
      EXPECT_EQ((co_await from.next())->payload, "first");
      EXPECT_EQ((co_await from.next())->payload, "second");
    };
    co_await async::all(hear(notes), speak(db));
  });
}

}  // namespace
}  // namespace ashlar::pg
