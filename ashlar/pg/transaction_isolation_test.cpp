// Which anomalies each isolation level lets through, and what row and table locks do about them.
// (https://www.postgresql.org/docs/current/transaction-iso.html)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::ElementsAre;
using namespace std::chrono_literals;

const Query<void()> create_doctors{
    "create table doctors (id int primary key, on_call bool not null, shifts int not null)"};
const Query<void()> fill_doctors{"insert into doctors values (1, true, 0), (2, true, 0)"};
const Query<std::int64_t()> count_on_call{"select count(*) from doctors where on_call"};
const Query<std::int64_t()> count_doctors{"select count(*) from doctors"};
const Query<void(int)> go_home{"update doctors set on_call = false where id = $1"};
const Query<int(int)> shifts_of{"select shifts from doctors where id = $1"};
const Query<void(int, int)> set_shifts{"update doctors set shifts = $2 where id = $1"};
const Query<void(int)> hire{"insert into doctors values ($1, true, 0)"};
const Query<int(int)> lock_row{"select id from doctors where id = $1 for update"};
const Query<int(int)> share_row{"select id from doctors where id = $1 for share"};
const Query<int(int)> lock_row_now{"select id from doctors where id = $1 for update nowait"};
const Query<int()> lock_a_free_row{"select id from doctors order by id limit 1 for update skip locked"};
const Query<void()> lock_table{"lock table doctors in share row exclusive mode"};
const Query<void()> lock_table_now{"lock table doctors in share row exclusive mode nowait"};
const Query<std::string(std::string)> setting{"select current_setting($1)"};

/// Runs `second` to its commit after `first` has done its part before, and before its part after.
Task<void> interleaved(Db& db, TransactionOptions options, std::function<Task<void>(Tx&)> before,
                       std::function<Task<void>(Tx&)> second, std::function<Task<void>(Tx&)> after) {
  options.max_attempts = 1;
  co_await db.transaction(options, [&](Tx& tx) -> Task<void> {
    co_await before(tx);
    co_await db.transaction(options, second);
    co_await after(tx);
  });
}

void with_doctors(std::function<Task<void>(Db&)> body) {
  test::with_db([&](Db& db) -> Task<void> {
    co_await db.exec(create_doctors);
    co_await db.exec(fill_doctors);
    co_await body(db);
  });
}

/// Two doctors go home at once, each because the other is on call.
Task<void> write_skew(Db& db, TransactionOptions options) {
  co_await interleaved(
      db, options, [](Tx& tx) -> Task<void> { EXPECT_EQ(co_await tx.one(count_on_call), 2); },
      [](Tx& tx) -> Task<void> {
        EXPECT_EQ(co_await tx.one(count_on_call), 2);
        co_await tx.exec(go_home, 1);
      },
      [](Tx& tx) -> Task<void> { co_await tx.exec(go_home, 2); });
}

TEST(Isolation, RepeatableReadLetsWriteSkewThrough) {
  with_doctors([](Db& db) -> Task<void> {
    co_await write_skew(db, repeatable_read);
    EXPECT_EQ(co_await db.one(count_on_call), 0);
  });
}

TEST(Isolation, SerializableRefusesWriteSkew) {
  with_doctors([](Db& db) -> Task<void> {
    co_await test::caught<SerializationFailure>(write_skew(db, serializable));
    EXPECT_EQ(co_await db.one(count_on_call), 1);
  });
}

/// Both read the same number and write one more.
Task<void> lost_update(Db& db, TransactionOptions options) {
  int seen = 0;
  co_await interleaved(
      db, options, [&](Tx& tx) -> Task<void> { seen = co_await tx.one(shifts_of, 1); },
      [](Tx& tx) -> Task<void> { co_await tx.exec(set_shifts, 1, co_await tx.one(shifts_of, 1) + 1); },
      [&](Tx& tx) -> Task<void> { co_await tx.exec(set_shifts, 1, seen + 1); });
}

TEST(Isolation, ReadCommittedLosesAnUpdate) {
  with_doctors([](Db& db) -> Task<void> {
    co_await lost_update(db, read_committed);
    EXPECT_EQ(co_await db.one(shifts_of, 1), 1) << "two shifts were worked";
  });
}

TEST(Isolation, RepeatableReadLosesNoUpdate) {
  with_doctors([](Db& db) -> Task<void> {
    co_await test::caught<SerializationFailure>(lost_update(db, repeatable_read));
    EXPECT_EQ(co_await db.one(shifts_of, 1), 1) << "the other one is told, and does it again";
  });
}

/// How many doctors a transaction counts before and after another one has hired.
Task<std::vector<std::int64_t>> phantom(Db& db, TransactionOptions options) {
  std::vector<std::int64_t> counts;
  const auto count = [&](Tx& tx) -> Task<void> { counts.push_back(co_await tx.one(count_doctors)); };
  co_await interleaved(db, options, count, [](Tx& tx) -> Task<void> { co_await tx.exec(hire, 3); }, count);
  co_return counts;
}

TEST(Isolation, ReadCommittedSeesPhantoms) {
  with_doctors([](Db& db) -> Task<void> { EXPECT_THAT(co_await phantom(db, read_committed), ElementsAre(2, 3)); });
}

TEST(Isolation, RepeatableReadSeesNoPhantoms) {
  with_doctors([](Db& db) -> Task<void> { EXPECT_THAT(co_await phantom(db, repeatable_read), ElementsAre(2, 2)); });
}

/// Reads two rows of which another transaction changes both in between.
Task<std::vector<int>> read_skew(Db& db, TransactionOptions options) {
  std::vector<int> shifts;
  co_await interleaved(
      db, options, [&](Tx& tx) -> Task<void> { shifts.push_back(co_await tx.one(shifts_of, 1)); },
      [](Tx& tx) -> Task<void> {
        co_await tx.exec(set_shifts, 1, 5);
        co_await tx.exec(set_shifts, 2, 5);
      },
      [&](Tx& tx) -> Task<void> { shifts.push_back(co_await tx.one(shifts_of, 2)); });
  co_return shifts;
}

TEST(Isolation, ReadCommittedSeesHalfOfAnotherTransaction) {
  with_doctors([](Db& db) -> Task<void> { EXPECT_THAT(co_await read_skew(db, read_committed), ElementsAre(0, 5)); });
}

TEST(Isolation, RepeatableReadSeesAllOrNothingOfAnotherTransaction) {
  with_doctors([](Db& db) -> Task<void> { EXPECT_THAT(co_await read_skew(db, repeatable_read), ElementsAre(0, 0)); });
}

TEST(Isolation, AReadOnlyDeferrableTransactionIsNeverRefused) {
  with_doctors([](Db& db) -> Task<void> {
    co_await db.transaction(serializable | read_only | deferrable | TransactionOptions{.max_attempts = 1},
                            [&](Tx& tx) -> Task<void> {
                              EXPECT_EQ(co_await tx.one(count_on_call), 2);
                              co_await db.exec(go_home, 1);
                              EXPECT_EQ(co_await tx.one(count_on_call), 2);
                            });
  });
}

TEST(RowLocks, ForUpdateKeepsWritersOutUntilTheEnd) {
  with_doctors([](Db& db) -> Task<void> {
    async::Event locked;
    async::Event waiting;
    const auto holder = [&]() -> Task<void> {
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        EXPECT_EQ(co_await tx.one(lock_row, 1), 1);
        locked.set();
        co_await waiting.wait();
        co_await tx.exec(set_shifts, 1, co_await tx.one(shifts_of, 1) + 1);
      });
    };
    const auto other = [&]() -> Task<void> {
      co_await locked.wait();
      co_await db.transaction([&](Tx& tx) -> Task<void> {
        waiting.set();
        (void)co_await tx.one(lock_row, 1);
        co_await tx.exec(set_shifts, 1, co_await tx.one(shifts_of, 1) + 1);
      });
    };
    co_await async::all(holder(), other());
    EXPECT_EQ(co_await db.one(shifts_of, 1), 2) << "read committed loses no update under a row lock";
  });
}

TEST(RowLocks, ForShareAllowsReadersAndNowaitRefusesAtOnce) {
  with_doctors([](Db& db) -> Task<void> {
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      (void)co_await tx.one(share_row, 1);
      EXPECT_EQ(co_await db.transaction([](Tx& second) { return second.one(share_row, 1); }), 1);
      const auto refused = co_await test::caught<LockNotAvailable>(
          db.transaction([](Tx& second) -> Task<void> { (void)co_await second.one(lock_row_now, 1); }));
      EXPECT_EQ(refused->code, "55P03");
      EXPECT_EQ(refused->kind(), ErrorKind::unavailable);
    });
  });
}

TEST(RowLocks, SkipLockedGivesEachWorkerARowOfItsOwn) {
  with_doctors([](Db& db) -> Task<void> {
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      EXPECT_EQ(co_await tx.one(lock_a_free_row), 1);
      co_await db.transaction([&](Tx& second) -> Task<void> {
        EXPECT_EQ(co_await second.one(lock_a_free_row), 2);
        EXPECT_EQ(co_await db.transaction([](Tx& third) { return third.maybe(lock_a_free_row); }), std::nullopt);
      });
    });
  });
}

TEST(TableLocks, AreQueriesAndKeepOthersOut) {
  with_doctors([](Db& db) -> Task<void> {
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      co_await tx.exec(lock_table);
      co_await test::caught<LockNotAvailable>(
          db.transaction([](Tx& second) -> Task<void> { co_await second.exec(lock_table_now); }));
    });
    co_await db.transaction([](Tx& tx) -> Task<void> { co_await tx.exec(lock_table_now); });
  });
}

TEST(LockTimeout, OfTheOptionEndsAWaitWithLockNotAvailable) {
  with_doctors([](Db& db) -> Task<void> {
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      (void)co_await tx.one(lock_row, 1);
      const auto error = co_await test::caught<LockNotAvailable>(
          db.transaction({.lock_timeout = 20ms}, [](Tx& second) -> Task<void> { co_await second.exec(go_home, 1); }));
      EXPECT_EQ(error->code, "55P03");
    });
  });
}

TEST(LockTimeout, OfTheDeadlineEndsAWaitBeforeTheDeadline) {
  with_doctors([](Db& db) -> Task<void> {
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      (void)co_await tx.one(lock_row, 1);
      const auto error = co_await test::caught<LockNotAvailable>(
          async::timeout(3s, db.transaction([](Tx& second) -> Task<void> { co_await second.exec(go_home, 1); })));
      EXPECT_EQ(error->code, "55P03") << "503: somebody else holds it; not 504";
    });
  });
}

TEST(LockTimeout, IsTheShorterOfOptionAndDeadline) {
  const auto lock_timeout = [](Db& db, std::chrono::milliseconds option) -> Task<std::string> {
    co_return co_await db.transaction({.lock_timeout = option}, [](Tx& tx) -> Task<std::string> {
      co_return co_await tx.one(setting, "lock_timeout");
    });
  };
  with_doctors([&](Db& db) -> Task<void> {
    EXPECT_EQ(co_await lock_timeout(db, 0ms), "0");
    EXPECT_EQ(co_await lock_timeout(db, 7s), "7s");
    EXPECT_EQ(co_await async::timeout(1000s, lock_timeout(db, 7s)), "7s");
    const std::string of_the_deadline = co_await async::timeout(1000s, lock_timeout(db, 2000s));
    EXPECT_TRUE(of_the_deadline.starts_with("89") || of_the_deadline == "15min") << of_the_deadline;
  });
}

}  // namespace
}  // namespace ashlar::pg
