// Backoff: how long to wait before something that failed is tried again.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace ashlar::detail {

/// Doubles from `first` to `most` with each failure in a row. Half of it is random, so that many do not return at once.
class Backoff {
 public:
  using Duration = std::chrono::nanoseconds;
  Backoff(Duration first, Duration most) noexcept : first_(first), most_(std::max(first, most)) {}

  /// After one more failure.
  [[nodiscard]] Duration next() {
    Duration pause = first_;
    for (unsigned i = 0; i < failures_ && pause < most_; ++i) pause *= 2;
    ++failures_;
    pause = std::min(pause, most_);
    return pause / 2 + Duration(std::uniform_int_distribution<Duration::rep>(0, (pause / 2).count())(random_));
  }
  /// It worked for so long that the next failure is the first.
  void reset() noexcept { failures_ = 0; }
  [[nodiscard]] unsigned failures() const noexcept { return failures_; }

 private:
  Duration first_;
  Duration most_;
  unsigned failures_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace ashlar::detail
