// Small text helpers: UTF-8, percent-encoding, ASCII case.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ashlar {

/// True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// The number of code points of well-formed UTF-8: what "at least 3 characters" counts.
[[nodiscard]] std::size_t utf8_length(std::string_view text) noexcept;

/// Appends one code point; what is no Unicode scalar value becomes U+FFFD.
void append_utf8(std::string& out, char32_t code_point);

/// RFC 3986: %41 → A. Empty when a % is not followed by two hexadecimal digits. The result may hold any bytes: check it
/// with is_utf8 where text is wanted. With `plus_is_space` as in forms and query strings.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

/// Encodes everything but the unreserved characters A-Z a-z 0-9 - . _ ~ (right for one path segment or query value).
[[nodiscard]] std::string percent_encode(std::string_view text);

[[nodiscard]] constexpr char to_lower_ascii(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
[[nodiscard]] constexpr char to_upper_ascii(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}
[[nodiscard]] constexpr bool is_digit_ascii(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_alpha_ascii(char c) noexcept { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/// Compares without regard to ASCII case: header names, tokens, host names.
[[nodiscard]] constexpr bool equals_ignore_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower_ascii(a[i]) != to_lower_ascii(b[i])) return false;
  }
  return true;
}

[[nodiscard]] std::string to_lower_ascii(std::string_view text);

/// Without the ASCII white space at both ends.
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;

}  // namespace ashlar
