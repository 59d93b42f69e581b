// How many shared connections a pool uses while queries queue up.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;

const Query<int(int)> echo{"select $1::int4 as n"};
// A connection is held for as long, whatever the server's cores do.
const Query<void(double)> nap{"select pg_sleep($1)"};

/// Forty coroutines that query until `done()`.
template <class F>
Task<void> queue_up(Db& db, F done) {
  std::vector<Task<void>> tasks;
  const auto work = [&]() -> Task<void> {
    while (!done()) co_await db.exec(nap, 0.001);
  };
  for (int i = 0; i < 40; ++i) tasks.push_back(work());
  co_await async::all(std::move(tasks));
}

TEST(PoolCount, WhileQueriesQueueUpMoreConnectionsAreTriedAndKept) {
  test::with_db(
      [](Db& db) -> Task<void> {
        co_await db.one(echo, 1);
        EXPECT_EQ(db.stats().shared_open, 1U);
        // Three of them answer three times as much, so they are found as soon as each has been tried.
        co_await async::timeout(60s, queue_up(db, [&] { return db.stats().shared_open == 3; }));
        EXPECT_EQ(co_await db.one(echo, 2), 2);
      },
      {.shared_connections = 1, .shared_connections_most = 3});
}

TEST(PoolCount, ThoseBeyondTheFirstAreClosedWhenNothingQueuesUpAnyMore) {
  const TestDatabase database(test::server(), "template1");
  async::run([](std::string url) -> Task<void> {
    auto config = std::make_shared<detail::ConnectionConfig>();
    config->options = ConnectOptions::parse(url);
    Pool pool(async::Loop::current(), config, {.shared = 1, .shared_most = 2, .keep_extra = 50ms});
    co_await pool.start();
    const auto work = [&]() -> Task<void> {
      while (pool.stats().shared_open < 2) {
        Params params;
        encode_value(params, 0.001);
        co_await detail::Execution(pool, nap, std::move(params), nullptr);
      }
    };
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 40; ++i) tasks.push_back(work());
    co_await async::timeout(60s, async::all(std::move(tasks)));
    for (int i = 0; i < 2000 && pool.stats().shared_open > 1; ++i) co_await async::sleep(5ms);
    EXPECT_EQ(pool.stats().shared_open, 1U);
    EXPECT_EQ(pool.stats().lost, 0U);
    co_await pool.stop();
  }(database.url()));
}

TEST(PoolCount, WithoutAQueueNoneIsTried) {
  test::with_db(
      [](Db& db) -> Task<void> {
        const auto until = async::Clock::now() + 500ms;
        for (int i = 0; async::Clock::now() < until; ++i) EXPECT_EQ(co_await db.one(echo, i), i);
        EXPECT_EQ(db.stats().shared_open, 1U);
      },
      {.shared_connections = 1, .shared_connections_most = 3});
}

TEST(PoolCount, AServerThatHasNoneToSpareIsNoFault) {
  const TestDatabase database(test::server(), "template1");
  std::string url = database.url();
  async::run([](std::string owner) -> Task<void> {
    Db db({.url = owner, .check_queries = false});
    co_await db.start_loop(async::Loop::current());
    const DynamicQuery<void()> drop{unsafe_sql("drop role if exists one_connection")};
    const DynamicQuery<void()> create{unsafe_sql("create role one_connection login connection limit 1")};
    co_await db.exec(drop);
    co_await db.exec(create);
    co_await db.stop_loop(async::Loop::current());
  }(url));
  url += (url.contains('?') ? "&" : "?") + std::string("user=one_connection");
  async::run([](std::string limited) -> Task<void> {
    Db db({.url = limited, .shared_connections = 1, .shared_connections_most = 3, .check_queries = false});
    co_await db.start_loop(async::Loop::current());
    // One was asked for, and refused.
    co_await async::timeout(60s, queue_up(db, [&] { return db.stats().connects == 2; }));
    const auto until = async::Clock::now() + 300ms;
    co_await queue_up(db, [&] { return async::Clock::now() > until; });
    EXPECT_EQ(db.stats().connects, 2U) << "and not again and again";
    EXPECT_EQ(db.stats().shared_open, 1U);
    EXPECT_EQ(db.stats().lost, 0U);
    EXPECT_EQ(co_await db.one(echo, 3), 3);
    co_await db.stop_loop(async::Loop::current());
  }(url));
}

}  // namespace
}  // namespace ashlar::pg
