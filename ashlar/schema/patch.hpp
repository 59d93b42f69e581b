// `Patch<T>` for partial updates: what is absent stays, what is null is cleared. `Literal<"cat">`: always the same
// text.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/schema/fixed_string.hpp>

namespace ashlar {

/// Three states: absent (the member was not sent), null, or a value.
///   struct ArticlePatch { Patch<std::string> title; Patch<std::string> subtitle; };
///   if (patch.title.has_value()) article.title = *patch.title;
template <class T>
class Patch {
 public:
  using value_type = T;

  constexpr Patch() = default;
  constexpr Patch(std::nullopt_t) : present_(true) {}                     // NOLINT
  constexpr Patch(T value) : value_(std::move(value)), present_(true) {}  // NOLINT

  [[nodiscard]] constexpr bool is_absent() const noexcept { return !present_; }
  [[nodiscard]] constexpr bool is_null() const noexcept { return present_ && !value_; }
  [[nodiscard]] constexpr bool has_value() const noexcept { return value_.has_value(); }
  /// Present at all: null or a value.
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return present_; }

  [[nodiscard]] constexpr T& value() { return value_.value(); }
  [[nodiscard]] constexpr const T& value() const { return value_.value(); }
  [[nodiscard]] constexpr T& operator*() { return *value_; }
  [[nodiscard]] constexpr const T& operator*() const { return *value_; }
  [[nodiscard]] constexpr T* operator->() { return &*value_; }
  [[nodiscard]] constexpr const T* operator->() const { return &*value_; }
  /// Null and absent both as no value.
  [[nodiscard]] constexpr const std::optional<T>& to_optional() const noexcept { return value_; }

  constexpr T& emplace() {
    present_ = true;
    return value_.emplace();
  }
  constexpr void set_null() {
    present_ = true;
    value_.reset();
  }
  constexpr void clear() {
    present_ = false;
    value_.reset();
  }
  /// Writes the value into `target` when there is one; a null only where `target` can hold it.
  template <class U>
  constexpr void apply_to(U& target) const {
    if (!present_) return;
    if constexpr (requires { target = std::nullopt; }) {
      if (value_) {
        target = *value_;
      } else {
        target = std::nullopt;
      }
    } else {
      if (value_) target = *value_;
    }
  }

  friend bool operator==(const Patch&, const Patch&) = default;

 private:
  std::optional<T> value_;
  bool present_ = false;
};

/// A member that always has this text: the tag of an alternative, a version.
template <FixedString Text>
struct Literal {
  static constexpr std::string_view kText = Text.view();
  constexpr operator std::string_view() const noexcept { return kText; }  // NOLINT
  friend bool operator==(const Literal&, const Literal&) = default;
};

}  // namespace ashlar
