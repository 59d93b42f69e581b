// The time that the program goes by: the system's clocks, which only tests move.
#pragma once

#include <chrono>

namespace ashlar {

/// std::chrono::steady_clock, and its time points, for timers and deadlines. A call of clock_gettime(2) and an
/// addition.
struct SteadyClock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr bool is_steady = true;
  [[nodiscard]] static time_point now() noexcept;
};

/// std::chrono::system_clock, and its time points, for dates and what expires at one.
struct SystemClock {
  using duration = std::chrono::system_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::system_clock::time_point;
  static constexpr bool is_steady = false;
  [[nodiscard]] static time_point now() noexcept;
};

/// How far tests have moved the clocks of this process, on every thread: testing::Clock. Zero in a program.
struct ClockShift {
  std::chrono::nanoseconds steady{0};
  std::chrono::nanoseconds system{0};
};
[[nodiscard]] ClockShift clock_shift() noexcept;
/// Precondition: `steady` is not less than it is, for the clock is monotonic.
void set_clock_shift(ClockShift shift) noexcept;

}  // namespace ashlar
