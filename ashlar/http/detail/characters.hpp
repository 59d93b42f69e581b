// Which bytes may stand where in an HTTP/1.1 message, as tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ashlar::http::detail {

enum CharacterClass : std::uint8_t {
  kToken = 1,       // RFC 9110 §5.6.2
  kTargetChar = 2,  // any visible ASCII but '#', which never goes over the wire (RFC 9112 §3.2)
  kHostChar = 4,    // reg-name of RFC 3986 §3.2.2, but the percent sign
  kFieldChar = 8,   // field-content: HTAB, SP, visible, obs-text (RFC 9110 §5.5)
  kDigit = 16,
};

consteval std::array<std::uint8_t, 256> make_character_classes() {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&](std::string_view characters, std::uint8_t bits) {
    for (const char c : characters) table[static_cast<unsigned char>(c)] |= bits;
  };
  mark("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kToken | kHostChar);
  mark("!#$%&'*+-.^_`|~", kToken);
  mark("-._~!$&'()*+,;=", kHostChar);
  mark("0123456789", kDigit);
  for (std::size_t c = 0x21; c < 0x7f; ++c) {
    if (c != '#') table[c] |= kTargetChar;
  }
  for (std::size_t c = 0x20; c < 0x100; ++c) {
    if (c != 0x7f) table[c] |= kFieldChar;
  }
  table['\t'] |= kFieldChar;
  return table;
}
inline constexpr std::array<std::uint8_t, 256> kCharacterClasses = make_character_classes();

[[nodiscard]] inline bool is(char c, CharacterClass wanted) noexcept {
  return (kCharacterClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}

[[nodiscard]] inline bool all(std::string_view text, CharacterClass wanted) noexcept {
  for (const char c : text) {
    if (!is(c, wanted)) return false;
  }
  return true;
}

[[nodiscard]] inline const char* skip(const char* at, const char* end, CharacterClass wanted) noexcept {
  while (at != end && is(*at, wanted)) ++at;
  return at;
}

/// The first byte from `at` that no field value may hold: the CR that ends it, or one to refuse. `end` if there is
/// none.
[[nodiscard]] inline const char* skip_field_chars(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  const __m128i below = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // Unsigned byte <= 0x1f, but not the tab; or DEL.
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, below), bytes);
    const __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control), _mm_cmpeq_epi8(bytes, del));
    if (const int mask = _mm_movemask_epi8(bad); mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  return skip(at, end, kFieldChar);
}

[[nodiscard]] inline std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls f with each element of a comma-separated list, white space removed, empty ones left out (RFC 9110 §5.6.1).
/// Quoted strings are not looked into: for lists of tokens only.
template <class F>
void for_each_element(std::string_view list, F&& f) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (const std::string_view element = trim(list.substr(0, comma)); !element.empty()) f(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace ashlar::http::detail
