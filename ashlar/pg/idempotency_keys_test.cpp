#include <ashlar/pg/idempotency_keys.hpp>

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using State = async::IdempotencyStore::State;
using Attempt = async::IdempotencyStore::Attempt;

Attempt attempt(std::string key, std::string fingerprint = "f") {
  return {.key = std::move(key), .fingerprint = std::move(fingerprint), .id = Uuid::v7(), .lease = 1h, .keep = 24h};
}

// The time is the database's: what is to be old is made so.
const DynamicQuery<void()> end_leases{
    unsafe_sql("update ashlar_idempotency_keys set lease_ends = clock_timestamp() - interval '1 s'")};
const DynamicQuery<void()> end_times{
    unsafe_sql("update ashlar_idempotency_keys set forget_at = clock_timestamp() - interval '1 s'")};
const DynamicQuery<void()> checkpoint{unsafe_sql("checkpoint")};
const DynamicQuery<std::int64_t()> count_keys{unsafe_sql("select count(*) from ashlar_idempotency_keys")};

Task<void> with_keys_on(Db& db, auto& body) {
  IdempotencyKeys keys(db);
  co_await keys.start_loop(async::Loop::current());
  std::exception_ptr error;
  try {
    co_await body(db, keys);
  } catch (...) {
    error = std::current_exception();
  }
  co_await keys.stop_loop(async::Loop::current());
  if (error) std::rethrow_exception(error);
}
template <class F>
void with_keys(F body) {
  test::with_db([&](Db& db) -> Task<void> { co_await with_keys_on(db, body); });
}

TEST(IdempotencyKeys, GivesAnAnswerAgainWithAllItsBytes) {
  with_keys([](Db&, IdempotencyKeys& keys) -> Task<void> {
    const auto first = attempt("k");
    EXPECT_EQ((co_await keys.begin(first)).state, State::begun);
    const std::string bytes("\0\xff\r\n", 4);
    EXPECT_TRUE(co_await keys.complete("k", first.id, {201, "X-Name: \xe4\r\n", bytes}));
    const auto found = co_await keys.begin(attempt("k"));
    EXPECT_EQ(found.state, State::answered);
    EXPECT_EQ(found.answer.status, 201);
    EXPECT_EQ(found.answer.headers, "X-Name: \xe4\r\n");
    EXPECT_EQ(found.answer.body, bytes);
  });
}

TEST(IdempotencyKeys, TellsARunningOneAndAnotherRequest) {
  with_keys([](Db&, IdempotencyKeys& keys) -> Task<void> {
    (void)co_await keys.begin(attempt("k"));
    const auto found = co_await keys.begin(attempt("k"));
    EXPECT_EQ(found.state, State::running);
    EXPECT_GT(found.lease_left, 50min);
    EXPECT_EQ((co_await keys.begin(attempt("k", "other"))).state, State::other_request);
  });
}

TEST(IdempotencyKeys, GivesAKeyToAnotherWhenTheLeaseHasEnded) {
  with_keys([](Db& db, IdempotencyKeys& keys) -> Task<void> {
    const auto dead = attempt("k");
    (void)co_await keys.begin(dead);
    co_await db.exec(end_leases);
    EXPECT_EQ((co_await keys.begin(attempt("k", "other"))).state, State::other_request);
    const auto next = attempt("k");
    EXPECT_EQ((co_await keys.begin(next)).state, State::begun);
    EXPECT_FALSE(co_await keys.complete("k", dead.id, {.body = "late"}));
    co_await keys.abandon("k", dead.id);
    EXPECT_TRUE(co_await keys.complete("k", next.id, {.body = "done"}));
    EXPECT_EQ((co_await keys.begin(attempt("k"))).answer.body, "done");
  });
}

TEST(IdempotencyKeys, ABeginWhoseAnswerWasLostIsRepeated) {
  with_keys([](Db&, IdempotencyKeys& keys) -> Task<void> {
    const auto one = attempt("k");
    EXPECT_EQ((co_await keys.begin(one)).state, State::begun);
    EXPECT_EQ((co_await keys.begin(one)).state, State::begun);
  });
}

TEST(IdempotencyKeys, AnAbandonedKeyIsFree) {
  with_keys([](Db&, IdempotencyKeys& keys) -> Task<void> {
    const auto one = attempt("k");
    (void)co_await keys.begin(one);
    co_await keys.abandon("k", one.id);
    EXPECT_EQ((co_await keys.begin(attempt("k", "other"))).state, State::begun);
  });
}

TEST(IdempotencyKeys, AKeyIsFreedAlthoughTheConnectionBreaks) {
  const DynamicQuery<bool()> break_off{unsafe_sql("select pg_terminate_backend(pg_backend_pid())")};
  auto body = [&](Db& db, IdempotencyKeys& keys) -> Task<void> {
    const auto one = attempt("k");
    (void)co_await keys.begin(one);
    const auto breaking = [&]() -> Task<void> { co_await test::caught<Error>(db.one(break_off)); };
    co_await async::all(breaking(), keys.abandon("k", one.id));
    EXPECT_EQ((co_await keys.begin(attempt("k"))).state, State::begun);
  };
  test::with_db([&](Db& db) -> Task<void> { co_await with_keys_on(db, body); }, {.shared_connections = 1});
}

TEST(IdempotencyKeys, ForgetsKeysWhoseTimeHasComeAndSweepsThem) {
  with_keys([](Db& db, IdempotencyKeys& keys) -> Task<void> {
    for (const char* key : {"a", "b", "c"}) {
      const auto one = attempt(key);
      (void)co_await keys.begin(one);
      EXPECT_TRUE(co_await keys.complete(key, one.id, {.body = "old"}));
    }
    co_await db.exec(end_times);
    EXPECT_EQ((co_await keys.begin(attempt("a", "other"))).state, State::begun);
    EXPECT_EQ(co_await keys.sweep(), 2U);
    EXPECT_EQ(co_await db.one(count_keys), 1);
    EXPECT_EQ((co_await keys.begin(attempt("a", "other"))).state, State::running);
  });
}

TEST(IdempotencyKeys, WithoutAStartTellSo) {
  test::with_db([](Db& db) -> Task<void> {
    IdempotencyKeys keys(db);
    const auto error = co_await test::caught<Unavailable>(keys.begin(attempt("k")));
    EXPECT_NE(error, nullptr);
  });
}

// Each on a loop and with connections of its own, as processes have them: they make the table together, too.
TEST(IdempotencyKeys, OneOfManyThatBeginAtTheSameTimeDoesEachThing) {
  constexpr int kThreads = 4;
  constexpr int kKeys = 50;
  const TestDatabase database(test::server(), "template1");
  std::array<std::atomic<int>, kKeys> done{};
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      async::run([](std::string url, std::array<std::atomic<int>, kKeys>& begun) -> Task<void> {
        Db db({.url = std::move(url), .check_queries = false});
        co_await db.start();
        co_await db.start_loop(async::Loop::current());
        auto body = [&](Db&, IdempotencyKeys& keys) -> Task<void> {
          for (int k = 0; k < kKeys; ++k) {
            const auto one = attempt(std::to_string(k));
            if ((co_await keys.begin(one)).state == State::begun) ++begun[static_cast<std::size_t>(k)];
          }
        };
        co_await with_keys_on(db, body);
        co_await db.stop_loop(async::Loop::current());
        co_await db.stop();
      }(database.url(), done));
    });
  }
  threads.clear();
  for (const auto& one : done) EXPECT_EQ(one.load(), 1);
}

// What a process does that is killed in the middle: the next test starts it.
TEST(IdempotencyKeys, DISABLED_TakesAKeyAndNeverEnds) {
  const char* const url = std::getenv("ASHLAR_TEST_URL");
  ASSERT_NE(url, nullptr);
  async::run([](std::string at) -> Task<void> {
    Db db({.url = std::move(at), .check_queries = false});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    IdempotencyKeys keys(db);
    co_await keys.start_loop(async::Loop::current());
    EXPECT_EQ((co_await keys.begin(attempt("k"))).state, State::begun);
    co_await async::sleep(1h);
  }(url));
}

pid_t start_the_one_that_never_ends(const std::string& url) {
  std::string program = "/proc/self/exe";
  std::string filter = "--gtest_filter=IdempotencyKeys.DISABLED_TakesAKeyAndNeverEnds";
  std::string disabled = "--gtest_also_run_disabled_tests";
  std::string variable = "ASHLAR_TEST_URL=" + url;
  std::array<char*, 4> arguments{program.data(), filter.data(), disabled.data(), nullptr};
  std::vector<char*> environment{variable.data()};
  for (char** one = environ; *one != nullptr; ++one) {
    if (std::string_view(*one).starts_with("GTEST_")) continue;  // the shard is this test's
    environment.push_back(*one);
  }
  environment.push_back(nullptr);
  pid_t child = 0;
  EXPECT_EQ(::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments.data(), environment.data()), 0);
  return child;
}

TEST(IdempotencyKeys, AKeyOfAKilledProcessIsTakenUntilItsLeaseEnds) {
  const TestDatabase database(test::server(), "template1");
  async::run([](std::string url) -> Task<void> {
    Db db({.url = url, .check_queries = false});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    auto body = [&](Db& on, IdempotencyKeys& keys) -> Task<void> {
      const pid_t child = start_the_one_that_never_ends(url);
      bool taken = false;
      for (int tries = 0; !taken && tries < 6000; ++tries) {
        taken = co_await on.one(count_keys) == 1;
        if (!taken) co_await async::sleep(10ms);
      }
      EXPECT_EQ(::kill(child, SIGKILL), 0);
      EXPECT_EQ(::waitpid(child, nullptr, 0), child);
      EXPECT_TRUE(taken);
      EXPECT_EQ((co_await keys.begin(attempt("k"))).state, State::running);
      co_await on.exec(end_leases);
      EXPECT_EQ((co_await keys.begin(attempt("k"))).state, State::begun);
    };
    co_await with_keys_on(db, body);
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(database.url()));
}

// The server dies with the key taken and comes back: what was committed is there, and connections are made anew.
TEST(IdempotencyKeys, SurviveACrashOfTheServer) {
  const std::shared_ptr<PrivateServer> server = PrivateServer::start();
  const TestDatabase database(server, "template1");
  async::run([](std::string url, PrivateServer& at) -> Task<void> {
    Db db({.url = std::move(url), .check_queries = false});
    co_await db.start();
    co_await db.start_loop(async::Loop::current());
    auto body = [&](Db& on, IdempotencyKeys& keys) -> Task<void> {
      const auto done = attempt("done");
      const auto running = attempt("running");
      (void)co_await keys.begin(done);
      EXPECT_TRUE(co_await keys.complete("done", done.id, {.body = "kept"}));
      (void)co_await keys.begin(running);
      co_await on.exec(checkpoint);  // a throwaway server commits without waiting for its log
      at.kill();
      at.restart();
      std::optional<async::IdempotencyStore::Found> found;
      for (int tries = 0; !found && tries < 1000; ++tries) {
        try {
          found = co_await keys.begin(attempt("done"));
        } catch (const Unavailable&) {
        }
        if (!found) co_await async::sleep(10ms);
      }
      if (!found) throw Internal("the database did not come back");
      EXPECT_EQ(found->answer.body, "kept");
      EXPECT_EQ((co_await keys.begin(attempt("running"))).state, State::running);
      EXPECT_TRUE(co_await keys.complete("running", running.id, {.body = "late, but in time"}));
    };
    co_await with_keys_on(db, body);
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(database.url(), *server));
}

}  // namespace
}  // namespace ashlar::pg
