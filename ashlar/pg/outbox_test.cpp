#include <ashlar/pg/outbox.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/context.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/telemetry/metric.hpp>
#include <ashlar/telemetry/trace.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Placed {
  int order;
};

const Query<void()> create_seen{"create table seen (id bigint primary key, note text not null)"};
const Query<void(std::int64_t, std::string)> add_seen{"insert into seen (id, note) values ($1, $2)"};
const Query<std::vector<std::string>()> all_seen{"select coalesce(array_agg(note order by id), '{}') from seen"};
const Query<void()> break_connection{"select pg_terminate_backend(pg_backend_pid())"};
const Query<std::int64_t()> listeners{
    "select count(*) from pg_stat_activity where datname = current_database() and query like 'listen %'"};
const Query<std::int64_t()> lock_waiters{
    "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = "
    "(select oid from pg_database where datname = current_database())"};

// No worker of its own: the tests say when.
constexpr OutboxOptions kByHand{.relay = false, .first_pause = 1ms, .longest_pause = 1ms};

NewOutboxMessage placed(int order, std::string key = "one") {
  return outbox_message("placed", std::move(key), Placed{order});
}
Task<void> put(Db& db, Outbox& outbox, std::vector<NewOutboxMessage> messages) {
  co_await db.transaction([&](Tx& tx) -> Task<void> { co_await outbox.put(tx, std::move(messages)); });
}

// body(db, outbox) with the outbox started once `prepare` has given it handlers.
template <class P, class F>
void with_outbox(OutboxOptions options, P prepare, F body) {
  test::with_db([&](Db& db) -> Task<void> {
    co_await db.exec(create_seen);
    Outbox outbox(db, options);
    prepare(outbox);
    co_await outbox.start_loop(async::Loop::current());
    std::exception_ptr error;
    try {
      co_await body(db, outbox);
    } catch (...) {
      error = std::current_exception();
    }
    co_await outbox.stop_loop(async::Loop::current());
    if (error) std::rethrow_exception(error);
  });
}
// Writes what it is told into a list.
Outbox::Handler into(std::vector<std::string>& list) {
  return [&list](Tx&, OutboxMessage message) -> Task<void> {
    list.push_back(message.key + " " + std::string(message.payload.text()));
    co_return;
  };
}

TEST(Outbox, HandsOutWhatWasCommitted) {
  std::vector<int> orders;
  with_outbox(
      kByHand,
      [&](Outbox& outbox) {
        // sample: on
        outbox.on<Placed>("placed", [&](Tx&, Placed event) -> Task<void> {
          orders.push_back(event.order);
          co_return;
        });
        // end of sample
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1), placed(2)});
        // sample: put
        co_await db.transaction([&](Tx& tx) -> Task<void> {
          // … what the event tells of
          co_await outbox.put(tx, outbox_message("placed", "order/3", Placed{3}));
        });
        // end of sample
        EXPECT_EQ((co_await outbox.state()).waiting, 3);
        EXPECT_EQ(co_await outbox.deliver(), 3U);
        EXPECT_THAT(orders, ElementsAre(1, 2, 3));
        EXPECT_EQ((co_await outbox.state()).waiting, 0);
        EXPECT_EQ(co_await outbox.deliver(), 0U) << "each once";
      });
}

TEST(Outbox, ForgetsWhatWasRolledBack) {
  with_outbox(
      kByHand, [](Outbox&) {},
      [](Db& db, Outbox& outbox) -> Task<void> {
        co_await test::caught<Invalid>(db.transaction([&](Tx& tx) -> Task<void> {
          co_await outbox.put(tx, placed(1));
          throw Invalid("no");
        }));
        EXPECT_EQ((co_await outbox.state()).waiting, 0);
        co_await put(db, outbox, {});
      });
}

TEST(Outbox, WhatAHandlerWritesIsThereOnceAndWithTheMark) {
  with_outbox(
      kByHand,
      [](Outbox& outbox) {
        outbox.on("placed", [](Tx& tx, OutboxMessage message) -> Task<void> {
          co_await tx.exec(add_seen, message.id, message.attempts == 0 ? "first" : "second");
          if (message.attempts == 0) throw Invalid("not yet");
        });
      },
      [](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1)});
        while (co_await outbox.deliver() == 0) co_await async::sleep(2ms);  // the pause after the first attempt
        EXPECT_THAT(co_await db.one(all_seen), ElementsAre("second"));
      });
}

TEST(Outbox, AFailureHoldsBackItsKeyAndNoOther) {
  std::vector<std::string> told;
  bool broken = true;
  with_outbox(
      {.relay = false, .first_pause = 1h, .longest_pause = 1h},
      [&](Outbox& outbox) {
        outbox.on("placed", [&](Tx&, OutboxMessage message) -> Task<void> {
          if (broken && message.key == "bad") throw Unavailable("the mail server is down");
          told.push_back(message.key + std::string(message.payload.text()));
          co_return;
        });
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1, "bad"), placed(2, "good"), placed(3, "bad"), placed(4, "good")});
        co_await outbox.deliver();
        EXPECT_THAT(told, ElementsAre(R"(good{"order":2})", R"(good{"order":4})"));
        co_await put(db, outbox, {placed(5, "bad")});
        EXPECT_EQ(co_await outbox.deliver(), 0U) << "new ones wait, too";
        EXPECT_EQ((co_await outbox.state()).waiting, 3);

        told.clear();
        broken = false;
        co_await db.exec(Query<void()>{"update ashlar_outbox set due_at = now()"});
        EXPECT_EQ(co_await outbox.deliver(), 3U);
        EXPECT_THAT(told, ElementsAre(R"(bad{"order":1})", R"(bad{"order":3})", R"(bad{"order":5})"));
      });
}

TEST(Outbox, AllBehindAFailureAreHeldBackHoweverMany) {
  with_outbox(
      {.relay = false, .first_pause = 1h, .longest_pause = 1h},
      [](Outbox& outbox) {
        outbox.on("placed", [](Tx&, OutboxMessage) -> Task<void> {
          throw Unavailable("the mail server is down");
          co_return;
        });
      },
      [](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1)});
        co_await db.exec(Query<void()>{
            "insert into ashlar_outbox (topic, key, payload) select 'placed', 'one', '{\"order\":2}' from "
            "generate_series(1, 12000)"});
        EXPECT_EQ(co_await outbox.deliver(), 0U);
        EXPECT_EQ(co_await db.one(Query<std::int64_t()>{"select count(*) from ashlar_outbox where due_at <= now()"}), 0)
            << "each would be looked at each time";
        EXPECT_EQ(co_await db.one(Query<std::int64_t()>{"select count(distinct due_at) from ashlar_outbox"}), 1);
      });
}

// The text of an answer from elsewhere, say.
TEST(Outbox, AnErrorMayHoldAnyBytes) {
  std::vector<std::string> told;
  with_outbox(
      {.relay = false, .first_pause = 1h, .longest_pause = 1h},
      [&](Outbox& outbox) {
        outbox.on("placed", [&](Tx&, OutboxMessage message) -> Task<void> {
          told.push_back(message.key);
          if (message.key == "bad") throw Unavailable("it said \xff\xfe!");
          co_return;
        });
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1, "good"), placed(2, "bad")});
        co_await outbox.deliver();
        EXPECT_THAT(told, ElementsAre("good", "bad")) << "nobody is told twice";
        EXPECT_EQ(co_await db.one(
                      Query<std::string()>{"select coalesce(last_error, '') from ashlar_outbox where key = 'bad'"}),
                  "it said \?\?!");
      });
}

TEST(Outbox, SetsAsideWhatFailsAgainAndAgainAndItsKeyGoesOn) {
  OutboxOptions options = kByHand;
  options.max_attempts = 3;
  std::vector<std::string> told;
  bool broken = true;
  with_outbox(
      options,
      [&](Outbox& outbox) {
        outbox.on<Placed>("placed", [&](Tx&, Placed event) -> Task<void> {
          if (broken && event.order == 1) throw Invalid("order 1 is poison");
          told.push_back(std::to_string(event.order));
          co_return;
        });
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1), placed(2)});
        while (told.empty()) {
          co_await outbox.deliver();
          co_await async::sleep(2ms);
        }
        EXPECT_THAT(told, ElementsAre("2"));
        const auto aside = co_await outbox.set_aside();
        EXPECT_EQ(aside.size(), 1U);
        EXPECT_EQ(aside.at(0).attempts, 3);
        EXPECT_EQ(aside.at(0).last_error, "order 1 is poison");
        EXPECT_EQ((co_await outbox.state()).set_aside, 1);
        EXPECT_EQ((co_await outbox.state()).waiting, 0);

        broken = false;
        EXPECT_FALSE(co_await outbox.retry(aside.at(0).id + 7));
        EXPECT_TRUE(co_await outbox.retry(aside.at(0).id));
        EXPECT_EQ(co_await outbox.deliver(), 1U);
        EXPECT_THAT(told, ElementsAre("2", "1"));
      });
}

TEST(Outbox, APayloadThatDoesNotFitIsAFailure) {
  OutboxOptions options = kByHand;
  options.max_attempts = 1;
  with_outbox(
      options, [](Outbox& outbox) { outbox.on<Placed>("placed", [](Tx&, Placed) -> Task<void> { co_return; }); },
      [](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {{"placed", "k", Json(R"({"order":"many"})")}});
        EXPECT_EQ(co_await outbox.deliver(), 0U);
        EXPECT_THAT((co_await outbox.set_aside()).at(0).last_error.value_or(""), HasSubstr("order"));
      });
}

TEST(Outbox, AHandlerThatTakesItsConnectionWithItHasFailed) {
  OutboxOptions options = kByHand;
  options.max_attempts = 1;
  with_outbox(
      options,
      [](Outbox& outbox) {
        outbox.on("placed", [](Tx& tx, OutboxMessage) -> Task<void> { co_await tx.exec(break_connection); });
      },
      [](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1)});
        EXPECT_EQ(co_await outbox.deliver(), 0U);
        EXPECT_EQ((co_await outbox.state()).set_aside, 1);
      });
}

TEST(Outbox, AnErrorThatAHandlerSwallowsIsAFailure) {
  OutboxOptions options = kByHand;
  options.max_attempts = 1;
  with_outbox(
      options,
      [](Outbox& outbox) {
        outbox.on("placed", [](Tx& tx, OutboxMessage message) -> Task<void> {
          co_await tx.exec(add_seen, message.id, "once");
          co_await test::caught<UniqueViolation>(tx.exec(add_seen, message.id, "twice"));
        });
      },
      [](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1)});
        EXPECT_EQ(co_await outbox.deliver(), 0U);
        EXPECT_THAT((co_await outbox.set_aside()).at(0).last_error.value_or(""), HasSubstr("tx.savepoint"));
        EXPECT_THAT(co_await db.one(all_seen), IsEmpty());
      });
}

TEST(Outbox, AHandlerHasALimitOfTime) {
  OutboxOptions options = kByHand;
  options.handler_timeout = 20ms;
  options.max_attempts = 1;
  with_outbox(
      options,
      [](Outbox& outbox) { outbox.on("placed", [](Tx&, OutboxMessage) -> Task<void> { co_await async::sleep(1h); }); },
      [](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1)});
        EXPECT_EQ(co_await outbox.deliver(), 0U);
        EXPECT_EQ((co_await outbox.state()).set_aside, 1);
      });
}

TEST(Outbox, ATopicWithoutAHandlerWaitsForAProgramThatHasOne) {
  std::vector<std::string> placed_list, other_list;
  with_outbox(
      kByHand, [&](Outbox& outbox) { outbox.on("placed", into(placed_list)); },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {{"paid", "k", Json("1")}, {"placed", "k", Json("2")}, {"placed", "l", Json("3")}});
        EXPECT_EQ(co_await outbox.deliver(), 1U);
        EXPECT_THAT(placed_list, ElementsAre("l 3")) << "k has its order";
        Outbox newer(db, kByHand);
        newer.on_other(into(other_list));
        co_await newer.start_loop(async::Loop::current());
        EXPECT_EQ(co_await newer.deliver(), 2U);
        EXPECT_THAT(other_list, ElementsAre("k 1", "k 2"));
        co_await newer.stop_loop(async::Loop::current());
      });
}

TEST(Outbox, MessagesOfAKeyAreInTheOrderOfTheirCommits) {
  std::vector<std::string> told;
  with_outbox(
      kByHand, [&](Outbox& outbox) { outbox.on("placed", into(told)); },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        async::Event first_has_put, may_commit;
        const auto first = [&]() -> Task<void> {
          co_await db.transaction([&](Tx& tx) -> Task<void> {
            co_await outbox.put(tx, placed(1));
            first_has_put.set();
            co_await may_commit.wait();
          });
        };
        const auto second = [&]() -> Task<void> {
          co_await first_has_put.wait();
          co_await put(db, outbox, {placed(2, "another")});  // does not wait
          EXPECT_EQ(co_await outbox.deliver(), 1U);
          co_await put(db, outbox, {placed(3)});
        };
        const auto third = [&]() -> Task<void> {
          while (co_await db.one(lock_waiters) == 0) co_await async::sleep(2ms);
          EXPECT_EQ(co_await outbox.deliver(), 0U) << "neither has committed";
          may_commit.set();
        };
        co_await async::all(first(), second(), third());
        EXPECT_EQ(co_await outbox.deliver(), 2U);
        EXPECT_THAT(told, ElementsAre(R"(another {"order":2})", R"(one {"order":1})", R"(one {"order":3})"));
      });
}

TEST(Outbox, SeveralRelaysHandOutEachMessageOnceAndInOrder) {
  constexpr int kKeys = 5;
  constexpr int kEach = 20;
  std::map<std::string, std::vector<std::string>> told;
  std::size_t at_work = 0;
  std::size_t most_at_work = 0;
  OutboxOptions options = kByHand;
  options.batch = 4;
  with_outbox(
      options,
      [&](Outbox& outbox) {
        outbox.on("placed", [&](Tx& tx, OutboxMessage message) -> Task<void> {
          most_at_work = std::max(most_at_work, ++at_work);
          co_await tx.exec(add_seen, message.id, "x");  // twice the same: a violation
          told[message.key].push_back(std::string(message.payload.text()));
          --at_work;
        });
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        for (int i = 0; i < kEach; ++i) {
          std::vector<NewOutboxMessage> messages;
          for (int key = 0; key < kKeys; ++key)
            messages.push_back({"placed", std::to_string(key), Json(std::to_string(i))});
          co_await put(db, outbox, std::move(messages));
        }
        std::size_t delivered = 0;
        const auto relay = [&]() -> Task<void> {
          while ((co_await outbox.state()).waiting > 0) delivered += co_await outbox.deliver();
        };
        co_await async::all(relay(), relay(), relay());
        EXPECT_EQ(delivered, static_cast<std::size_t>(kKeys * kEach));
        EXPECT_EQ((co_await outbox.state()).set_aside, 0);
        std::vector<std::string> in_order;
        for (int i = 0; i < kEach; ++i) in_order.push_back(std::to_string(i));
        for (const auto& [key, list] : told) EXPECT_EQ(list, in_order) << key;
        EXPECT_GT(most_at_work, 1U) << "one relay did it all: this proved nothing";
      });
}

TEST(Outbox, ANotificationWakesTheRelayOfAnotherProcess) {
  async::Event told;
  with_outbox(
      {.poll_every = 1h},
      [&](Outbox& outbox) {
        outbox.on("placed", [&](Tx&, OutboxMessage) -> Task<void> {
          told.set();
          co_return;
        });
      },
      [&](Db& db, Outbox&) -> Task<void> {
        while (co_await db.one(listeners) == 0) co_await async::sleep(2ms);
        Outbox elsewhere(db, kByHand);
        co_await elsewhere.start_loop(async::Loop::current());
        co_await put(db, elsewhere, {placed(1)});
        co_await async::timeout(60s, [](async::Event& event) -> Task<void> { co_await event.wait(); }(told));
        co_await elsewhere.stop_loop(async::Loop::current());
      });
}

TEST(Outbox, WhatAStopInterruptsIsHandedOutAgain) {
  async::Event begun;
  int done = 0;
  bool hang = true;
  with_outbox(
      {.poll_every = 5ms},
      [&](Outbox& outbox) {
        outbox.on("placed", [&](Tx& tx, OutboxMessage message) -> Task<void> {
          co_await tx.exec(add_seen, message.id, "x");
          begun.set();
          if (hang) co_await async::sleep(1h);
          ++done;
        });
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1)});
        co_await begun.wait();
        co_await outbox.stop_loop(async::Loop::current());
        EXPECT_THAT(co_await db.one(all_seen), IsEmpty());
        EXPECT_EQ((co_await outbox.state()).waiting, 1);
        hang = false;
        EXPECT_EQ(co_await outbox.deliver(), 1U);
        EXPECT_EQ(done, 1);
      });
}

TEST(Outbox, AHandlerIsPartOfTheTraceOfTheTransaction) {
  async::TraceContext seen;
  with_outbox(
      kByHand,
      [&](Outbox& outbox) {
        outbox.on("placed", [&](Tx&, OutboxMessage) -> Task<void> {
          seen = async::context()->trace;
          co_return;
        });
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        const async::TraceContext trace = trace::start();
        const auto request = [&]() -> Task<void> {
          async::context()->trace = trace;
          co_await put(db, outbox, {placed(1)});
        };
        co_await async::timeout(60s, request());
        co_await outbox.deliver();
        EXPECT_EQ(seen.trace_id, trace.trace_id);
        EXPECT_NE(seen.span_id, trace.span_id);
      });
}

TEST(Outbox, RemovesWhatWasDeliveredLongAgo) {
  OutboxOptions options = kByHand;
  options.keep = 0ms;
  std::vector<std::string> told;
  with_outbox(
      options, [&](Outbox& outbox) { outbox.on("placed", into(told)); },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1), placed(2)});
        EXPECT_EQ(co_await outbox.sweep(), 0U) << "they wait";
        co_await outbox.deliver();
        EXPECT_EQ(co_await outbox.sweep(), 2U);
      });
}

TEST(Outbox, IsSeenInMetrics) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  std::vector<std::string> told;
  OutboxOptions options = kByHand;
  options.tidy_every = 5ms;
  options.first_pause = options.longest_pause = 1h;  // on a slow machine it failed until it was set aside
  with_outbox(
      options,
      [&](Outbox& outbox) {
        outbox.on("placed", into(told));
        outbox.on("bad", [](Tx&, OutboxMessage) -> Task<void> {
          throw Invalid("no");
          co_return;
        });
      },
      [&](Db& db, Outbox& outbox) -> Task<void> {
        co_await put(db, outbox, {placed(1), {"bad", "b", Json("1")}, {"unknown", "c", Json("1")}});
        co_await outbox.deliver();
        while (registry.expose().find("pg_outbox_waiting 2") == std::string::npos) co_await async::sleep(2ms);
        const std::string text = registry.expose();
        EXPECT_THAT(text, HasSubstr("pg_outbox_delivered_total{topic=\"placed\"} 1"));
        EXPECT_THAT(text, HasSubstr("pg_outbox_failed_total{topic=\"bad\"}"));
        EXPECT_THAT(text, HasSubstr("pg_outbox_lag_seconds "));
        EXPECT_THAT(text, HasSubstr("pg_outbox_set_aside 0"));
      });
}

TEST(Outbox, ProgramsThatStartTogetherMakeOneTable) {
  test::with_db([](Db& db) -> Task<void> {
    std::deque<Outbox> outboxes;
    std::vector<Task<void>> starts;
    for (int i = 0; i < 8; ++i) starts.push_back(outboxes.emplace_back(db, kByHand).start_loop(async::Loop::current()));
    co_await async::all(std::move(starts));
    for (Outbox& outbox : outboxes) co_await outbox.stop_loop(async::Loop::current());
  });
}

TEST(Outbox, RefusesWhatMakesNoSense) {
  Db db;
  EXPECT_THROW(Outbox(db, {.workers = 0}), Invalid);
  EXPECT_THROW(Outbox(db, {.batch = 0}), Invalid);
  EXPECT_THROW(Outbox(db, {.first_pause = 2s, .longest_pause = 1s}), Invalid);
  EXPECT_THROW(Outbox(db, {.poll_every = 0ms}), Invalid);
  Outbox outbox(db);
  std::vector<std::string> list;
  outbox.on("placed", into(list));
  EXPECT_THROW(outbox.on("placed", into(list)), Invalid);
}

}  // namespace
}  // namespace ashlar::pg
