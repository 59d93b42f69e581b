// A number that one thread counts and others read.
#pragma once

#include <atomic>
#include <cstdint>

namespace ashlar {

/// One writer: adding is a plain addition, not a locked one. Any thread may read it.
class StatNumber {
 public:
  StatNumber() noexcept = default;
  StatNumber(std::uint64_t value) noexcept : value_(value) {}  // NOLINT: meant to be implicit
  StatNumber(const StatNumber& other) noexcept : value_(other.get()) {}
  StatNumber& operator=(const StatNumber& other) noexcept {
    set(other.get());
    return *this;
  }
  [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(std::uint64_t more = 1) noexcept { set(get() + more); }
  void subtract(std::uint64_t less = 1) noexcept { set(get() - less); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace ashlar
