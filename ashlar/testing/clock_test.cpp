#include <ashlar/testing/clock.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/background.hpp>
#include <ashlar/app/rate_limit.hpp>
#include <ashlar/app/response_cache.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/auth/jwt.hpp>
#include <ashlar/base/clock.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/transfer.hpp>

namespace ashlar::testing {
namespace {

using namespace std::chrono_literals;

// What really passes while a test moves time by hours.
constexpr auto kAMoment = 1min;

TEST(Clock, MovesBothClocks) {
  async::Loop loop;
  Clock clock(loop);
  const auto steady = async::Clock::now();
  const DateTime date = DateTime::now();
  clock.advance(3h);
  EXPECT_GE(async::Clock::now() - steady, 3h);
  EXPECT_LT(async::Clock::now() - steady, 3h + kAMoment);
  EXPECT_GE(DateTime::now() - date, Duration(3h));
  EXPECT_LT(DateTime::now() - date, Duration(3h + kAMoment));
}

TEST(Clock, TurnsTheTimeOfDayBackWhenItGoesAndNeverTheSteadyOne) {
  async::Loop loop;
  const auto real = std::chrono::system_clock::now();
  async::TimePoint steady;
  {
    Clock clock(loop);
    clock.advance(3h);
    steady = async::Clock::now();
  }
  EXPECT_LT(SystemClock::now() - real, kAMoment);
  EXPECT_GE(async::Clock::now(), steady);
}

TEST(Clock, SetsTheTimeOfDayAlone) {
  async::Loop loop;
  Clock clock(loop);
  const auto steady = async::Clock::now();
  const DateTime leap_day = *DateTime::parse("2028-02-29T23:50:00Z");
  clock.set(leap_day);
  EXPECT_EQ(DateTime::now().date(), *Date::of(2028, 2, 29));
  EXPECT_LT(async::Clock::now() - steady, kAMoment);
  clock.advance(1h);
  EXPECT_EQ(DateTime::now().date(), *Date::of(2028, 3, 1));
}

TEST(Clock, DoesNotRunBack) {
  async::Loop loop;
  EXPECT_THROW(Clock(loop).advance(-1ns), Invalid);
}

TEST(Clock, RunsWhatIsDueInItsOrderAndAtItsTime) {
  App app;
  std::vector<std::pair<int, std::chrono::minutes>> woken;
  app.post<"/">([&](Background background) {
    const auto wake = [](std::chrono::minutes after,
                         std::vector<std::pair<int, std::chrono::minutes>>& out) -> Task<void> {
      const auto began = async::Clock::now();
      co_await async::sleep(after);
      out.emplace_back(static_cast<int>(after.count()),
                       std::chrono::floor<std::chrono::minutes>(async::Clock::now() - began));
    };
    for (const auto after : {90min, 10min, 45min, std::chrono::minutes(24h * 20)}) background.add(wake(after, woken));
  });
  Client client{app};
  Clock clock(client);
  client.post("/").send();
  clock.advance(45min);
  EXPECT_EQ(woken, (std::vector<std::pair<int, std::chrono::minutes>>{{10, 10min}, {45, 45min}}));
  clock.advance(24h * 20);
  ASSERT_EQ(woken.size(), 4U);
  EXPECT_EQ(woken[2], std::pair(90, 90min));
  EXPECT_EQ(woken[3].second, 24h * 20);
}

TEST(Clock, LetsATaskThatComesBackEveryMinuteDoSo) {
  App app;
  int rounds = 0;
  app.post<"/">([&](Background background) {
    background.add([](int& count) -> Task<void> {
      for (int i = 0; i < 20; ++i) {
        co_await async::sleep(1min);
        ++count;
      }
    }(rounds));
  });
  Client client{app};
  Clock clock(client);
  client.post("/").send();
  clock.advance(10min + 30s);
  EXPECT_EQ(rounds, 10);
  clock.advance(24h);
  EXPECT_EQ(rounds, 20);
}

TEST(Clock, IsMovedOutsideOfTasksOnly) {
  async::Loop loop;
  Clock clock(loop);
  const auto before = async::Clock::now();
  async::run(loop, [](Clock& held) -> Task<void> {
    EXPECT_THROW(held.advance(1h), Invalid);
    co_return;
  }(clock));
  EXPECT_LT(async::Clock::now() - before, kAMoment);
}

TEST(Clock, EndsARequestAtItsDeadline) {
  App app;
  app.get<"/slow">([]() -> Task<Text> {
    co_await async::sleep(1h);
    co_return Text{"late"};
  });
  Client client{app};
  Clock clock(client);
  auto request = client.get("/slow").begin();
  clock.advance(20s);
  EXPECT_FALSE(request.answered());
  clock.advance(11s);
  EXPECT_TRUE(request.answered());
  EXPECT_EQ(request.answer().status, 504);
}

TEST(Clock, LetsTimeoutsPass) {
  App app;
  app.get<"/">([]() -> Task<Text> {
    try {
      co_await async::timeout(5s, []() -> Task<void> { co_await async::sleep(10s); }());
    } catch (const DeadlineExceeded&) {
      co_return Text{"gave up"};
    }
    co_return Text{"had it"};
  });
  Client client{app};
  Clock clock(client);
  auto request = client.get("/").begin();
  clock.advance(5s);
  EXPECT_EQ(request.answer().body, "gave up");
}

TEST(Clock, ExpiresTokens) {
  struct Claims {
    int user;
  };
  const auth::Tokens tokens{{.keys = {auth::Key::generate(auth::Algorithm::hs256)}, .lifetime = 15min, .leeway = 0s}};
  async::Loop loop;
  Clock clock(loop);
  const std::string token = tokens.issue(Claims{7});
  clock.advance(14min);
  EXPECT_EQ(tokens.verify<Claims>(token).user, 7);
  clock.advance(1min);
  EXPECT_THROW(tokens.verify<Claims>(token), auth::TokenError);
}

TEST(Clock, FillsRateLimitsAgain) {
  App app;
  app.use(RateLimit{{.requests = 2, .per = 1h, .key = by_header("X-Key")}});
  app.get<"/">([] { return "hello"; });
  Client client{app};
  client.default_header("X-Key", "me");
  Clock clock(client);
  EXPECT_EQ(client.get("/").send().status, 200);
  EXPECT_EQ(client.get("/").send().status, 200);
  EXPECT_EQ(client.get("/").send().status, 429);
  clock.advance(30min);
  EXPECT_EQ(client.get("/").send().status, 200);
  EXPECT_EQ(client.get("/").send().status, 429);
}

TEST(Clock, AgesCaches) {
  App app;
  ResponseCache pages;
  int asked = 0;
  app.get<"/">([&] { return std::to_string(++asked); }, {.cache = pages.keep({.ttl = 10min})});
  Client client{app};
  Clock clock(client);
  EXPECT_EQ(client.get("/").send().body, client.get("/").send().body);
  EXPECT_EQ(asked, 1);
  clock.advance(10min);
  static_cast<void>(client.get("/").send());
  EXPECT_EQ(asked, 2);
}

TEST(Clock, DoesNotLookLikeALoopThatWasHeld) {
  async::Loop loop;
  Clock clock(loop);
  clock.advance(24h);
  EXPECT_LT(loop.stats().longest_tick_ns.get(), static_cast<std::uint64_t>(std::chrono::nanoseconds(1h).count()));
}

}  // namespace
}  // namespace ashlar::testing
