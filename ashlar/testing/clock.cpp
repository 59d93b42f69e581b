#include <ashlar/testing/clock.hpp>

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>

#include <ashlar/async/runtime.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/async/waiter.hpp>
#include <ashlar/base/clock.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::testing {
namespace {

constexpr int kMostTicks = 1000;  // for tasks that never rest

class NextTick final : public async::Waiter {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspend(handle, async::Cancellable::no);
    wake();
  }
  void await_resume() const noexcept {}

 private:
  void on_cancel() noexcept override {}
};

// Until everything on this loop waits: for a timer, or for the world outside.
Task<void> settle() {
  const async::LoopStats& stats = async::Loop::current().stats();
  const auto done = [&] { return stats.resumed.get() + stats.events.get(); };
  int quiet = 0;
  for (int i = 0; i < kMostTicks && quiet < 2; ++i) {
    const std::uint64_t before = done();
    co_await NextTick{};
    quiet = done() - before == 1 ? quiet + 1 : 0;  // this task alone
  }
}

}  // namespace

Clock::Clock(async::Loop& loop) noexcept : loop_(loop), system_before_(clock_shift().system) {}

Clock::~Clock() { set_clock_shift({.steady = clock_shift().steady, .system = system_before_}); }

void Clock::advance(async::Nanoseconds by) {
  if (by.count() < 0) throw Invalid("time passes forward only: set() turns the time of day back");
  if (async::Loop::current_or_null() != nullptr)
    throw Invalid("time is moved outside of tasks: this one is on the loop that would have to run");
  by += std::chrono::milliseconds{1};
  while (by.count() > 0) {
    async::run(loop_, settle());
    // Between ticks of the loop: none of them has taken the time that passes here.
    const int next = loop_.timers().next_timeout_ms(SteadyClock::now());
    const async::Nanoseconds step = next < 0 ? by : std::min<async::Nanoseconds>(by, std::chrono::milliseconds{next});
    const ClockShift shift = clock_shift();
    set_clock_shift({.steady = shift.steady + step, .system = shift.system + step});
    by -= step;
  }
  async::run(loop_, settle());
}

void Clock::set(DateTime to) {
  const ClockShift shift = clock_shift();
  const std::chrono::nanoseconds missing = to.to_chrono() - SystemClock::now();
  set_clock_shift({.steady = shift.steady, .system = shift.system + missing});
}

}  // namespace ashlar::testing
