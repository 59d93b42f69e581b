// A string literal as a template argument: `Path<"slug">`, `pattern{"^[a-z]+$"}`.
#pragma once

#include <cstddef>
#include <string_view>

namespace ashlar {

template <std::size_t N>
struct FixedString {
  char text[N]{};

  consteval FixedString(const char (&literal)[N]) {  // NOLINT: a literal is meant to convert
    for (std::size_t i = 0; i < N; ++i) text[i] = literal[i];
  }
  [[nodiscard]] constexpr std::string_view view() const noexcept { return {text, N - 1}; }
  constexpr operator std::string_view() const noexcept { return view(); }  // NOLINT
  [[nodiscard]] constexpr std::size_t size() const noexcept { return N - 1; }
  auto operator<=>(const FixedString&) const = default;
};

}  // namespace ashlar
