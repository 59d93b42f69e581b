#include <ashlar/pg/stream.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct Entry {
  std::int32_t n = 0;
  std::optional<std::string> text;
  std::vector<std::string> tags;
};
const Query<int(int)> numbers{"select generate_series(1, $1) as n"};
const Query<int(int)> failing{"select 1 / (3 - n) from generate_series(1, $1) n"};
const Query<void()> create_entries{"create table entries (n int primary key, text text, tags text[] not null)"};
const Query<std::int64_t()> count_entries{"select count(*) from entries"};
const Query<std::int64_t()> sum_entries{
    "select sum(n) from entries where text = 'x' || n and tags = array['a', n::text]"};
const CopyInto<Entry> copy_entries{"entries"};

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

TEST(Copy, TakesStructs) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_entries);
    std::vector<Entry> entries;
    for (int i = 1; i <= 20'000; ++i) entries.push_back({i, "x" + std::to_string(i), {"a", std::to_string(i)}});
    EXPECT_EQ(co_await db.copy_in(copy_entries, std::move(entries)), 20'000U);
    EXPECT_EQ(co_await db.one(sum_entries), 200'010'000);
  });
}

TEST(Copy, IsAllOrNothing) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_entries);
    std::vector<Entry> twice = {{1, std::nullopt, {}}, {1, std::nullopt, {}}};
    co_await test::caught<UniqueViolation>(db.copy_in(copy_entries, twice));
    const auto broken = []() -> Generator<Entry> {
      co_yield Entry{2, std::nullopt, {}};
      throw Conflict("the source broke");
    };
    const auto error = co_await test::caught<Conflict>(db.copy_in(copy_entries, broken()));
    EXPECT_THAT(error->message(), HasSubstr("source broke"));
    EXPECT_EQ(co_await db.one(count_entries), 0);
  });
}

TEST(Copy, PassesCsvInAndOut) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_entries);
    const auto csv = []() -> Generator<std::string> {
      co_yield "1,one,\"{a,b}\"\n2,";
      co_yield "two,{}\n";
    };
    EXPECT_EQ(co_await db.copy_in("copy entries from stdin (format csv)", csv()), 2U);
    std::string out;
    auto chunks = db.copy_out("copy (select * from entries order by n) to stdout (format csv)");
    while (const auto chunk = co_await chunks.next()) out += *chunk;
    EXPECT_EQ(out, "1,one,\"{a,b}\"\n2,two,{}\n");
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
