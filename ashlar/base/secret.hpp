// A value that never prints: passwords, tokens, keys.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/base/bytes.hpp>

namespace ashlar {

/// Logs, errors, traces, JSON and settings dumps show `**********` in its place. Only `reveal()` gives the value, which
/// is easy to search for in a review. Text is wiped from memory when the secret goes.
template <class T = std::string>
class Secret {
 public:
  Secret() = default;
  explicit Secret(T value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      value_ = other.value_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      value_ = std::move(other.value_);
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  [[nodiscard]] const T& reveal() const noexcept { return value_; }
  [[nodiscard]] std::string to_string() const { return std::string(kMask); }
  static constexpr std::string_view kMask = "**********";

  /// Compares text in constant time.
  friend bool operator==(const Secret& a, const Secret& b) {
    if constexpr (requires { std::string_view(a.value_); }) {
      return equals_constant_time(a.value_, b.value_);
    } else {
      return a.value_ == b.value_;
    }
  }

 private:
  void wipe() noexcept {
    if constexpr (requires { explicit_bzero(value_.data(), value_.size()); }) {
      explicit_bzero(value_.data(), value_.size());
      value_.clear();
    }
  }

  T value_{};
};

}  // namespace ashlar
