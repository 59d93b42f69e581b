// How often something may happen: so many times at once, then so many a second.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <ashlar/async/context.hpp>

namespace ashlar::http::detail {

class TokenBucket {
 public:
  TokenBucket(std::uint32_t burst, std::uint32_t per_second) noexcept
      : tokens_(burst), burst_(burst), per_second_(per_second) {}

  /// False: too often.
  [[nodiscard]] bool take(async::TimePoint now) noexcept {
    if (tokens_ < 1) refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  /// Earned otherwise than by waiting.
  void give(std::uint32_t more) noexcept { tokens_ = std::min<double>(tokens_ + more, burst_); }

 private:
  // The first call comes long after the start for a good client: it has then earned a whole burst.
  void refill(async::TimePoint now) noexcept {
    const double seconds = std::chrono::duration<double>(now - refilled_).count();
    refilled_ = now;
    tokens_ = std::min<double>(tokens_ + seconds * per_second_, burst_);
  }

  double tokens_;
  double burst_;
  double per_second_;
  async::TimePoint refilled_ = async::Clock::now();
};

}  // namespace ashlar::http::detail
