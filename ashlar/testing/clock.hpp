// Clock: the time that an application in this process goes by, moved by its test.
#pragma once

#include <ashlar/async/context.hpp>
#include <ashlar/async/loop.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar::testing {

/// `testing::Clock clock{client}; … clock.advance(10min);` Timers, sleep(), timeouts, deadlines, tokens, rate limits,
/// caches and DateTime::now() of the whole process go by it. It goes on by itself as well, as fast as ever: what waits
/// for a real server still ends. Not moved: PostgreSQL's own now(), the `Date` that a server on a socket sends, times
/// of log lines, and what other libraries read. On the thread of the test, outside of tasks.
class Clock {
 public:
  explicit Clock(Client& client) noexcept : Clock(client.loop()) {}
  explicit Clock(async::Loop& loop) noexcept;
  /// DateTime::now() is right again. Timers and deadlines keep what has passed, for time never runs back for them.
  ~Clock();
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  /// Lets this much time pass, and a millisecond, the resolution of timers. It is done in steps from timer to timer,
  /// each with what it leads to on this loop, so that a task that does something every minute does it every minute.
  /// What a step begins with the world outside (a query, a file, `offload`) goes on afterwards: await it with
  /// Client::run. Throws Invalid when `by` is negative, and in a task.
  void advance(async::Nanoseconds by);
  /// Sets the time of day, as an administrator does: DateTime::now() and what expires at a date see it, timers and
  /// deadlines do not. Back as well.
  void set(DateTime to);
  [[nodiscard]] static DateTime now() { return DateTime::now(); }

 private:
  async::Loop& loop_;
  std::chrono::nanoseconds system_before_;
};

}  // namespace ashlar::testing
