#include <ashlar/pg/advisory_lock.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;

const Query<std::int64_t()> count_locks{
    "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where "
    "datname = current_database())"};
const Query<std::int64_t()> count_waiting{"select count(*) from pg_locks where locktype = 'advisory' and not granted"};
const Query<bool(std::string)> lock_by_sql{"select pg_try_advisory_xact_lock(hashtextextended($1, 0))"};
const Query<void()> end_the_holder{
    "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from "
    "pg_database where datname = current_database())"};
const Query<std::string()> statement_timeout{"select current_setting('statement_timeout')"};

/// Until the server has seen that a session let go.
Task<void> until_free(Db& db) {
  while (co_await db.one(count_locks) != 0) {
  }
}

TEST(AdvisoryLock, IsHeldByOneUntilItIsReleased) {
  test::with_db([](Db& db) -> Task<void> {
    AdvisoryLock lock = co_await AdvisoryLock::acquire(db, "nightly");
    EXPECT_TRUE(lock.held());
    EXPECT_FALSE((co_await AdvisoryLock::try_acquire(db, "nightly")).has_value());
    EXPECT_TRUE((co_await AdvisoryLock::try_acquire(db, "hourly")).has_value());
    co_await lock.release();
    EXPECT_FALSE(lock.held());
    EXPECT_TRUE((co_await AdvisoryLock::try_acquire(db, "nightly")).has_value());
  });
}

TEST(AdvisoryLock, ReleasedKeepsTheConnectionAsItCame) {
  test::with_db(
      [](Db& db) -> Task<void> {
        AdvisoryLock lock = co_await AdvisoryLock::acquire(db, "nightly");
        co_await lock.release();
        co_await lock.release();
        EXPECT_EQ(db.stats().exclusive_open, 1U);
        EXPECT_EQ(db.stats().exclusive_used, 0U);
        EXPECT_EQ(co_await db.transaction([](Tx& tx) { return tx.one(statement_timeout); }), "30s");
      },
      {.exclusive_connections = 1});
}

TEST(AdvisoryLock, DestroyedIsLetGoWithItsConnection) {
  test::with_db(
      [](Db& db) -> Task<void> {
        {
          const AdvisoryLock lock = co_await AdvisoryLock::acquire(db, "nightly");
        }
        co_await until_free(db);
        EXPECT_EQ(db.stats().exclusive_open, 0U);
        EXPECT_TRUE((co_await AdvisoryLock::try_acquire(db, "nightly")).has_value());
      },
      {.exclusive_connections = 1});
}

TEST(AdvisoryLock, WaitsForTheOneBeforeBeyondTheStatementTimeout) {
  test::with_db(
      [](Db& db) -> Task<void> {
        std::optional<AdvisoryLock> first = co_await AdvisoryLock::acquire(db, "nightly");
        bool waited = false;
        const auto second = [&]() -> Task<void> {
          AdvisoryLock lock = co_await AdvisoryLock::acquire(db, "nightly");
          waited = true;
          co_await lock.release();
        };
        const auto let_go = [&]() -> Task<void> {
          while (co_await db.one(count_waiting) == 0) {
          }
          co_await async::sleep(100ms);  // twice the timeout of a statement
          EXPECT_FALSE(waited);
          co_await first->release();
        };
        co_await async::all(second(), let_go());
        EXPECT_TRUE(waited);
      },
      {.statement_timeout = 50ms});
}

TEST(AdvisoryLock, ACancelledWaitHoldsNothing) {
  test::with_db([](Db& db) -> Task<void> {
    AdvisoryLock lock = co_await AdvisoryLock::acquire(db, "nightly");
    const auto wait = [](Db& on) -> Task<void> { (void)co_await AdvisoryLock::acquire(on, "nightly"); };
    co_await test::caught<DeadlineExceeded>(async::timeout(50ms, wait(db)));
    co_await lock.release();
    co_await until_free(db);
    EXPECT_EQ(db.stats().exclusive_used, 0U);
  });
}

TEST(AdvisoryLock, KnowsThatItIsLostWithItsConnection) {
  test::with_db([](Db& db) -> Task<void> {
    AdvisoryLock lock = co_await AdvisoryLock::acquire(db, "nightly");
    co_await db.exec(end_the_holder);
    while (lock.held()) co_await async::sleep(1ms);
    EXPECT_TRUE((co_await AdvisoryLock::try_acquire(db, "nightly")).has_value());
    co_await lock.release();
  });
}

TEST(AdvisoryLock, HasTheSameKeyInSqlAndInTransactions) {
  test::with_db([](Db& db) -> Task<void> {
    const AdvisoryLock lock = co_await AdvisoryLock::acquire(db, "nightly");
    EXPECT_FALSE(co_await db.one(lock_by_sql, "nightly"));
    EXPECT_FALSE(co_await db.transaction([](Tx& tx) { return tx.try_lock("nightly"); }));
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.lock("hourly");
      EXPECT_FALSE((co_await AdvisoryLock::try_acquire(db, "hourly")).has_value());
    });
    EXPECT_TRUE((co_await AdvisoryLock::try_acquire(db, "hourly")).has_value());
  });
}

TEST(Guide, OneWorkerOfManyDoesTheNightlyRun) {
  test::with_db([](Db& db) -> Task<void> {
    int runs = 0;
    // sample: lock
    if (auto lock = co_await pg::AdvisoryLock::try_acquire(db, "nightly")) {
      runs += 1;  // nobody else does, as long as lock->held()
      co_await lock->release();
    }
    // end of sample
    EXPECT_EQ(runs, 1);
  });
}

}  // namespace
}  // namespace ashlar::pg
