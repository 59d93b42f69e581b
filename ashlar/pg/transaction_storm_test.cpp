// Sixty-four writers that are in each other's way, and what is told of deadlocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/detail/transaction_journal.hpp>
#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::pg {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kWriters = 64;
constexpr int kAccounts = 8;

const Query<void()> create_accounts{"create table accounts (id int primary key, balance int not null)"};
const Query<void()> fill_accounts{"insert into accounts select i, 1000 from generate_series(0, 7) i"};
const Query<int(int)> balance_of{"select balance from accounts where id = $1"};
const Query<void(int, int)> set_balance{"update accounts set balance = $2 where id = $1"};
const Query<void(int, int)> take{"update accounts set balance = balance - $2 where id = $1", {.name = "take"}};
const Query<void(int, int)> give{"update accounts set balance = balance + $2 where id = $1", {.name = "give"}};
const Query<std::int64_t()> waiting_sessions{"select count(*) from pg_locks where not granted"};
const Query<std::int64_t()> total{"select sum(balance) from accounts"};
// Detection of a deadlock takes this long, and a storm has many.
const Query<void()> find_deadlocks_early{
    "do $$ begin execute format('alter database %I set deadlock_timeout = ''10ms''', current_database()); end $$"};

double value_of(const metrics::Registry& registry, std::string_view name, std::string_view reason) {
  for (const metrics::Family& family : registry.snapshot()) {
    if (family.name != name) continue;
    for (const metrics::Series& series : family.series) {
      if (series.labels.front().second == reason) return series.value;
    }
  }
  return 0;
}

Options for_storms() { return {.exclusive_connections = kWriters, .acquire_timeout = std::chrono::seconds{60}}; }

TEST(Storm, OfSerializationFailuresEndsWithTheRightSum) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  test::with_db(
      [&](Db& db) -> Task<void> {
        co_await db.exec(create_accounts);
        co_await db.exec(fill_accounts);
        const auto transfer = [&](int from, int to) -> Task<void> {
          co_await db.transaction(serializable | TransactionOptions{.max_attempts = 10'000}, [&](Tx& tx) -> Task<void> {
            const int had = co_await tx.one(balance_of, from);
            const int has = co_await tx.one(balance_of, to);
            co_await tx.exec(set_balance, from, had - 1);
            co_await tx.exec(set_balance, to, has + 1);
          });
        };
        // Every account gives as often as it gets, but for the first and the last.
        std::vector<Task<void>> writers;
        for (int i = 0; i < kWriters; ++i) writers.push_back(transfer(i % 2 == 0 ? 0 : 1, i % 2 == 0 ? 1 : 2));
        co_await async::all(std::move(writers));
        EXPECT_EQ(co_await db.one(balance_of, 0), 1000 - kWriters / 2);
        EXPECT_EQ(co_await db.one(balance_of, 1), 1000);
        EXPECT_EQ(co_await db.one(balance_of, 2), 1000 + kWriters / 2);
      },
      for_storms());
  EXPECT_GT(value_of(registry, "pg.transaction.retries", "serialization"), 0) << "this was no storm";
  EXPECT_EQ(value_of(registry, "pg.transaction.given_up", "serialization"), 0);
}

TEST(Storm, OfDeadlocksEndsWithTheRightSum) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  test::with_db(
      [&](Db& db) -> Task<void> {
        co_await db.exec(create_accounts);
        co_await db.exec(fill_accounts);
        co_await db.exec(find_deadlocks_early);
        // The first two wait for each other for certain, the others as it comes.
        async::Event first_has_taken;
        async::Event second_has_taken;
        const auto transfer = [&](int i) -> Task<void> {
          const int from = i == 0 ? 0 : i == 1 ? 1 : i * 5 % kAccounts;
          const int to = i == 0 ? 1 : i == 1 ? 0 : (from + 1 + i % (kAccounts - 1)) % kAccounts;
          co_await db.transaction({.max_attempts = 10'000}, [&, i, from, to](Tx& tx) -> Task<void> {
            co_await tx.exec(take, from, i);
            if (i < 2) {
              (i == 0 ? first_has_taken : second_has_taken).set();
              co_await (i == 0 ? second_has_taken : first_has_taken).wait();
            }
            co_await tx.exec(give, to, i);
          });
        };
        std::vector<int> expected(kAccounts, 1000);
        std::vector<Task<void>> writers;
        for (int i = 0; i < kWriters; ++i) {
          const int from = i == 0 ? 0 : i == 1 ? 1 : i * 5 % kAccounts;
          const int to = i == 0 ? 1 : i == 1 ? 0 : (from + 1 + i % (kAccounts - 1)) % kAccounts;
          expected[static_cast<std::size_t>(from)] -= i;
          expected[static_cast<std::size_t>(to)] += i;
        }
        writers.push_back(transfer(0));
        writers.push_back(transfer(1));
        co_await async::all(std::move(writers));
        writers.clear();
        for (int i = 2; i < kWriters; ++i) writers.push_back(transfer(i));
        co_await async::all(std::move(writers));
        for (int account = 0; account < kAccounts; ++account)
          EXPECT_EQ(co_await db.one(balance_of, account), expected[static_cast<std::size_t>(account)]) << account;
        EXPECT_EQ(co_await db.one(total), 1000 * kAccounts);
      },
      for_storms());
  EXPECT_GT(value_of(registry, "pg.transaction.retries", "deadlock"), 0);
  EXPECT_EQ(value_of(registry, "pg.transaction.given_up", "deadlock"), 0);
}

/// Two transactions that wait for each other; gives the error of the one that lost, if it is not retried.
Task<std::optional<Deadlock>> cross(Db& db, unsigned attempts) {
  async::Event one;
  async::Event two;
  std::optional<Deadlock> lost;
  const auto first = [&]() -> Task<void> {
    co_await db.transaction({.max_attempts = attempts}, [&](Tx& tx) -> Task<void> {
      co_await tx.exec(take, 1, 1);
      one.set();
      co_await two.wait();
      co_await tx.exec(take, 2, 1);
    });
  };
  const auto second = [&]() -> Task<void> {
    co_await db.transaction({.max_attempts = attempts}, [&](Tx& tx) -> Task<void> {
      co_await tx.exec(give, 2, 1);
      two.set();
      co_await one.wait();
      co_await tx.exec(give, 1, 1);
    });
  };
  const auto guarded = [&](Task<void> task) -> Task<void> {
    try {
      co_await std::move(task);
    } catch (const Deadlock& deadlock) {
      lost = deadlock;
    }
  };
  co_await async::all(guarded(first()), guarded(second()));
  co_return lost;
}

TEST(DeadlockReport, NamesTheStatementsOfBothSidesAndWhereTheyWereBegun) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_accounts);
    co_await db.exec(fill_accounts);
    const auto lost = co_await cross(db, 1);
    EXPECT_TRUE(lost.has_value());
    if (!lost) co_return;
    EXPECT_THAT(lost->detail, AllOf(HasSubstr("waits for ShareLock"), HasSubstr(" is this transaction begun at "),
                                    HasSubstr(" is transaction begun at "), HasSubstr("transaction_storm_test.cpp:"),
                                    HasSubstr("query take ("), HasSubstr("query give (")));
    EXPECT_THAT(lost->query, AnyOf("take", "give"));
  });
}

TEST(DeadlockReport, IsWrittenToTheLogWhenTheTransactionIsRetried) {
  const log::Capture capture;
  test::with_db([&](Db& db) -> Task<void> {
    co_await db.exec(create_accounts);
    co_await db.exec(fill_accounts);
    EXPECT_EQ(co_await cross(db, 100), std::nullopt);
  });
  const auto line = capture.find("transactions waited for each other: this one runs again");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->level, log::Level::warn);
  EXPECT_THAT(line->field("begun_at"), HasSubstr("transaction_storm_test.cpp:"));
  EXPECT_THAT(line->field("detail"), AllOf(HasSubstr("query take ("), HasSubstr("query give (")));
}

TEST(DeadlockReport, SaysWhatTheServerKnowsOfAnotherProgram) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_accounts);
    co_await db.exec(fill_accounts);
    const std::string socket = test::server()->socket_folder() + "/.s.PGSQL.5432";
    const std::string database = db.url().substr(14, db.url().find('?') - 14);
    // The other one looks for deadlocks so late that this one always does it first.
    detail::BlockingClient other(socket, "ashlar", database);
    other.query("set application_name = 'report'; set deadlock_timeout = '1h'");
    other.query("begin; update accounts set balance = 0 where id = 2");
    std::thread waiting;
    const auto lost = co_await test::caught<Deadlock>(db.transaction({.max_attempts = 1}, [&](Tx& tx) -> Task<void> {
      co_await tx.exec(take, 1, 1);
      waiting = std::thread([&] { other.query("update accounts set balance = balance - 7 where id = 1"); });
      while (co_await db.one(waiting_sessions) == 0) {
      }
      co_await tx.exec(take, 2, 1);
    }));
    waiting.join();
    if (lost == nullptr) co_return;
    EXPECT_THAT(lost->detail,
                AllOf(HasSubstr("report on this machine; its last statement: take ("), HasSubstr("query take (")));
  });
}

TEST(DeadlockReport, FindsTheProcessesInAnyLanguage) {
  EXPECT_THAT(detail::deadlocked_processes("Process 12 waits for ShareLock on transaction 7; blocked by process 13.\n"
                                           "Process 13 waits for ShareLock on transaction 6; blocked by process 12."),
              ElementsAre(12, 13));
  EXPECT_THAT(detail::deadlocked_processes("Prozess 12 wartet auf ShareLock\nProzess 12 wartet"), ElementsAre(12));
  EXPECT_THAT(detail::deadlocked_processes("none"), IsEmpty());
  EXPECT_THAT(detail::deadlocked_processes(""), IsEmpty());
}

TEST(AfterCommit, AHookThatThrowsAnythingLeavesTheOthersAndTheCommit) {
  log::Capture capture;
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_accounts);
    int ran = 0;
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      tx.after_commit([]() -> Task<void> {
        throw std::runtime_error("no mail today");
        co_return;
      });
      tx.after_commit([]() -> Task<void> {
        throw 7;  // NOLINT(misc-throw-by-value-catch-by-reference,hicpp-exception-baseclass)
        co_return;
      });
      tx.after_commit([&]() -> Task<void> {
        ++ran;
        co_return;
      });
      co_await tx.exec(fill_accounts);
    });
    EXPECT_EQ(ran, 1);
    EXPECT_EQ(co_await db.one(total), 8000);
  });
  EXPECT_EQ(capture.find("a hook after a commit failed; the transaction is committed")->field("error"),
            "no mail today");
  EXPECT_THAT(registry.expose(), HasSubstr("pg_transaction_hooks_failed_total 2"));
}

TEST(AfterCommit, AHookOfASavepointThatWasRolledBackDoesNotRun) {
  test::with_db([](Db& db) -> Task<void> {
    std::vector<std::string> ran;
    const auto hook = [&](Tx& tx, const char* name) {
      tx.after_commit([&ran, name]() -> Task<void> {
        ran.emplace_back(name);
        co_return;
      });
    };
    const auto failing = [](Tx& tx, auto body) -> Task<void> {
      try {
        co_await tx.savepoint([&]() -> Task<void> {
          co_await body();
          throw Conflict("no");
        });
      } catch (const Conflict&) {
      }
    };
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      hook(tx, "outside");
      co_await failing(tx, [&]() -> Task<void> {
        hook(tx, "rolled back");
        co_await tx.savepoint([&]() -> Task<void> {
          hook(tx, "released into what is rolled back");
          co_return;
        });
      });
      co_await tx.savepoint([&]() -> Task<void> {
        hook(tx, "kept");
        co_await failing(tx, [&]() -> Task<void> {
          hook(tx, "rolled back inside");
          co_return;
        });
      });
    });
    EXPECT_THAT(ran, ElementsAre("outside", "kept"));
  });
}

TEST(AfterCommit, HooksRunWhenTheRequestIsCancelledAfterTheCommit) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_accounts);
    co_await db.exec(fill_accounts);
    std::optional<std::int64_t> seen;
    async::CancelScope scope;
    async::Context context;
    context.scope = &scope;
    const async::ContextGuard guard(&context);
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      tx.after_commit([&]() -> Task<void> {
        scope.cancel();
        co_return;
      });
      tx.after_commit([&]() -> Task<void> { seen = co_await db.one(total); });
      co_await tx.exec(take, 1, 1);
    });
    EXPECT_EQ(seen, 7999);
  });
}

TEST(AfterCommit, HooksOfAnAttemptThatFailedDoNotRun) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_accounts);
    co_await db.exec(fill_accounts);
    std::vector<unsigned> ran;
    co_await db.transaction(repeatable_read, [&](Tx& tx) -> Task<void> {
      tx.after_commit([&ran, attempt = tx.attempt()]() -> Task<void> {
        ran.push_back(attempt);
        co_return;
      });
      const int had = co_await tx.one(balance_of, 1);
      if (tx.attempt() == 1) co_await db.exec(take, 1, 1);
      co_await tx.exec(set_balance, 1, had + 1);
    });
    EXPECT_THAT(ran, ElementsAre(2U));
    EXPECT_EQ(co_await db.one(balance_of, 1), 1000);
  });
}

}  // namespace
}  // namespace ashlar::pg
