#include <ashlar/async/task.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/runtime.hpp>

using namespace ashlar;

static_assert(std::is_nothrow_move_constructible_v<Task<int>>);
static_assert(!std::is_copy_constructible_v<Task<int>>);
static_assert(sizeof(Task<int>) == sizeof(void*));

namespace {

Task<int> answer() { co_return 42; }
Task<std::unique_ptr<int>> boxed() { co_return std::make_unique<int>(7); }
Task<int&> reference(int& value) { co_return value; }
Task<void> failing() {
  throw std::runtime_error("no");
  co_return;
}
Task<int> deep(int levels) { co_return levels == 0 ? 0 : 1 + co_await deep(levels - 1); }

TEST(Task, GivesItsValueToWhoAwaitsIt) { EXPECT_EQ(async::run(answer()), 42); }

TEST(Task, CarriesMoveOnlyValues) { EXPECT_EQ(*async::run(boxed()), 7); }

TEST(Task, CarriesReferences) {
  int value = 1;
  async::run([](int& v) -> Task<void> {
    int& r = co_await reference(v);
    r = 5;
  }(value));
  EXPECT_EQ(value, 5);
}

TEST(Task, CarriesExceptions) { EXPECT_THROW(async::run(failing()), std::runtime_error); }

TEST(Task, DoesNotGrowTheStackWhenTasksEndSynchronously) {
  const auto loop = [](int rounds) -> Task<int> {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) sum += co_await answer();
    co_return sum;
  };
  EXPECT_EQ(async::run(loop(200'000)), 200'000 * 42);
}

TEST(Task, NestsDeeply) { EXPECT_EQ(async::run(deep(1000)), 1000); }

TEST(Task, DoesNotRunBeforeItIsAwaited) {
  bool ran = false;
  async::run([](bool& flag) -> Task<void> {
    auto make = [](bool& f) -> Task<void> {
      f = true;
      co_return;
    };
    auto task = make(flag);
    EXPECT_FALSE(flag);
    co_await std::move(task);
  }(ran));
  EXPECT_TRUE(ran);
}

TEST(FramePool, ServesRepeatedTasksWithoutTheHeap) {
  async::run([]() -> Task<void> {
    for (int i = 0; i < 10; ++i) co_await answer();
    const auto before = async::frame_stats();
    for (int i = 0; i < 100; ++i) co_await answer();
    const auto after = async::frame_stats();
    EXPECT_EQ(after.allocated - before.allocated, 100U);
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
    EXPECT_EQ(after.fresh, before.fresh);
#endif
    EXPECT_EQ(after.live, before.live);
  }());
}

Generator<int> count_to(int limit) {
  for (int i = 1; i <= limit; ++i) {
    if (i == 2) co_await async::sleep(std::chrono::milliseconds(1));
    co_yield i;
  }
}
Generator<std::string> breaks() {
  co_yield std::string("one");
  throw std::runtime_error("broken");
}

TEST(Generator, YieldsAcrossSuspensions) {
  const auto sum = async::run([]() -> Task<int> {
    int total = 0;
    auto numbers = count_to(4);
    while (auto n = co_await numbers.next()) total += *n;
    EXPECT_FALSE(co_await numbers.next());
    co_return total;
  }());
  EXPECT_EQ(sum, 10);
}

TEST(Generator, RethrowsWhatItsBodyThrew) {
  async::run([]() -> Task<void> {
    auto items = breaks();
    EXPECT_EQ(co_await items.next(), "one");
    EXPECT_THROW(co_await items.next(), std::runtime_error);
  }());
}

TEST(Generator, RunsDestructorsWhenItIsDroppedHalfWay) {
  auto guard = std::make_shared<int>(0);
  async::run([](std::weak_ptr<int> watched, std::shared_ptr<int> held) -> Task<void> {
    auto endless = [](std::shared_ptr<int> value) -> Generator<int> {
      for (;;) co_yield (*value)++;
    };
    {
      auto items = endless(std::move(held));
      co_await items.next();
      EXPECT_EQ(watched.use_count(), 2);
    }
    EXPECT_EQ(watched.use_count(), 1);
  }(guard, guard));
}

}  // namespace
