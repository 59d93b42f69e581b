#include <ashlar/async/combinators.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include <ashlar/async/channel.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>

using namespace ashlar;
using namespace std::chrono_literals;
using async::run;

namespace {

Task<int> after(std::chrono::milliseconds delay, int value) {
  co_await async::sleep(delay);
  co_return value;
}
Task<int> fail_after(std::chrono::milliseconds delay) {
  co_await async::sleep(delay);
  throw std::runtime_error("failed");
}
Task<void> note_cancel(bool& cancelled) {
  try {
    co_await async::sleep(1h);
  } catch (const Cancelled&) {
    cancelled = true;
    throw;
  }
}

TEST(All, GivesEveryValueInOrder) {
  const auto [a, b, c] = run(async::all(after(3ms, 1), after(1ms, 2), after(0ms, 3)));
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 2);
  EXPECT_EQ(c, 3);
}

TEST(All, TakesAVectorOfTasks) {
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 50; ++i) tasks.push_back(after(1ms, i));
  const auto values = run(async::all(std::move(tasks)));
  ASSERT_EQ(values.size(), 50U);
  EXPECT_EQ(values[49], 49);
}

TEST(All, CancelsTheOthersWhenOneFailsAndWaitsForThem) {
  bool cancelled = false;
  EXPECT_THROW(run(async::all(fail_after(1ms), note_cancel(cancelled))), std::runtime_error);
  EXPECT_TRUE(cancelled);
}

TEST(Any, GivesTheFirstSuccessAndCancelsTheRest) {
  EXPECT_EQ(run(async::any(after(1h, 1), after(1ms, 2), fail_after(0ms))), 2);
}

TEST(Any, GivesTheFirstErrorWhenAllFail) {
  EXPECT_THROW(run(async::any(fail_after(1ms), fail_after(2ms))), std::runtime_error);
}

TEST(Race, EndsWithTheFirstThatEndsWhetherByValueOrError) {
  EXPECT_EQ(run(async::race(after(1h, 1), after(1ms, 2))), 2);
  bool cancelled = false;
  const auto failing = []() -> Task<void> { co_await fail_after(1ms); };
  EXPECT_THROW(run(async::race(note_cancel(cancelled), failing())), std::runtime_error);
  EXPECT_TRUE(cancelled);
}

TEST(Timeout, GivesTheValueWhenTheTaskIsInTime) { EXPECT_EQ(run(async::timeout(1h, after(1ms, 5))), 5); }

TEST(Timeout, ThrowsDeadlineExceededIntoTheTask) {
  EXPECT_THROW(run(async::timeout(2ms, after(1h, 5))), DeadlineExceeded);
}

TEST(Timeout, TheSoonerOfTwoNestedDeadlinesCounts) {
  const auto start = async::Clock::now();
  EXPECT_THROW(run(async::timeout(2ms, async::timeout(1h, after(1h, 5)))), DeadlineExceeded);
  EXPECT_LT(async::Clock::now() - start, 10s);
}

TEST(Timeout, TellsTheTaskItsDeadline) {
  run(async::timeout(1h, []() -> Task<void> {
    EXPECT_LE(async::context()->deadline, async::Clock::now() + 1h);
    co_return;
  }()));
}

TEST(Shield, LetsCleanUpFinishInACancelledScope) {
  bool cleaned = false;
  const auto work = [](bool& done) -> Task<void> {
    std::exception_ptr error;
    try {
      co_await async::sleep(1h);
    } catch (...) {
      error = std::current_exception();
    }
    EXPECT_THROW(co_await async::sleep(0ms), DeadlineExceeded);
    co_await async::shield([](bool& d) -> Task<void> {
      co_await async::sleep(2ms);
      d = true;
    }(done));
    std::rethrow_exception(error);
  };
  EXPECT_THROW(run(async::timeout(1ms, work(cleaned))), DeadlineExceeded);
  EXPECT_TRUE(cleaned);
}

TEST(TaskGroup, WaitsForEverythingItSpawned) {
  int done = 0;
  run(async::task_group([&](async::TaskGroup& group) -> Task<void> {
    for (int i = 0; i < 10; ++i) {
      group.spawn([](int& count) -> Task<void> {
        co_await async::sleep(1ms);
        ++count;
      }(done));
    }
    co_return;
  }));
  EXPECT_EQ(done, 10);
}

TEST(TaskGroup, CancelsWhatItSpawnedWhenTheBodyFails) {
  bool cancelled = false;
  EXPECT_THROW(run(async::task_group([&](async::TaskGroup& group) -> Task<void> {
                 group.spawn(note_cancel(cancelled));
                 throw std::runtime_error("body");
                 co_return;
               })),
               std::runtime_error);
  EXPECT_TRUE(cancelled);
}

TEST(Context, FollowsTasksAcrossSuspensions) {
  async::Context context;
  context.route = "GET /";
  run([](async::Context& c) -> Task<void> {
    EXPECT_EQ(async::context(), nullptr);
    struct Done final : async::Completion {
      async::Event event;
      void on_complete(std::exception_ptr) noexcept override { event.set(); }
    } done;
    {
      const async::ContextGuard guard{&c};
      async::launch(
          [](async::Context* expected) -> Task<void> {
            EXPECT_EQ(async::context(), expected);
            co_await async::sleep(1ms);
            EXPECT_EQ(async::context(), expected);
            co_await after(1ms, 0);
            EXPECT_EQ(async::context(), expected);
          }(&c),
          done);
    }
    EXPECT_EQ(async::context(), nullptr);
    co_await done.event.wait();
    EXPECT_EQ(async::context(), nullptr);
  }(context));
}

TEST(CancelScope, ReachesNestedScopes) {
  async::CancelScope outer;
  async::CancelScope inner{&outer};
  outer.cancel(async::CancelReason::shutdown);
  EXPECT_TRUE(inner.cancelled());
  EXPECT_EQ(inner.reason(), async::CancelReason::shutdown);
}

TEST(Mutex, LetsOneInAtATimeInTheOrderTheyCame) {
  async::Mutex mutex;
  std::vector<int> order;
  const auto worker = [](async::Mutex& m, std::vector<int>& out, int id) -> Task<void> {
    auto guard = co_await m.lock();
    out.push_back(id);
    co_await async::sleep(1ms);
    out.push_back(id);
  };
  run(async::all(worker(mutex, order, 1), worker(mutex, order, 2), worker(mutex, order, 3)));
  EXPECT_EQ(order, (std::vector<int>{1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(mutex.stats().waited, 2U);
}

TEST(Semaphore, IsGivenBackWhenAWaiterIsCancelled) {
  async::Semaphore semaphore{1};
  run([](async::Semaphore& s) -> Task<void> {
    auto held = co_await s.acquire();
    const auto want = [](async::Semaphore& wanted) -> Task<void> { auto permit = co_await wanted.acquire(); };
    EXPECT_THROW(co_await async::timeout(1ms, want(s)), DeadlineExceeded);
    EXPECT_EQ(s.stats().waiting, 0U);
    held = async::Permit{};
    EXPECT_TRUE(s.try_acquire());
  }(semaphore));
}

TEST(Semaphore, WorksBetweenLoops) {
  async::Runtime runtime{3};
  async::Semaphore semaphore{1};
  int counter = 0;
  runtime.run([](async::Runtime& r, async::Semaphore& s, int& count) -> Task<void> {
    const auto work = [](async::Semaphore& sem, int& c) -> Task<void> {
      for (int i = 0; i < 500; ++i) {
        auto permit = co_await sem.acquire();
        const int seen = c;
        if (i % 50 == 0) co_await async::sleep(0ms);
        c = seen + 1;
      }
    };
    std::vector<Task<void>> tasks;
    for (unsigned i = 0; i < r.size(); ++i) tasks.push_back(async::run_on(r.loop(i), work(s, count)));
    co_await async::all(std::move(tasks));
  }(runtime, semaphore, counter));
  EXPECT_EQ(counter, 1500);
}

TEST(Event, LetsAllWaitersThrough) {
  async::Event event;
  int through = 0;
  const auto waiter = [](async::Event& e, int& n) -> Task<void> {
    co_await e.wait();
    ++n;
  };
  const auto setter = [](async::Event& e) -> Task<void> {
    co_await async::sleep(1ms);
    e.set();
  };
  run(async::all(waiter(event, through), waiter(event, through), setter(event)));
  EXPECT_EQ(through, 2);
}

TEST(Channel, PassesItemsInOrderAndHoldsSendersBackWhenFull) {
  async::Channel<int> channel{2};
  std::vector<int> got;
  const auto producer = [](async::Channel<int>& c) -> Task<void> {
    for (int i = 0; i < 20; ++i) {
      co_await c.send(i);
      EXPECT_LE(c.size(), c.capacity());
    }
    c.close();
  };
  const auto consumer = [](async::Channel<int>& c, std::vector<int>& out) -> Task<void> {
    while (auto item = co_await c.receive()) {
      out.push_back(*item);
      if (out.size() % 5 == 0) co_await async::sleep(1ms);
    }
  };
  run(async::all(producer(channel), consumer(channel, got)));
  ASSERT_EQ(got.size(), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
}

TEST(Channel, RefusesSendersOnceClosed) {
  async::Channel<int> channel{1};
  channel.close();
  EXPECT_FALSE(channel.try_send(1));
  EXPECT_THROW(run([](async::Channel<int>& c) -> Task<void> { co_await c.send(1); }(channel)), Unavailable);
}

TEST(Channel, LosesNothingBetweenLoops) {
  async::Runtime runtime{3};
  async::Channel<int> channel{4};
  std::atomic<int> sum{0};
  runtime.run([](async::Runtime& r, async::Channel<int>& c, std::atomic<int>& total) -> Task<void> {
    const auto consumer = [](async::Channel<int>& ch, std::atomic<int>& t) -> Task<void> {
      while (auto item = co_await ch.receive()) t += *item;
    };
    const auto producer = [](async::Channel<int>& ch) -> Task<void> {
      for (int i = 1; i <= 1000; ++i) co_await ch.send(i);
      ch.close();
    };
    co_await async::all(async::run_on(r.loop(1), consumer(c, total)), async::run_on(r.loop(2), consumer(c, total)),
                        producer(c));
  }(runtime, channel, sum));
  EXPECT_EQ(sum, 500500);
}

TEST(Offload, GivesTheResultBackOnTheLoop) {
  run([]() -> Task<void> {
    const auto here = std::this_thread::get_id();
    const auto there = co_await async::offload([] { return std::this_thread::get_id(); });
    EXPECT_NE(there, here);
    EXPECT_EQ(std::this_thread::get_id(), here);
  }());
}

TEST(Offload, CarriesExceptions) {
  EXPECT_THROW(run([]() -> Task<void> { co_await async::offload([] { throw std::runtime_error("blocked"); }); }()),
               std::runtime_error);
}

TEST(Offload, RefusesWorkBeyondItsQueue) {
  std::atomic<bool> release{false};
  std::atomic<int> refused{0};
  run([](std::atomic<bool>& go, std::atomic<int>& no) -> Task<void> {
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 1200; ++i) {
      tasks.push_back([](std::atomic<bool>& g, std::atomic<int>& n) -> Task<void> {
        try {
          co_await async::offload([&] {
            while (!g) std::this_thread::yield();
          });
        } catch (const Unavailable&) {
          ++n;
          g = true;
        }
      }(go, no));
    }
    co_await async::all(std::move(tasks));
  }(release, refused));
  EXPECT_GT(refused, 0);
}

}  // namespace
