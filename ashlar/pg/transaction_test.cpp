#include <ashlar/pg/transaction.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/async/sync.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::HasSubstr;

const Query<void()> create_counters{"create table counters (id int primary key, value int not null)"};
const Query<void(int, int)> put_counter{"insert into counters (id, value) values ($1, $2)"};
const Query<int(int)> read_counter{"select value from counters where id = $1"};
const Query<void(int, int)> write_counter{"update counters set value = $2 where id = $1"};
const Query<void(int)> bump_counter{"update counters set value = value + 1 where id = $1", {.name = "bump_counter"}};
const Query<std::int64_t()> count_counters{"select count(*) from counters"};
const Query<std::string()> isolation{"select current_setting('transaction_isolation')"};
const Query<std::string(std::string)> setting{"select current_setting($1)"};
const Query<void(double)> nap{"select pg_sleep($1)"};
const Query<std::int64_t()> sleepers{
    "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep%' and pid <> "
    "pg_backend_pid()"};

TEST(Transaction, SerializationFailuresAreRetriedUntilTheSumIsRight) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_counters);
    co_await db.exec(put_counter, 1, 0);
    unsigned attempts = 0;
    const auto increment = [&]() -> Task<void> {
      co_await db.transaction(serializable | TransactionOptions{.max_attempts = 100}, [&](Tx& tx) -> Task<void> {
        ++attempts;
        const int value = co_await tx.one(read_counter, 1);
        co_await tx.exec(write_counter, 1, value + 1);
      });
    };
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(increment());
    co_await async::all(std::move(tasks));
    EXPECT_EQ(co_await db.one(read_counter, 1), 20);
    EXPECT_GT(attempts, 20U) << "no transaction ever failed: this proved nothing";
  });
}

TEST(Transaction, DeadlocksAreRetried) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_counters);
    co_await db.exec(put_counter, 1, 0);
    co_await db.exec(put_counter, 2, 0);
    async::Event first_has_1;
    async::Event second_has_2;
    unsigned attempts = 0;
    const auto cross = [&](int a, int b, async::Event& mine, async::Event& other) -> Task<void> {
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        ++attempts;
        co_await tx.exec(bump_counter, a);
        mine.set();
        co_await other.wait();
        co_await tx.exec(bump_counter, b);
      });
    };
    co_await async::all(cross(1, 2, first_has_1, second_has_2), cross(2, 1, second_has_2, first_has_1));
    EXPECT_EQ(co_await db.one(read_counter, 1), 2);
    EXPECT_EQ(co_await db.one(read_counter, 2), 2);
    // Three, or more on a busy machine: the loser may run again, and take its row back, before the server has woken the
    // winner, which then waits for it once more.
    EXPECT_GE(attempts, 3U);
  });
}

TEST(Transaction, ADeadlockThatIsNotRetriedNamesBothStatements) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_counters);
    co_await db.exec(put_counter, 1, 0);
    co_await db.exec(put_counter, 2, 0);
    async::Event one;
    async::Event two;
    std::string detail;
    const auto cross = [&](int a, int b, async::Event& mine, async::Event& other) -> Task<void> {
      try {
        co_await db.transaction({.max_attempts = 1}, [&](Tx& tx) -> Task<void> {
          co_await tx.exec(bump_counter, a);
          mine.set();
          co_await other.wait();
          co_await tx.exec(bump_counter, b);
        });
      } catch (const Deadlock& deadlock) {
        detail = deadlock.detail;
        EXPECT_EQ(deadlock.kind(), ErrorKind::unavailable);
        EXPECT_EQ(deadlock.query, "bump_counter");
      }
    };
    co_await async::all(cross(1, 2, one, two), cross(2, 1, two, one));
    EXPECT_THAT(detail, HasSubstr("waits for ShareLock"));
  });
}

TEST(Transaction, ASavepointThatFailsIsUndoneAlone) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_counters);
    const int kept = co_await db.transaction([](Tx& tx) -> Task<int> {
      co_await tx.exec(put_counter, 1, 10);
      try {
        co_await tx.savepoint([&]() -> Task<void> {
          co_await tx.exec(put_counter, 2, 20);
          co_await tx.exec(put_counter, 1, 99);
        });
        ADD_FAILURE() << "the key is taken";
      } catch (const UniqueViolation&) {
      }
      co_return co_await tx.savepoint([&]() -> Task<int> {
        co_await tx.exec(put_counter, 3, 30);
        co_return 3;
      });
    });
    EXPECT_EQ(kept, 3);
    EXPECT_EQ(co_await db.one(count_counters), 2);
  });
}

TEST(Transaction, ASwallowedErrorIsNotCommittedAsIfNothingHadHappened) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_counters);
    const auto error = co_await test::caught<Internal>(db.transaction([](Tx& tx) -> Task<void> {
      co_await tx.exec(put_counter, 1, 1);
      try {
        co_await tx.exec(put_counter, 1, 1);
      } catch (const UniqueViolation&) {
      }
    }));
    EXPECT_THAT(error->message(), HasSubstr("savepoint"));
    EXPECT_EQ(co_await db.one(count_counters), 0);
  });
}

TEST(Transaction, HooksRunOnceAfterTheCommitAndNeverAfterARollback) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_counters);
    int ran = 0;
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      tx.after_commit([&]() -> Task<void> { ran += co_await db.one(read_counter, 1); });
      co_await tx.exec(put_counter, 1, 5);
      EXPECT_EQ(ran, 0);
    });
    EXPECT_EQ(ran, 5);
    co_await test::caught<Conflict>(db.transaction([&](Tx& tx) -> Task<void> {
      tx.after_commit([&]() -> Task<void> {
        ran = -1;
        co_return;
      });
      throw Conflict("no");
      co_return;
    }));
    EXPECT_EQ(ran, 5);
  });
}

TEST(Transaction, IsolationAndAccessModesReachTheServer) {
  test::with_db([](Db& db) -> Task<void> {
    const auto level = [](Tx& tx) -> Task<std::string> { co_return co_await tx.one(isolation); };
    EXPECT_EQ(co_await db.transaction(level), "read committed");
    EXPECT_EQ(co_await db.transaction(repeatable_read, level), "repeatable read");
    EXPECT_EQ(co_await db.transaction(serializable, level), "serializable");
    co_await db.transaction(serializable | read_only | deferrable, [](Tx& tx) -> Task<void> {
      EXPECT_EQ(co_await tx.one(setting, "transaction_read_only"), "on");
      EXPECT_EQ(co_await tx.one(setting, "transaction_deferrable"), "on");
    });
    co_await db.exec(create_counters);
    const auto refused = co_await test::caught<DatabaseError>(
        db.transaction(read_only, [](Tx& tx) -> Task<void> { co_await tx.exec(put_counter, 1, 1); }));
    EXPECT_EQ(refused->code, "25006");
  });
}

TEST(Transaction, ACancelledOneIsRolledBackAndStopsOnTheServer) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_counters);
    const auto started = async::Clock::now();
    const auto error = co_await test::caught<DeadlineExceeded>(
        async::timeout(std::chrono::milliseconds{100}, db.transaction([](Tx& tx) -> Task<void> {
          co_await tx.exec(put_counter, 1, 1);
          co_await tx.exec(nap, 30.0);
        })));
    EXPECT_EQ(error->kind(), ErrorKind::deadline_exceeded);
    EXPECT_LT(async::Clock::now() - started, std::chrono::seconds{10});
    EXPECT_EQ(co_await db.one(count_counters), 0);
    while (co_await db.one(sleepers) != 0) {
    }
    EXPECT_EQ(db.stats().exclusive_used, 0U);
  });
}

TEST(Transaction, TheDeadlineBecomesTheServersStatementTimeout) {
  test::with_db([](Db& db) -> Task<void> {
    co_await async::timeout(std::chrono::seconds{7}, [](Db& on) -> Task<void> {
      co_await on.transaction([](Tx& tx) -> Task<void> {
        const std::string value = co_await tx.one(setting, "statement_timeout");
        EXPECT_TRUE(value.starts_with("6") || value == "7s") << value;
      });
    }(db));
  });
}

TEST(Transaction, AdvisoryLocksKeepOthersOut) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.lock(42);
      const bool other =
          co_await db.transaction([](Tx& second) -> Task<bool> { co_return co_await second.try_lock(42); });
      EXPECT_FALSE(other);
    });
    EXPECT_TRUE(co_await db.transaction([](Tx& tx) -> Task<bool> { co_return co_await tx.try_lock(42); }));
  });
}

TEST(Transaction, UsedAfterItsEndIsRefused) {
  test::with_db([](Db& db) -> Task<void> {
    Tx* kept = nullptr;
    co_await test::caught<Internal>(db.transaction([&](Tx& tx) -> Task<void> {
      kept = &tx;
      tx.after_commit([&]() -> Task<void> { co_return; });
      co_await tx.exec(nap, 0.0);
      throw Internal("end");
    }));
    EXPECT_EQ(db.stats().exclusive_used, 0U);
  });
}

}  // namespace
}  // namespace ashlar::pg
