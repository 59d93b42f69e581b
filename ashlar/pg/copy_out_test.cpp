// Rows that come out by COPY, joined as they come.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/copy.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;

TEST(CopyOut, JoinsRows) {
  test::with_db([](Db& db) -> Task<void> {
    std::string out;
    std::size_t chunks = 0;
    std::size_t longest = 0;
    auto rows = db.copy_out("copy (select i, repeat('x', 60) from generate_series(1, 20000) i) to stdout");
    while (const auto chunk = co_await rows.next()) {
      ++chunks;
      longest = std::max(longest, chunk->size());
      out += *chunk;
    }
    EXPECT_LT(chunks, 20'000U / 50);
    EXPECT_LE(longest, 64U * 1024);
    std::string expected;
    for (int i = 1; i <= 20'000; ++i) expected += fmt::format("{}\t{}\n", i, std::string(60, 'x'));
    EXPECT_EQ(out == expected, true) << out.size();
  });
}

TEST(CopyOut, ALongRowIsGivenWholeAmongShortOnes) {
  test::with_db([](Db& db) -> Task<void> {
    std::string out, expected;
    auto rows = db.copy_out("copy (select repeat('x', i % 3 * 100000 + 1) from generate_series(1, 300) i) to stdout");
    while (const auto chunk = co_await rows.next()) out += *chunk;
    for (std::size_t i = 1; i <= 300; ++i) expected += std::string(i % 3 * 100'000 + 1, 'x') + "\n";
    EXPECT_EQ(out == expected, true) << out.size();
  });
}

// The server waits for a lock that is given back only when what it has sent before has come.
TEST(CopyOut, NothingThatHasComeIsHeldBack) {
  test::with_db([](Db& db) -> Task<void> {
    std::size_t before = 0;
    std::size_t all = 0;
    const auto read = [&]() -> Task<void> {
      std::optional<Generator<std::string>> rows;
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        co_await tx.exec(Query<void()>{"select pg_advisory_xact_lock(4711)"});
        rows.emplace(db.copy_out(
            "copy (select repeat('x', 1000), case when i = 30 then pg_advisory_xact_lock_shared(4711)::text end "
            "from generate_series(1, 60) i) to stdout"));
        while (before < 16'000) before += (co_await rows->next()).value_or("").size();
      });
      while (const auto chunk = co_await rows->next()) all += chunk->size();
    };
    co_await async::timeout(60s, read());
    EXPECT_LT(before, 31'000U);
    EXPECT_EQ(before + all, 60U * 1'004 - 2);
  });
}

// Who takes slowly keeps the server waiting: rows do not pile up.
TEST(CopyOut, IsReadAsFastAsItIsTaken) {
  test::with_db([](Db& db) -> Task<void> {
    auto rows = db.copy_out("copy (select repeat('x', 100) from generate_series(1, 400000) i) to stdout");
    std::size_t bytes = (co_await rows.next()).value_or("").size();
    const Query<bool()> waits{
        "select coalesce(bool_or(wait_event = 'ClientWrite'), false) from pg_stat_activity where query like 'copy (%'"};
    const auto until_it_waits = [&]() -> Task<void> {
      while (!co_await db.one(waits)) co_await async::sleep(2ms);
    };
    co_await async::timeout(60s, until_it_waits());
    while (const auto chunk = co_await rows.next()) bytes += chunk->size();
    EXPECT_EQ(bytes, 400'000U * 101);
  });
}

}  // namespace
}  // namespace ashlar::pg
