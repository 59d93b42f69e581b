#include <ashlar/async/loop.hpp>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/async/signals.hpp>

using namespace ashlar;
using namespace std::chrono_literals;

namespace {

struct RecordingTimer final : async::Timer {
  std::function<void()> fire;
  void on_timer() noexcept override { fire(); }
  using async::Timer::arm;
};

TEST(TimerWheel, FiresEachTimerAtItsTimeAndNeverBefore) {
  const async::TimePoint start{};
  async::TimerWheel wheel{start};
  struct At final : async::Timer {
    async::TimePoint due;
    async::TimePoint* now = nullptr;
    int fired = 0;
    void on_timer() noexcept override {
      ++fired;
      EXPECT_GE(*now, due);
      EXPECT_LT(*now, due + 2ms);
    }
  };
  async::TimePoint now = start;
  std::vector<std::unique_ptr<At>> timers;
  std::mt19937 random{7};
  for (int i = 0; i < 3000; ++i) {
    auto& timer = timers.emplace_back(std::make_unique<At>());
    timer->due = start + std::chrono::microseconds(random() % 20'000'000);
    timer->now = &now;
    wheel.arm(*timer, timer->due);
  }
  EXPECT_EQ(wheel.size(), 3000U);
  for (int i = 0; i < 3000; i += 10) timers[static_cast<std::size_t>(i)]->cancel();
  while (wheel.size() > 0) {
    const int wait = wheel.next_timeout_ms(now);
    ASSERT_GE(wait, 0);
    now += std::chrono::milliseconds(std::max(wait, 1));
    wheel.advance(now);
  }
  for (int i = 0; i < 3000; ++i) EXPECT_EQ(timers[static_cast<std::size_t>(i)]->fired, i % 10 == 0 ? 0 : 1);
}

TEST(TimerWheel, KeepsTimersThatAreFurtherAwayThanItsLevels) {
  const async::TimePoint start{};
  async::TimerWheel wheel{start};
  RecordingTimer far;
  int fired = 0;
  far.fire = [&] { ++fired; };
  wheel.arm(far, start + 24h * 40);
  wheel.advance(start + 24h * 39);
  EXPECT_EQ(fired, 0);
  wheel.advance(start + 24h * 40 + 2ms);
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, FiresEachAtItsTimeHoweverFarItIsAdvancedAtOnce) {
  const async::TimePoint start{};
  std::mt19937_64 random{11};
  for (int round = 0; round < 50; ++round) {
    async::TimerWheel wheel{start};
    async::TimePoint now = start + std::chrono::milliseconds(random() % (1U << 20));
    wheel.advance(now);
    std::vector<std::unique_ptr<RecordingTimer>> timers;
    std::vector<std::chrono::milliseconds> due;
    std::vector<std::size_t> fired;
    for (std::size_t i = 0; i < 40; ++i) {
      due.emplace_back(1 + random() % (std::uint64_t{1} << (5 + 4 * (i % 8))));  // up to three months
      auto& timer = timers.emplace_back(std::make_unique<RecordingTimer>());
      timer->fire = [&fired, i] { fired.push_back(i); };
      wheel.arm(*timer, now + due[i]);
    }
    for (std::chrono::milliseconds gone{0}; wheel.size() > 0;) {
      const std::size_t before = fired.size();
      const std::chrono::milliseconds last = gone;
      gone += std::chrono::milliseconds(random() % (std::uint64_t{1} << (random() % 38)));
      wheel.advance(now + gone);
      for (std::size_t k = before; k < fired.size(); ++k) {
        EXPECT_GT(due[fired[k]], last);
        EXPECT_LE(due[fired[k]], gone);
        if (k > before) EXPECT_LE(due[fired[k - 1]], due[fired[k]]) << "in their order";
      }
      for (std::size_t i = 0; i < due.size(); ++i) EXPECT_EQ(timers[i]->armed(), due[i] > gone) << due[i].count();
    }
  }
}

TEST(TimerWheel, LetsACallbackCancelAndArmOthers) {
  const async::TimePoint start{};
  async::TimerWheel wheel{start};
  RecordingTimer a;
  RecordingTimer b;
  int b_fired = 0;
  b.fire = [&] { ++b_fired; };
  a.fire = [&] {
    b.cancel();
    wheel.arm(b, start + 50ms);
  };
  wheel.arm(a, start + 10ms);
  wheel.arm(b, start + 10ms);
  wheel.advance(start + 20ms);
  wheel.advance(start + 60ms);
  EXPECT_GE(b_fired, 1);
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(Loop, RunsPostedFunctionsOfOtherThreadsInOrder) {
  async::Loop loop;
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&, i] { seen.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  ASSERT_EQ(seen.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(Loop, TellsHandlersOfReadyDescriptors) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
  struct Reader final : async::IoHandler {
    async::Loop* loop = nullptr;
    int fd = -1;
    std::string got;
    void on_io(std::uint32_t) noexcept override {
      char buffer[16];
      const auto n = ::read(fd, buffer, sizeof buffer);
      got.append(buffer, static_cast<std::size_t>(n));
      loop->remove(fd, *this);
      loop->stop();
    }
  } reader;
  async::Loop loop;
  reader.loop = &loop;
  reader.fd = pair[0];
  loop.add(pair[0], EPOLLIN, reader);
  ASSERT_EQ(::write(pair[1], "hi", 2), 2);
  loop.run();
  EXPECT_EQ(reader.got, "hi");
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST(Loop, RunsAHookOnceAtTheEndOfTheTick) {
  struct Hook final : async::TickHook {
    int runs = 0;
    void on_tick_end() noexcept override { ++runs; }
  } hook;
  async::run([](Hook& h) -> Task<void> {
    auto& loop = async::Loop::current();
    loop.at_tick_end(h);
    loop.at_tick_end(h);
    EXPECT_EQ(h.runs, 0);
    co_await async::sleep(1ms);
    EXPECT_EQ(h.runs, 1);
  }(hook));
}

TEST(Loop, SleepsAtLeastAsLongAsAsked) {
  const auto start = async::Clock::now();
  async::run([]() -> Task<void> { co_await async::sleep(5ms); }());
  EXPECT_GE(async::Clock::now() - start, 5ms);
}

TEST(Runtime, RunsTasksOnItsOtherLoops) {
  async::Runtime runtime{3};
  std::vector<unsigned> seen;
  runtime.run([](async::Runtime& r, std::vector<unsigned>& out) -> Task<void> {
    for (unsigned i = 0; i < r.size(); ++i) {
      out.push_back(co_await async::run_on(r.loop(i), []() -> Task<unsigned> {
        co_await async::sleep(1ms);
        co_return async::Loop::current().index();
      }()));
    }
  }(runtime, seen));
  EXPECT_EQ(seen, (std::vector<unsigned>{0, 1, 2}));
}

TEST(Runtime, CarriesExceptionsBetweenLoops) {
  async::Runtime runtime{2};
  const auto body = [](async::Runtime& r) -> Task<void> {
    co_await async::run_on(r.loop(1), []() -> Task<void> {
      throw std::runtime_error("far away");
      co_return;
    }());
  };
  EXPECT_THROW(runtime.run(body(runtime)), std::runtime_error);
}

TEST(Signals, AreDeliveredToTheTaskThatWaits) {
  async::Signals signals{SIGUSR2};
  const int got = async::run([](async::Signals& s) -> Task<int> {
    ::kill(::getpid(), SIGUSR2);
    co_return co_await s.next();
  }(signals));
  EXPECT_EQ(got, SIGUSR2);
}

TEST(Watchdog, NamesWhatHoldsTheLoopAndShowsItsStack) {
  async::Runtime runtime{1};
  std::mutex mutex;
  std::vector<async::Stall> stalls;
  std::atomic<bool> seen{false};
  {
    async::Watchdog watchdog{runtime, 20ms, [&](const async::Stall& stall) {
                               const std::lock_guard lock(mutex);
                               stalls.push_back(stall);
                               seen = true;
                             }};
    runtime.run([](std::atomic<bool>& reported) -> Task<void> {
      async::Loop::current().set_running("GET /slow");
      while (!reported) {
      }
      async::Loop::current().set_running(nullptr);
      co_return;
    }(seen));
  }
  ASSERT_FALSE(stalls.empty());
  EXPECT_GE(stalls[0].held, 20ms);
  EXPECT_EQ(stalls[0].route, "GET /slow");
  EXPECT_NE(stalls[0].stack.find("_test"), std::string::npos);
}

}  // namespace
