// RateTable: when each client will have used nothing of its limit again. Bounded; all loops share it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/rate_limit.hpp>
#include <ashlar/async/context.hpp>
#include <ashlar/base/keyed_hash.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

/// What the limit says to one request.
struct RateDecision {
  bool allowed = true;
  std::uint32_t remaining = 0;          ///< requests that would be allowed now
  std::chrono::nanoseconds one_more{};  ///< until one more would be; of a refused request, until it would be allowed
};

class RateTable {
 public:
  explicit RateTable(RateLimitOptions options);

  [[nodiscard]] RateDecision take(std::string_view key, async::TimePoint now) noexcept;
  [[nodiscard]] const RateLimitOptions& options() const noexcept { return options_; }
  /// `"name"` and `"name";q=600;w=60`, as items of structured fields (RFC 9651).
  [[nodiscard]] std::string_view item() const noexcept { return item_; }
  [[nodiscard]] std::string_view policy() const noexcept { return policy_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return sets_.size() * kWays; }
  void count_refused() { refused_.add(); }

 private:
  // A key's place is one of the few of its set; a set is two cache lines, and a lock guards some sets.
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kLocks = 64;
  struct Set {
    std::array<std::uint64_t, kWays> hashes{};
    std::array<std::int64_t, kWays>
        used_until{};  // steady clock, ns: the "theoretical arrival time"; past: as good as new
  };
  struct alignas(64) Lock {
    std::mutex mutex;
  };

  RateLimitOptions options_;
  std::string item_;
  std::string policy_;
  std::int64_t interval_;  // between two requests at the allowed rate
  std::int64_t depth_;     // how far ahead of now a client may be
  KeyedHash hash_;
  std::vector<Set> sets_;  // a power of two
  std::unique_ptr<std::array<Lock, kLocks>> locks_;
  metrics::Counter refused_;
  metrics::Counter forgotten_;
};

}  // namespace ashlar::detail
