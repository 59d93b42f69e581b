// What relays and commands do beside each other, and what a look costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/outbox.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// No worker of its own: the tests say when. One failure sets a message aside.
constexpr OutboxOptions kByHand{.relay = false, .first_pause = 1ms, .longest_pause = 1ms, .max_attempts = 1};

Task<void> put(Db& db, Outbox& outbox, std::string topic, std::string key, std::string payload) {
  co_await db.transaction([&](Tx& tx) -> Task<void> {
    co_await outbox.put(tx, {.topic = std::move(topic), .key = std::move(key), .payload = Json(std::move(payload))});
  });
}
// body(outbox) with the outbox started.
template <class F>
Task<void> while_started(Outbox& outbox, F body) {
  co_await outbox.start_loop(async::Loop::current());
  std::exception_ptr error;
  try {
    co_await body();
  } catch (...) {
    error = std::current_exception();
  }
  co_await outbox.stop_loop(async::Loop::current());
  if (error) std::rethrow_exception(error);
}
Outbox::Handler into(std::vector<std::string>& list) {
  return [&list](Tx&, OutboxMessage message) -> Task<void> {
    list.emplace_back(message.payload.text());
    co_return;
  };
}

TEST(OutboxRelays, ARetryWaitsForTheRelayThatWorksOnItsKey) {
  test::with_db([](Db& db) -> Task<void> {
    std::vector<std::string> told;
    async::Event at_work, may_end;
    bool broken = true;
    Outbox outbox(db, kByHand);
    outbox.on("t", [&](Tx&, OutboxMessage message) -> Task<void> {
      const std::string text(message.payload.text());
      if (text == "1" && broken) throw Unavailable("not now");
      told.push_back(text);
      if (text != "2" || at_work.is_set()) co_return;
      at_work.set();
      co_await may_end.wait();
    });
    co_await while_started(outbox, [&]() -> Task<void> {
      co_await put(db, outbox, "t", "k", "1");
      EXPECT_EQ(co_await outbox.deliver(), 0U);
      const std::int64_t id = (co_await outbox.set_aside()).at(0).id;
      co_await put(db, outbox, "t", "k", "2");
      co_await put(db, outbox, "t", "k", "3");
      broken = false;
      bool retried = false;
      const auto relay = [&]() -> Task<void> { EXPECT_GE(co_await outbox.deliver(), 2U); };
      const auto retry = [&]() -> Task<void> {
        co_await at_work.wait();
        EXPECT_TRUE(co_await outbox.retry(id));
        retried = true;
      };
      const auto another_relay = [&]() -> Task<void> {
        co_await at_work.wait();
        for (int i = 0; i < 30; ++i) EXPECT_EQ(co_await outbox.deliver(), 0U) << "the key is taken";
        EXPECT_FALSE(retried);
        EXPECT_THAT(told, ElementsAre("2"));
        co_await put(db, outbox, "t", "k", "4");  // who puts does not wait for a retry
        may_end.set();
      };
      co_await async::timeout(60s, async::all(relay(), retry(), another_relay()));
      while (told.size() < 4) co_await outbox.deliver();
      EXPECT_EQ(co_await outbox.deliver(), 0U);
      // The retry comes in between the looks of the relay: before "4", or behind it.
      EXPECT_THAT(told, AnyOf(ElementsAre("2", "3", "4", "1"), ElementsAre("2", "3", "1", "4"))) << "each once";
    });
  });
}

TEST(OutboxRelays, TwoRetriesOfOneMessageAreOne) {
  test::with_db([](Db& db) -> Task<void> {
    Outbox outbox(db, kByHand);
    outbox.on("t", [](Tx&, OutboxMessage) -> Task<void> {
      throw Unavailable("no");
      co_return;
    });
    co_await while_started(outbox, [&]() -> Task<void> {
      co_await put(db, outbox, "t", "k", "1");
      co_await outbox.deliver();
      const std::int64_t id = (co_await outbox.set_aside()).at(0).id;
      int done = 0;
      const auto retry = [&]() -> Task<void> { done += co_await outbox.retry(id) ? 1 : 0; };
      co_await async::all(retry(), retry(), retry());
      EXPECT_EQ(done, 1);
      EXPECT_EQ((co_await outbox.state()).waiting, 1);
    });
  });
}

// The relay's statement has begun before the retry, and ends after it: a view stands for one that is slow.
TEST(OutboxRelays, ARelayThatLookedBeforeTheRetryLeavesTheKeyToWhoHoldsItsFirst) {
  test::with_db([](Db& db) -> Task<void> {
    std::string create(Outbox::kCreateTable);
    create.replace(create.find("ashlar_outbox"), 13, "real_outbox");
    co_await db.exec(DynamicQuery<void()>(unsafe_sql(create)));
    co_await db.exec(
        Query<void()>{"create function look_slowly() returns boolean language plpgsql volatile as $$ begin "
                      "perform pg_advisory_xact_lock_shared(99); return true; end $$"});
    co_await db.exec(
        Query<void()>{"create view ashlar_outbox as select * from real_outbox where payload::text <> '2' or "
                      "look_slowly()"});
    co_await db.exec(Query<void()>{
        "insert into real_outbox (topic, key, payload, set_aside_at) values ('t', 'k', '1', now()), ('t', 'k', '2', "
        "null)"});
    const Query<std::int64_t()> waiters{
        "select count(*) from pg_locks where locktype = 'advisory' and objid = 99 and not granted and database = "
        "(select oid from pg_database where datname = current_database())"};
    std::vector<std::string> told;
    Outbox outbox(db, kByHand);
    outbox.on("t", into(told));
    co_await while_started(outbox, [&]() -> Task<void> {
      async::Event slow;
      bool ended = false;
      const auto relay = [&]() -> Task<void> {
        co_await slow.wait();
        EXPECT_EQ(co_await outbox.deliver(), 0U);
        ended = true;
      };
      const auto another = [&]() -> Task<void> {
        co_await db.transaction([&](Tx& first) -> Task<void> {
          co_await first.exec(Query<void()>{"select pg_advisory_lock(99)"});
          slow.set();
          while (co_await db.one(waiters) == 0) co_await async::sleep(2ms);
          co_await db.exec(Query<void()>{"update real_outbox set set_aside_at = null where id = 1"});
          // Holds the first, as a relay does, when the look goes on.
          co_await first.exec(Query<void()>{"select from real_outbox where id = 1 for update"});
          co_await first.exec(Query<void()>{"select pg_advisory_unlock(99)"});
          while (!ended && told.empty()) co_await async::sleep(2ms);
        });
      };
      co_await async::timeout(60s, async::all(relay(), another()));
      EXPECT_THAT(told, IsEmpty());
    });
  });
}

// As most of the time: nearly nothing waits. What is planned with these statistics takes partial indexes for empty.
const Query<void()> put_delivered{
    "insert into ashlar_outbox (topic, key, payload, delivered_at) select 't', 'd' || i, '1', now() "
    "from generate_series(1, 20000) i"};
const Query<void()> put_unhandled{
    "insert into ashlar_outbox (topic, key, payload, due_at) select 'elsewhere', 'e' || i, '1', "
    "now() - interval '1 hour' from generate_series(1, 20000) i"};
const Query<void()> analyze{"analyze ashlar_outbox"};
const Query<void()> flush_counts{"select pg_stat_force_next_flush()"};
const Query<std::int64_t()> rows_so_far{
    "select (select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes where relname = 'ashlar_outbox')::bigint "
    "+ (select seq_tup_read from pg_stat_user_tables where relname = 'ashlar_outbox')"};

// Rows and entries of indexes that a look reads, by PostgreSQL's own count. All on one connection, which counts them.
const Options kOneConnection{.shared_connections = 1, .exclusive_connections = 1};
Task<std::int64_t> rows_read(Db& db) {
  co_await db.transaction([&](Tx& tx) -> Task<void> { co_await tx.exec(flush_counts); });
  std::int64_t rows = 0;
  co_await db.transaction([&](Tx& tx) -> Task<void> { rows = co_await tx.one(rows_so_far); });
  co_return rows;
}

TEST(OutboxRelays, TopicsOfOtherProgramsAreNotReadAtEachLook) {
  test::with_db(
      [](Db& db) -> Task<void> {
        std::vector<std::string> told;
        Outbox outbox(db, kByHand);
        outbox.on("t", into(told));
        outbox.on("u", into(told));
        co_await while_started(outbox, [&]() -> Task<void> {
          co_await db.exec(put_delivered);
          co_await db.exec(analyze);
          co_await db.exec(put_unhandled);
          for (const bool analyzed : {false, true}) {
            if (analyzed) co_await db.exec(analyze);
            const std::int64_t before = co_await rows_read(db);
            EXPECT_EQ(co_await outbox.deliver(), 0U);
            const std::int64_t idle = co_await rows_read(db);
            EXPECT_LT(idle - before, 100) << analyzed;
            co_await put(db, outbox, "t", "k", "1");
            co_await put(db, outbox, "u", "k", "2");
            EXPECT_EQ(co_await outbox.deliver(), 2U);
            EXPECT_LT(co_await rows_read(db) - idle, 200) << analyzed;
          }
          EXPECT_THAT(told, ElementsAre("1", "2", "1", "2"));
        });
      },
      kOneConnection);
}

TEST(OutboxRelays, ABatchReadsLittleMoreThanItHandsOut) {
  test::with_db(
      [](Db& db) -> Task<void> {
        std::vector<std::string> told;
        Outbox outbox(db, kByHand);
        outbox.on_other(into(told));
        co_await while_started(outbox, [&]() -> Task<void> {
          co_await db.exec(put_delivered);
          co_await db.exec(analyze);
          co_await db.exec(
              Query<void()>{"insert into ashlar_outbox (topic, key, payload) select 't' || i % 3, 'k' || i, '1' "
                            "from generate_series(1, 1000) i"});
          const std::int64_t before = co_await rows_read(db);
          EXPECT_EQ(co_await outbox.deliver(), 1000U);
          EXPECT_LT(co_await rows_read(db) - before, 50'000);
        });
      },
      kOneConnection);
}

TEST(OutboxRelays, WorkOnATableThatWasMadeWithoutTheIndexByTopic) {
  test::with_db([](Db& db) -> Task<void> {
    std::vector<std::string> told;
    Outbox first(db, kByHand);
    co_await while_started(first, []() -> Task<void> { co_return; });
    co_await db.exec(Query<void()>{"drop index ashlar_outbox_topic"});
    co_await db.exec(Query<void()>{
        "create index ashlar_outbox_due on ashlar_outbox (due_at, id) where delivered_at is null and set_aside_at is "
        "null"});
    Outbox outbox(db, kByHand);
    outbox.on("t", into(told));
    co_await while_started(outbox, [&]() -> Task<void> {
      co_await put(db, outbox, "elsewhere", "e", "0");
      co_await put(db, outbox, "t", "k", "1");
      EXPECT_EQ(co_await outbox.deliver(), 1U);
      EXPECT_THAT(told, ElementsAre("1"));
    });
  });
}

TEST(OutboxRelays, NoTopicStarvesAnother) {
  test::with_db([](Db& db) -> Task<void> {
    std::vector<std::string> told;
    OutboxOptions options = kByHand;
    options.batch = 4;
    Outbox outbox(db, options);
    for (const char* const topic : {"a", "b", "c"}) {
      outbox.on(topic, [&](Tx&, OutboxMessage message) -> Task<void> {
        told.push_back(message.topic);
        co_return;
      });
    }
    co_await while_started(outbox, [&]() -> Task<void> {
      co_await db.exec(Query<void()>{
          "insert into ashlar_outbox (topic, key, payload) select 'a', i::text, '1' from generate_series(1, 100) i"});
      co_await put(db, outbox, "c", "c", "1");
      EXPECT_EQ(co_await outbox.deliver(), 101U);
      EXPECT_LT(std::ranges::find(told, "c") - told.begin(), 13) << "three batches";
    });
  });
}

TEST(OutboxRelays, ACommandHandsOutNothing) {
  test::with_db([](Db& db) -> Task<void> {
    std::vector<std::string> told;
    std::int64_t id = 0;
    Outbox outbox(db, kByHand);
    outbox.on("t", [](Tx&, OutboxMessage) -> Task<void> {
      throw Unavailable("no");
      co_return;
    });
    co_await while_started(outbox, [&]() -> Task<void> {
      co_await put(db, outbox, "t", "k", "1");
      co_await outbox.deliver();
      id = (co_await outbox.set_aside()).at(0).id;
      co_await put(db, outbox, "t", "k", "2");
    });
    Db another({.url = db.url(), .check_queries = false});
    Outbox beside(another, {.poll_every = 1ms});
    beside.on_other(into(told));
    const auto run = [&](std::vector<std::string> words) -> Task<std::string> {
      const std::vector<async::Command> commands = beside.commands();
      EXPECT_FALSE(commands.at(0).needs_start) << "else the program's workers start with it";
      ::testing::internal::CaptureStdout();
      EXPECT_EQ(co_await commands.at(0).run(std::move(words)), 0);
      co_return ::testing::internal::GetCapturedStdout();
    };
    EXPECT_THAT(co_await run({}), HasSubstr("1 waiting"));
    EXPECT_THAT(co_await run({"retry", std::to_string(id)}), HasSubstr("waits again"));
    EXPECT_THAT(co_await run({}), HasSubstr("2 waiting"));
    EXPECT_THAT(told, IsEmpty());
  });
}

}  // namespace
}  // namespace ashlar::pg
