#include <ashlar/base/clock.hpp>

#include <time.h>

#include <atomic>
#include <cassert>
#include <cstdint>

namespace ashlar {
namespace {

constinit std::atomic<std::int64_t> steady_shift{0};
constinit std::atomic<std::int64_t> system_shift{0};

std::chrono::nanoseconds read(clockid_t clock, const std::atomic<std::int64_t>& shift) noexcept {
  timespec now;
  ::clock_gettime(clock, &now);  // both are there on every Linux: it cannot fail
  return std::chrono::nanoseconds(now.tv_sec * 1'000'000'000 + now.tv_nsec + shift.load(std::memory_order_relaxed));
}

}  // namespace

SteadyClock::time_point SteadyClock::now() noexcept { return time_point(read(CLOCK_MONOTONIC, steady_shift)); }

SystemClock::time_point SystemClock::now() noexcept { return time_point(read(CLOCK_REALTIME, system_shift)); }

ClockShift clock_shift() noexcept {
  return {std::chrono::nanoseconds(steady_shift.load()), std::chrono::nanoseconds(system_shift.load())};
}

void set_clock_shift(ClockShift shift) noexcept {
  assert(shift.steady >= clock_shift().steady);
  steady_shift.store(shift.steady.count());
  system_shift.store(shift.system.count());
}

}  // namespace ashlar
