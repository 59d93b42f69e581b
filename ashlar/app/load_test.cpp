#include <ashlar/app/detail/load.hpp>

#include <gtest/gtest.h>

#include <array>
#include <deque>

namespace ashlar::detail {
namespace {

using namespace std::chrono_literals;
using async::Nanoseconds;
using async::TimePoint;

// A loop in times of its own: rounds in which requests come, each with its cost.
class Simulated {
 public:
  explicit Simulated(Nanoseconds wait = 100ms) : load(loop_, wait) {}

  // One round in which `count` requests are there; those taken on cost the loop `cost`. Gives how many were.
  int round(int count, Nanoseconds cost, Priority priority = Priority::normal, RouteLoad* route = nullptr) {
    RouteLoad& at = route != nullptr ? *route : route_;
    load.begin_round(now, last_round_, busy_);
    const TimePoint began = now;
    int taken = 0;
    for (int i = 0; i < count; ++i) {
      now += 2us;
      if (load.limiting() && !load.admits(priority)) continue;
      load.take_on();
      load.enter(at);
      now += cost;
      load.leave(at, now - began);
      ++taken;
    }
    last_round_ = now - began;
    busy_ += last_round_;
    return taken;
  }
  void sleep(Nanoseconds time) { now += time; }
  // Starts `count` that wait for something and finish `done`, each after `took`; the loop idles in between.
  int suspended(int count, int done, Nanoseconds took, RouteLoad* route = nullptr,
                Priority priority = Priority::normal) {
    RouteLoad& at = route != nullptr ? *route : route_;
    sleep(10ms);
    load.begin_round(now, last_round_, busy_);
    int taken = 0;
    for (int i = 0; i < count; ++i) {
      if (load.limiting() && !load.admits(priority)) continue;
      load.take_on();
      load.enter(at);
      ++taken;
      ++under_way;
    }
    for (int i = 0; i < done && under_way > 0; ++i, --under_way) load.leave(at, took);
    last_round_ = 100us;
    return taken;
  }

  TimePoint now{1000s};
  int under_way = 0;

 private:
  async::Loop loop_;

 public:
  LoopLoad load;

 private:
  RouteLoad route_;
  Nanoseconds last_round_{0};
  Nanoseconds busy_{0};
};

TEST(LoopLoad, TakesEverythingOnWhileRoundsAreShort) {
  Simulated simulated;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(simulated.round(500, 200us), 500);  // saturated, and in time
  EXPECT_FALSE(simulated.load.limiting());
}

TEST(LoopLoad, TakesEverythingOnWhileTheLoopSleepsNowAndThen) {
  Simulated simulated;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(simulated.round(5000, 200us), 5000);  // bursts of a second each
    simulated.sleep(50ms);
  }
}

TEST(LoopLoad, ASlowHandlerThatFewAskForIsNoOverload) {
  Simulated simulated;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(simulated.round(5, 300ms), 5);
}

TEST(LoopLoad, ABurstIsNoOverload) {
  Simulated simulated;
  EXPECT_EQ(simulated.round(5000, 200us), 5000);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(simulated.round(100, 200us), 100);
}

TEST(LoopLoad, HoldsRoundsAtTheWaitWhenMoreComesThanTheLoopCanDo) {
  Simulated simulated;
  std::int64_t taken = 0;
  TimePoint measured_from{};
  Nanoseconds longest{0};
  const TimePoint began = simulated.now;
  TimePoint round_began = simulated.now;
  Nanoseconds last = 50ms;
  while (simulated.now < began + 20s) {
    round_began = simulated.now;
    const int came = static_cast<int>(last / 40us);  // 25 000 a second, five times what 200 µs each allow
    const int took_on = simulated.round(std::min(came, 10'000), 200us);
    last = simulated.now - round_began;
    if (simulated.now < began + 5s) continue;
    if (measured_from == TimePoint{}) measured_from = round_began;
    taken += took_on;
    longest = std::max(longest, last);
  }
  EXPECT_TRUE(simulated.load.limiting());
  EXPECT_LT(longest, 200ms);
  const double seconds = std::chrono::duration<double>(simulated.now - measured_from).count();
  EXPECT_GT(static_cast<double>(taken) / seconds, 0.9 * 5000);
  EXPECT_GT(simulated.load.shed(Priority::normal, OverloadReason::loop), 0U);
}

TEST(LoopLoad, SeesThatItIsLateThoughMoreIsAlwaysReadyThanATickTakes) {
  Simulated simulated;
  constexpr std::uint64_t kTick = 50'000'000;  // ns
  constexpr int kFull = async::Loop::kMostEvents;
  std::uint64_t ticks = 0;
  const auto tick = [&] {
    simulated.load.begin_tick(simulated.now, ticks, ticks * kFull, ticks * kTick);
    int taken = 0;
    for (int i = 0; i < kFull; ++i) {
      if (simulated.load.limiting() && !simulated.load.admits(Priority::normal)) continue;
      simulated.load.take_on();
      ++taken;
    }
    ++ticks;
    simulated.now += Nanoseconds(kTick);
    return taken;
  };
  for (int i = 0; i < 40; ++i) tick();  // two seconds
  EXPECT_TRUE(simulated.load.limiting());
  int taken = 0;
  for (int i = 0; i < 16; ++i) taken += tick();
  EXPECT_LT(taken, 16 * kFull * 3 / 4);
}

TEST(LoopLoad, EndsWhenNothingHasBeenRefusedForAWhile) {
  Simulated simulated;
  while (!simulated.load.limiting()) simulated.round(2000, 200us);
  EXPECT_GT(simulated.load.shown_round_limit(), 0U);
  for (int i = 0; i < 300; ++i) {
    simulated.round(10, 200us);
    simulated.sleep(10ms);
  }
  EXPECT_FALSE(simulated.load.limiting());
  EXPECT_EQ(simulated.load.shown_round_limit(), 0U);
}

TEST(LoopLoad, NeverRefusesTheCritical) {
  Simulated simulated;
  while (!simulated.load.limiting()) simulated.round(2000, 200us);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(simulated.round(2000, 200us, Priority::critical), 2000);
}

TEST(LoopLoad, RefusesTheSheddableFirst) {
  Simulated simulated;
  RouteLoad route;
  while (!simulated.load.limiting()) simulated.round(2000, 200us, Priority::normal, &route);
  // In each round 300 normal ones, which fit, and 2000 sheddable.
  int normal = 0;
  int sheddable = 0;
  TimePoint before = simulated.now;
  for (int i = 0; i < 200; ++i) {
    simulated.load.begin_round(simulated.now, simulated.now - before, simulated.now.time_since_epoch());
    before = simulated.now;
    for (int k = 0; k < 2300; ++k) {
      const auto priority = k % 23 < 3 ? Priority::normal : Priority::sheddable;
      simulated.now += 2us;
      if (simulated.load.limiting() && !simulated.load.admits(priority)) continue;
      simulated.load.take_on();
      simulated.load.enter(route);
      simulated.now += 200us;
      simulated.load.leave(route, simulated.now - before);
      if (i >= 100) ++(priority == Priority::normal ? normal : sheddable);
    }
  }
  EXPECT_GT(normal, 100 * 300 * 95 / 100);
  EXPECT_GT(sheddable, 100 * 50);  // and what is left is not wasted
  EXPECT_LT(sheddable, 100 * 300);
}

TEST(LoopLoad, ServesTheSheddableWhenThereAreNoOthers) {
  Simulated simulated;
  std::int64_t taken = 0;
  const TimePoint began = simulated.now;
  Nanoseconds last = 50ms;
  while (simulated.now < began + 20s) {
    const TimePoint round_began = simulated.now;
    const int came = std::max(1, static_cast<int>(last / 40us));
    const int took_on = simulated.round(std::min(came, 10'000), 200us, Priority::sheddable);
    last = simulated.now - round_began;
    if (simulated.now > began + 10s) taken += took_on;
  }
  EXPECT_GT(taken, 10 * 5000 * 7 / 10);
}

TEST(LoopLoad, LimitsThoseUnderWayWhenAllTakeLongerThanUsual) {
  Simulated simulated;
  for (int i = 0; i < 500; ++i) simulated.suspended(20, 20, 5ms);  // 2000 a second
  EXPECT_FALSE(simulated.load.limiting());
  // Five times as many come as something behind the handlers can do: 20 in 10 ms.
  int taken = 0;
  Nanoseconds took = 0ns;
  for (int i = 0; i < 3000; ++i) {
    took = Nanoseconds(simulated.under_way * 500us) + 5ms;
    const int took_on = simulated.suspended(100, 20, took);
    if (i >= 1500) taken += took_on;
  }
  EXPECT_TRUE(simulated.load.limiting());
  EXPECT_GT(taken, 1500 * 20 * 95 / 100);
  EXPECT_LT(took, 300ms);
  EXPECT_GT(simulated.load.shed(Priority::normal, OverloadReason::latency), 0U);
}

TEST(LoopLoad, KeepsAQueueBehindTheHandlersShortThoughClientsGiveUp) {
  // 16 slots that are taken for 10 ms each, in the order of arrival, and clients who wait for a second at most.
  for (const int each_round : {32, 80}) {
    SCOPED_TRACE(each_round);
    Simulated simulated;
    std::deque<TimePoint> queue;
    int good = 0;
    for (int i = 0; i < 2000; ++i) {
      Nanoseconds took = 1s;
      int done = 0;
      while (!queue.empty() && simulated.now - queue.front() >= 1s) {
        queue.pop_front();
        ++done;
      }
      for (int slot = 0; slot < 16 && !queue.empty(); ++slot) {
        took = simulated.now - queue.front() + 10ms;
        queue.pop_front();
        ++done;
        if (i >= 1000) ++good;
      }
      const int taken = simulated.suspended(each_round, done, took);
      for (int k = 0; k < taken; ++k) queue.push_back(simulated.now);
    }
    EXPECT_TRUE(simulated.load.limiting());
    EXPECT_GT(good, 1000 * 16 * 95 / 100);
    EXPECT_LT(queue.size(), 16U * 30);  // 300 ms
  }
}

TEST(LoopLoad, RoutesThatAreSlowByNatureAreNoOverload) {
  Simulated simulated;
  RouteLoad polling;
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(simulated.suspended(20, i < 100 ? 0 : 20, 20s, &polling), 20);
    EXPECT_EQ(simulated.suspended(20, 20, 5ms), 20);
  }
}

TEST(LoopLoad, AMinorityOfSlowRequestsIsNoOverload) {
  Simulated simulated;
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(simulated.suspended(100, 70, 5ms), 100);
    EXPECT_EQ(simulated.suspended(0, 30, i < 200 ? 5ms : 3s), 0);
  }
}

TEST(LoopLoad, GivesUpALimitThatDoesNotHelp) {
  Simulated simulated;
  for (int i = 0; i < 500; ++i) simulated.suspended(20, 20, 5ms);
  // Now something takes 400 ms, however few ask for it.
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    const int done = i < 40 ? 0 : 20;
    const int taken = simulated.suspended(20, done, 400ms);
    if (i >= 1000) refused += 20 - taken;
  }
  EXPECT_EQ(refused, 0);
  EXPECT_FALSE(simulated.load.limiting());
}

TEST(LoopLoad, SpreadsWhenToComeBack) {
  Simulated simulated;
  std::array<int, 4> seconds{};
  for (int i = 0; i < 300; ++i) ++seconds[simulated.load.retry_after()];
  EXPECT_EQ(seconds[0], 0);
  for (int i = 1; i <= 3; ++i) EXPECT_GT(seconds[static_cast<std::size_t>(i)], 50);
}

}  // namespace
}  // namespace ashlar::detail
