#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/detail/test_session.hpp>
#include <ashlar/pg/repeated_queries.hpp>
#include <ashlar/pg/sandbox.hpp>
#include <ashlar/pg/statement_observer.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Stone {
  std::int64_t id;
  std::string name;
};

const Query<int(int)> echo{"select $1::int4 as n"};
const Query<void()> create_stones{"create table stones (id bigint primary key, name text not null)"};
const Query<void(std::int64_t, std::string)> add_stone{"insert into stones values ($1, $2)", {.name = "add_stone"}};
const Query<std::int64_t(std::int64_t, std::string)> insert_stone{"insert into stones values ($1, $2) returning id"};
const Query<Stone(std::int64_t)> stone_by_id{"select id, name from stones where id = $1", {.name = "stone_by_id"}};
const Query<Stone()> stones{"select id, name from stones order by id"};
const Query<std::int64_t()> count_stones{"select count(*) from stones"};
const Query<std::int64_t()> transaction_id{"select txid_current()"};
const Query<bool(int)> is_odd{"select $1 % 2 = 1"};
const Query<void(double)> nap{"select pg_sleep($1)"};
const Query<void(double)> slow_nap{"select pg_sleep($1)", {.name = "batch_slow_nap", .slow = true}};
const Query<void(std::int64_t)> lengthen{"update stones set name = name || 'x' where id = $1", {.name = "lengthen"}};
const Query<int(std::int16_t)> small{"select $1::int2::int4"};
const DynamicQuery<void()> nothing{unsafe_sql("")};
const Query<std::string()> of_no_table{"select name from no_such_table", {.name = "of_no_table"}};
const Query<std::string(int)> text_of_number{"select $1::int4", {.name = "text_of_number"}};
const DynamicQuery<void()> copy_to_nobody{unsafe_sql("/* all */ Copy stones from stdin")};

auto echoes(int count) {
  return std::views::iota(0, count) | std::views::transform([](int i) { return one(echo, i); });
}

template <class F>
void with_stones(F body, Options options = {}) {
  test::with_db(
      [&](Db& db) -> Task<void> {
        co_await db.exec(create_stones);
        co_await db.batch(exec(add_stone, 1, "one"), exec(add_stone, 2, "two"));
        co_await body(db);
      },
      std::move(options));
}

TEST(QueryBatch, GivesEachResultAndIsOneTransaction) {
  with_stones([](Db& db) -> Task<void> {
    const std::uint64_t before = db.stats().queries;
    const auto [first, added, stone, none, everything, last] =
        co_await db.batch(one(transaction_id), exec(add_stone, 3, "three"), one(stone_by_id, 2), maybe(stone_by_id, 9),
                          all(stones), one(transaction_id));
    EXPECT_EQ(first, last) << "one transaction";
    EXPECT_EQ(added, 1U);
    EXPECT_EQ(stone.name, "two");
    EXPECT_FALSE(none);
    EXPECT_EQ(everything.size(), 3U) << "each sees what those before it did";
    EXPECT_EQ(db.stats().queries, before + 1);
    EXPECT_EQ(std::get<0>(co_await db.batch(one(echo, 7))), 7);
  });
}

TEST(QueryBatch, TakesAsManyOfOneKindAsARangeGives) {
  with_stones([](Db& db) -> Task<void> {
    const std::vector<int> numbers = co_await db.batch(echoes(20));
    EXPECT_EQ(numbers.size(), 20U);
    EXPECT_TRUE(std::ranges::equal(numbers, std::views::iota(0, 20)));
    std::vector<BoundQuery<detail::ExecSink>> writes;
    for (int i = 10; i < 15; ++i) writes.push_back(exec(add_stone, i, fmt::format("stone {}", i)));
    EXPECT_THAT(co_await db.batch(std::move(writes)), ElementsAre(1U, 1U, 1U, 1U, 1U));
    EXPECT_EQ(co_await db.one(count_stones), 7);
    EXPECT_THAT(co_await db.batch(std::views::iota(1, 4) | std::views::transform([](int i) { return one(is_odd, i); })),
                ElementsAre(true, false, true));
    const std::uint64_t before = db.stats().queries;
    EXPECT_THAT(co_await db.batch(echoes(0)), IsEmpty());
    EXPECT_EQ(db.stats().queries, before) << "nobody was asked";
  });
}

TEST(QueryBatch, OneThatFailsUndoesAllAndLeavesNeighboursAlone) {
  with_stones(
      [](Db& db) -> Task<void> {
        const auto failing = [&]() -> Task<void> {
          const auto error = co_await test::caught<UniqueViolation>(
              db.batch(exec(add_stone, 3, "three"), one(stone_by_id, 1), exec(add_stone, 1, "again"), all(stones),
                       exec(add_stone, 4, "four")));
          if (error == nullptr) co_return;
          EXPECT_EQ(error->query, "add_stone");
          EXPECT_THAT(error->file, HasSubstr("batch_test.cpp"));
          EXPECT_EQ(error->columns(), std::vector<std::string>{"id"});
        };
        const auto single = [&](int i) -> Task<void> { EXPECT_EQ(co_await db.one(echo, i), i); };
        const auto other = [&](int i) -> Task<void> {
          EXPECT_EQ((co_await db.batch(one(insert_stone, 100 + i, "other"), one(echo, i))), std::tuple(100 + i, i));
        };
        co_await db.one(echo, 1);
        std::vector<Task<void>> tasks;
        for (int i = 0; i < 10; ++i) {
          tasks.push_back(single(i));
          tasks.push_back(failing());
          tasks.push_back(other(i));
        }
        co_await async::all(std::move(tasks));
        EXPECT_EQ(co_await db.one(count_stones), 12);
        EXPECT_EQ(db.stats().connects, 1U) << "it was one pipeline";
      },
      {.shared_connections = 1, .shared_connections_most = 1});
}

TEST(QueryBatch, WhatDoesNotFitIsNoticedWhenAllIsDone) {
  with_stones([](Db& db) -> Task<void> {
    co_await test::caught<NoRow>(
        db.batch(exec(add_stone, 3, "three"), one(stone_by_id, 9), exec(add_stone, 4, "four")));
    EXPECT_EQ(co_await db.one(count_stones), 4);
    co_await test::caught<TooManyRows>(db.batch(one(stones), one(echo, 1)));
    const auto undone = [](Tx& tx) -> Task<void> {
      co_await tx.batch(exec(add_stone, 5, "five"), one(stone_by_id, 9));
    };
    co_await test::caught<NoRow>(db.transaction(undone));
    EXPECT_EQ(co_await db.one(count_stones), 4) << "a transaction is undone by what is thrown";
  });
}

TEST(QueryBatch, AnArgumentThatDoesNotFitSendsNothing) {
  with_stones([](Db& db) -> Task<void> {
    std::string broken("a\0b", 3);
    co_await test::caught<BadArgument>(db.batch(exec(add_stone, 3, "three"), exec(add_stone, 4, broken), one(echo, 1)));
    EXPECT_EQ(co_await db.one(count_stones), 2);
    EXPECT_EQ((co_await db.batch(one(echo, 1), one(echo, 2))), std::tuple(1, 2));
  });
}

TEST(QueryBatch, AStatementThatIsWrongFailsItsBatchOnly) {
  with_stones(
      [](Db& db) -> Task<void> {
        const auto wrong = [&]() -> Task<void> {
          const auto error = co_await test::caught<DatabaseError>(
              db.batch(exec(add_stone, 3, "three"), one(of_no_table), one(small, std::int16_t{1})));
          if (error == nullptr) co_return;
          EXPECT_EQ(error->code, "42P01");
          EXPECT_EQ(error->query, "of_no_table");
        };
        const auto unfit = [&]() -> Task<void> {
          const auto error = co_await test::caught<QueryMismatch>(db.batch(one(text_of_number, 1), one(echo, 1)));
          if (error != nullptr) EXPECT_THAT(error->message(), HasSubstr("text_of_number"));
        };
        const auto right = [&]() -> Task<void> {
          EXPECT_EQ((co_await db.batch(one(small, std::int16_t{3}), one(echo, 4))), std::tuple(3, 4));
        };
        for (int i = 0; i < 3; ++i) co_await async::all(wrong(), unfit(), right());
        EXPECT_EQ(co_await db.one(count_stones), 2);
      },
      {.shared_connections = 1, .shared_connections_most = 1});
}

TEST(QueryBatch, ConstraintsThatAreDeferredFailItAtItsCommit) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<void()> make{unsafe_sql(
        "create table later (id int primary key, after int references later deferrable initially deferred)")};
    const DynamicQuery<void(int, int)> add{unsafe_sql("insert into later values ($1, $2)")};
    const DynamicQuery<std::int64_t()> count{unsafe_sql("select count(*) from later")};
    co_await db.exec(make);
    co_await db.batch(exec(add, 1, 2), exec(add, 2, 1));
    const auto error = co_await test::caught<ForeignKeyViolation>(db.batch(exec(add, 3, 4), one(echo, 1)));
    if (error != nullptr) EXPECT_EQ(error->query, "batch of 2 queries");
    EXPECT_EQ(co_await db.one(count), 2);
  });
}

TEST(QueryBatch, IsRunAgainWhenItsStatementsAreOutOfDate) {
  with_stones(
      [](Db& db) -> Task<void> {
        const DynamicQuery<void()> forget{unsafe_sql("deallocate all")};
        const DynamicQuery<void()> change{unsafe_sql("alter table stones alter column name type varchar(50)")};
        const auto work = [&]() -> Task<void> {
          const auto [number, everything, stone] = co_await db.batch(one(echo, 5), all(stones), one(stone_by_id, 1));
          EXPECT_EQ(number, 5);
          EXPECT_EQ(everything.size(), 2U) << "rows of the first attempt are forgotten";
          EXPECT_EQ(stone.name, "one");
        };
        co_await work();
        co_await db.exec(change);  // `echo` is as it was: rows come before the error does
        co_await async::all(work(), work());
        co_await db.exec(forget);
        co_await async::all(work(), work());
        co_await test::caught<DatabaseError>(db.transaction([&](Tx& tx) -> Task<void> {
          co_await tx.batch(one(echo, 1), all(stones));
          co_await tx.exec(forget);
          co_await tx.batch(one(echo, 1), all(stones));  // the transaction is spoiled: it cannot go on by itself
        }));
      },
      {.shared_connections = 1, .shared_connections_most = 1});
}

TEST(QueryBatch, LeavesNothingOfStatementsMadeAtRunTime) {
  const TestDatabase database(test::server(), "template1");
  async::run(test::with_session(database.url(), [](detail::Connection& connection) -> Task<void> {
    Tx tx(connection);
    std::vector<std::unique_ptr<DynamicQuery<int(int)>>> queries;
    for (int i = 0; i < 20; ++i)
      queries.push_back(std::make_unique<DynamicQuery<int(int)>>(unsafe_sql(fmt::format("select {} + $1", i))));
    const auto each = [&] {
      return queries | std::views::transform([](const auto& query) { return one(*query, 100); });
    };
    for (int i = 0; i < 3; ++i) {
      const std::vector<int> sums = co_await tx.batch(each());
      EXPECT_TRUE(std::ranges::equal(sums, std::views::iota(100, 120)));
      EXPECT_EQ(connection.count_prepared(), 0U);
    }
    int cancelled = 0;
    for (int i = 0; i < 40; ++i) {  // before they are prepared, and after
      try {
        co_await async::timeout(std::chrono::microseconds(20 * i),
                                [](Tx& on, auto range) -> Task<void> { co_await on.batch(range()); }(tx, each));
      } catch (const DeadlineExceeded&) {
        ++cancelled;
      }
    }
    EXPECT_GT(cancelled, 0);
    EXPECT_EQ((co_await tx.batch(one(*queries[3], 1), one(echo, 1))), std::tuple(4, 1));
    EXPECT_EQ(connection.count_prepared(), 1U) << "`echo`";
  }));
}

TEST(QueryBatch, MayHaveMoreStatementsThanAConnectionKeeps) {
  const TestDatabase database(test::server(), "template1");
  async::run([](std::string url) -> Task<void> {
    auto config = std::make_shared<detail::ConnectionConfig>();
    config->options = ConnectOptions::parse(url);
    config->max_prepared = 2;
    detail::Background background;
    {
      detail::Connection connection(async::Loop::current(), std::move(config), background, nullptr);
      co_await connection.open();
      Tx tx(connection);
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ((co_await tx.batch(one(echo, 1), one(small, std::int16_t{2}), one(is_odd, 3), one(echo, 4))),
                  std::tuple(1, 2, true, 4));
      }
      co_await tx.one(echo, 1);
    }
    co_await async::shield(background.stop());
  }(database.url()));
}

// Wherever it is: in the pool's queue, before its statements are prepared, on its way.
TEST(QueryBatch, ACancelledOneLosesItsRowsAndNobodyElses) {
  with_stones(
      [](Db& db) -> Task<void> {
        const auto hasty = [&](std::int64_t id) -> Task<void> {
          try {
            co_await async::timeout(2ms, [](Db& on, std::int64_t number) -> Task<void> {
              co_await on.batch(exec(nap, 0.01), one(echo, 1), exec(add_stone, number, "hasty"));
            }(db, id));
          } catch (const DeadlineExceeded&) {
          }
        };
        const auto patient = [&](int i) -> Task<void> {
          EXPECT_EQ((co_await db.batch(one(echo, i), one(is_odd, i), one(small, static_cast<std::int16_t>(i)))),
                    std::tuple(i, i % 2 == 1, i));
        };
        for (int round = 0; round < 3; ++round) {
          std::vector<Task<void>> tasks;
          for (int i = 0; i < 12; ++i) {
            tasks.push_back(hasty(1000 + i + 100 * round));
            tasks.push_back(patient(i));
          }
          co_await async::all(std::move(tasks));
        }
        EXPECT_EQ(db.stats().in_flight, 0U);
        EXPECT_EQ(db.stats().waiting, 0U);
      },
      {.shared_connections = 1, .shared_connections_most = 1, .max_in_flight = 3});
}

TEST(QueryBatch, ALongOrSlowOneTakesAConnectionOfItsOwn) {
  with_stones([](Db& db) -> Task<void> {
    const std::uint64_t before = db.stats().acquired;
    EXPECT_EQ((co_await db.batch(echoes(64))).size(), 64U);
    EXPECT_EQ(db.stats().acquired, before);
    const std::vector<int> many = co_await db.batch(echoes(20'000));
    EXPECT_EQ(many.size(), 20'000U);
    EXPECT_EQ(many.back(), 19'999);
    EXPECT_EQ(db.stats().acquired, before + 1);
    co_await db.batch(exec(slow_nap, 0.0), one(echo, 1));
    EXPECT_EQ(db.stats().acquired, before + 2);
  });
}

TEST(QueryBatch, WhoseServerDiesInItsMiddleMayHaveBeenCarriedOut) {
  with_stones(
      [](Db& db) -> Task<void> {
        const DynamicQuery<bool()> die{unsafe_sql("select pg_terminate_backend(pg_backend_pid())")};
        const auto batch = [&]() -> Task<void> {
          try {
            co_await db.batch(exec(add_stone, 3, "three"), one(die), exec(add_stone, 4, "four"));
            ADD_FAILURE() << "its server is dead";
          } catch (const ConnectionLost& lost) {
            EXPECT_TRUE(lost.sent());
          } catch (const ServerUnavailable& ended) {
            EXPECT_EQ(ended.code, "57P01");
          }
        };
        co_await async::timeout(30s, batch());
        for (;;) {
          try {
            EXPECT_EQ(co_await db.one(count_stones), 2);
            break;
          } catch (const Unavailable&) {
          }
        }
      },
      {.shared_connections = 1, .shared_connections_most = 1});
}

TEST(QueryBatch, InATransactionIsAPartOfIt) {
  with_stones([](Db& db) -> Task<void> {
    co_await db.transaction([](Tx& tx) -> Task<void> {
      co_await tx.batch(exec(add_stone, 3, "three"), exec(add_stone, 4, "four"));
      co_await test::caught<UniqueViolation>(tx.savepoint(
          [&]() -> Task<void> { co_await tx.batch(exec(add_stone, 5, "five"), exec(add_stone, 1, "again")); }));
      EXPECT_EQ(co_await tx.one(count_stones), 4);
    });
    const auto failing = [](Tx& tx) -> Task<void> {
      co_await tx.batch(exec(add_stone, 6, "six"), one(stone_by_id, 1));
      throw Invalid("no");
    };
    co_await test::caught<Invalid>(db.transaction(failing));
    EXPECT_EQ(co_await db.one(count_stones), 4);
  });
}

TEST(QueryBatch, WorksInASandbox) {
  const TestDatabase database(test::server(), "template1");
  async::run([](std::string url) -> Task<void> {
    Sandbox sandbox(url);
    Db db(sandbox.options());
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    co_await db.exec(create_stones);
    co_await db.batch(exec(add_stone, 1, "one"), exec(add_stone, 2, "two"));
    co_await test::caught<UniqueViolation>(db.batch(exec(add_stone, 3, "three"), exec(add_stone, 1, "again")));
    const auto [count, first] = co_await db.batch(one(count_stones), one(stone_by_id, 1));
    EXPECT_EQ(count, 2);
    EXPECT_EQ(first.name, "one");
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(database.url()));
}

TEST(QueryBatch, WorksWithoutPreparedStatements) {
  with_stones(
      [](Db& db) -> Task<void> {
        const auto [number, everything, added] =
            co_await db.batch(one(echo, 5), all(stones), exec(add_stone, 3, "three"));
        EXPECT_EQ(number, 5);
        EXPECT_EQ(everything.size(), 2U);
        EXPECT_EQ(added, 1U);
        co_await test::caught<UniqueViolation>(db.batch(exec(add_stone, 4, "four"), exec(add_stone, 1, "again")));
        EXPECT_EQ(co_await db.one(count_stones), 3);
        const DynamicQuery<void()> change{unsafe_sql("alter table stones alter column name type varchar(50)")};
        co_await db.exec(change);
        const auto error = co_await test::caught<QueryMismatch>(db.batch(one(echo, 1), all(stones), one(echo, 2)));
        if (error != nullptr) EXPECT_THAT(error->message(), HasSubstr("its columns have changed"));
        EXPECT_EQ(std::get<1>(co_await db.batch(one(echo, 1), all(stones))).size(), 3U);
      },
      {.statement_timeout = 0ms, .prepared_statements = false});
}

TEST(QueryBatch, WhatGivesNothingKeepsItsPlaceAndCopyIsRefused) {
  with_stones([](Db& db) -> Task<void> {
    EXPECT_EQ((co_await db.batch(one(echo, 1), exec(nothing), one(echo, 2))), std::tuple(1, 0U, 2));
    const auto error = co_await test::caught<QueryMismatch>(db.batch(one(echo, 1), exec(copy_to_nobody), one(echo, 2)));
    if (error != nullptr) EXPECT_THAT(error->message(), HasSubstr("it is a COPY: run it by copy_in or copy_out"));
    co_await test::caught<QueryMismatch>(db.exec(copy_to_nobody));
    EXPECT_EQ((co_await db.batch(one(count_stones), one(echo, 3))), std::tuple(2, 3));
  });
}

// Shared or alone, in another's way or in a transaction's.
TEST(QueryBatch, TwoThatAreInEachOthersWayAreRunAgainAndTold) {
  const DynamicQuery<void()> early{unsafe_sql(
      "do $$ begin execute format('alter database %I set deadlock_timeout = ''10ms''', current_database()); end $$")};
  const log::Capture capture;
  with_stones(
      [&](Db& db) -> Task<void> {
        co_await db.exec(early);
        co_await db.stop_loop(async::Loop::current());
        co_await db.start_loop(async::Loop::current());  // sessions that know of it
        const auto alone = [&](std::int64_t first) -> Task<void> {
          for (int i = 0; i < 5; ++i)
            co_await db.batch(exec(lengthen, first), exec(slow_nap, 0.02), exec(lengthen, 3 - first));
        };
        const auto shared = [&](std::int64_t first) -> Task<void> {
          for (int i = 0; i < 5; ++i)
            co_await db.batch(exec(lengthen, first), exec(nap, 0.02), exec(lengthen, 3 - first));
        };
        co_await async::timeout(60s, async::all(alone(1), alone(2), shared(1)));
        const auto stones_now = co_await db.all(stones);
        EXPECT_THAT(stones_now.at(0).name, "one" + std::string(15, 'x'));
        EXPECT_THAT(stones_now.at(1).name, "two" + std::string(15, 'x'));
      },
      {.shared_connections = 1, .shared_connections_most = 1});
  std::vector<std::string> told;
  for (const auto& line : capture.lines()) told.push_back(line.json);
  EXPECT_THAT(told,
              Contains(AllOf(HasSubstr("this batch runs again"), HasSubstr("is this batch"), HasSubstr("lengthen"))));
  EXPECT_THAT(told, Not(Contains(HasSubstr("is unknown"))));
}

TEST(QueryBatch, IsNoQueryForEachRow) {
  struct Counts final : StatementObserver {
    void on_statement(const Statement*, std::string_view) noexcept override { ++count; }
    int count = 0;
  };
  with_stones([](Db& db) -> Task<void> {
    const RepeatedQueries repeats(5);
    Counts counts;
    statement_observer = &counts;
    co_await db.batch(echoes(20));
    statement_observer = nullptr;
    co_await db.batch(one(echo, 1), one(is_odd, 1), one(echo, 2), one(is_odd, 2), one(echo, 3), one(is_odd, 3),
                      one(echo, 4), one(is_odd, 4), one(echo, 5), one(is_odd, 5));
    EXPECT_THAT(repeats.found(), IsEmpty());
    EXPECT_EQ(counts.count, 20);
  });
}

}  // namespace
}  // namespace ashlar::pg
