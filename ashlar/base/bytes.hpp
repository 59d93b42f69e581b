// Raw bytes, and their forms in text: base64 (RFC 4648 section 4), base64url (section 5) and hexadecimal.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar {

/// Bytes that are not text. In JSON and text: base64 with padding.
struct Bytes : std::vector<std::uint8_t> {
  using std::vector<std::uint8_t>::vector;

  /// The bytes of `text`, as they are.
  [[nodiscard]] static Bytes copy_of(std::string_view text) { return Bytes(text.begin(), text.end()); }
  /// Base64 or base64url, with or without padding.
  [[nodiscard]] static std::optional<Bytes> parse(std::string_view base64);
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] std::string_view view() const noexcept { return {reinterpret_cast<const char*>(data()), size()}; }

  friend bool operator==(const Bytes& a, const Bytes& b) noexcept { return a.view() == b.view(); }
  friend auto operator<=>(const Bytes& a, const Bytes& b) noexcept { return a.view() <=> b.view(); }
};

[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Without padding, as in tokens and links.
[[nodiscard]] std::string base64url_encode(std::string_view bytes);
/// Strict: wrong characters, wrong length and stray bits are refused; padding may be left out. White space is refused.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);
[[nodiscard]] std::optional<std::string> base64url_decode(std::string_view text);

/// Lower case.
[[nodiscard]] std::string hex_encode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> hex_decode(std::string_view text);

/// Compares in a time that depends on the lengths only: for tokens, digests and passwords.
[[nodiscard]] bool equals_constant_time(std::string_view a, std::string_view b) noexcept;

/// Fills the buffer from the kernel's random generator (getrandom). Fit for keys.
void random_bytes(void* buffer, std::size_t size);
[[nodiscard]] std::string random_bytes(std::size_t size);

}  // namespace ashlar
