// Reads JSON text (RFC 8259) from left to right without building anything: the reader fills structs straight from it.
// The caller has checked that the text is UTF-8.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ashlar::schema::detail {

#if defined(__SSE2__)
/// Of 16 bytes: one bit for each that is a quote, a backslash or a control character.
inline unsigned special_bits(__m128i bytes) noexcept {
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1F);
  return static_cast<unsigned>(
      _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                     _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes))));
}
#endif

/// The first byte in [p, end) that is a quote, a backslash or a control character; or end. `begin`: of the text around.
inline const char* find_special(const char* p, const char* end, [[maybe_unused]] const char* begin) noexcept {
#if defined(__SSE2__)
  for (; end - p >= 16; p += 16) {
    if (const unsigned bits = special_bits(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); bits != 0) {
      return p + std::countr_zero(bits);
    }
  }
  if (end - begin >= 16) {  // the last sixteen, without those before p
    const unsigned bits = special_bits(_mm_loadu_si128(reinterpret_cast<const __m128i*>(end - 16))) >> (16 - (end - p));
    return bits != 0 ? p + std::countr_zero(bits) : end;
  }
#endif
  while (p != end && *p != '"' && *p != '\\' && static_cast<unsigned char>(*p) >= 0x20) ++p;
  return p;
}

struct RawString {
  std::string_view text;  // between the quotes
  bool escaped = false;   // holds backslashes
};

struct Number {
  std::string_view text;
  std::uint64_t digits = 0;   // all digits as one number, when there are at most 19
  std::int32_t exponent = 0;  // value = digits × 10^exponent
  bool negative = false;
  bool whole = true;   // neither point nor exponent
  bool large = false;  // more than 19 digits: `digits` is of no use

  [[nodiscard]] double to_double() const noexcept;
};

/// digits / 10^decimals, negated or not; `end` is where it ends, or null when there is none.
struct PlainNumber {
  const char* end = nullptr;
  std::uint64_t digits = 0;  // up to 18
  std::uint32_t decimals = 0;
  bool negative = false;
  bool whole = true;  // no point
};

inline constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
inline constexpr std::uint64_t kLargestExact = std::uint64_t{1} << 53;  // all whole numbers up to it are doubles

inline constexpr int kMaxDepth = 64;

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) noexcept
      : begin(text.data()),
        p(text.data()),
        end(text.data() + text.size()),
        closed(!text.empty() && (text.back() == '}' || text.back() == ']' || text.back() == '\n')) {}

  const char* begin;
  const char* p;
  const char* end;
  bool closed;                    // the last byte is of no number, so every number ends before the text does
  const char* problem = nullptr;  // why the text is no JSON; static text
  const char* problem_at = nullptr;

  [[gnu::cold, gnu::noinline]] bool fail(const char* why, const char* at = nullptr) noexcept {
    if (!problem) {
      problem = why;
      problem_at = at ? at : p;
    }
    return false;
  }
  [[gnu::cold, gnu::noinline]] bool fail_value() noexcept {
    return fail(p == end ? "EOF while parsing a value" : "expected value");
  }

  void skip_space() noexcept {
    while (p != end && static_cast<unsigned char>(*p) <= ' ') {
      if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t') return;
      ++p;
    }
  }
  [[nodiscard]] char peek() const noexcept { return p == end ? '\0' : *p; }
  bool take(char c) noexcept {
    if (p == end || *p != c) return false;
    ++p;
    return true;
  }

  /// At the opening quote. False: no JSON.
  bool read_string(RawString& out) noexcept {
    const char* start = ++p;
    const char* at = find_special(p, end, begin);
    if (at != end && *at == '"') [[likely]] {
      out = {{start, static_cast<std::size_t>(at - start)}, false};
      p = at + 1;
      return true;
    }
    return read_escaped_string(start, at, out);
  }
  // What nearly all values are. Each of these looks at `at` and gives where the value ends; null when it is another,
  // and nothing has been done. They leave `p` to the caller, who keeps it at hand.
  /// A string of up to 15 bytes without escapes, not among the last of the text: found and stored by the same load.
  const char* take_short_string(const char* at, std::string& into) const;
  /// The same for 16 to 31 bytes: found by two loads, stored by two that overlap.
  const char* take_medium_string(const char* at, std::string& into) const;
  /// A number of up to 18 digits without an exponent.
  [[nodiscard]] PlainNumber plain_number(const char* at) const noexcept;
  bool read_number(Number& out) noexcept;
  bool read_word(std::string_view word) noexcept {  // true, false, null
    if (static_cast<std::size_t>(end - p) < word.size() || std::memcmp(p, word.data(), word.size()) != 0) {
      return fail_value();
    }
    p += word.size();
    return true;
  }
  /// Passes over one value and checks it on the way.
  bool skip_value(int depth) noexcept;

  /// Between members and elements: true with `more` when a comma came, false `more` at the closing bracket.
  bool next_item(char close, bool& more) noexcept {
    skip_space();
    if (p != end && *p == ',') {
      ++p;
      skip_space();
      more = true;
      if (p != end && *p == close) return fail("trailing comma");
      return true;
    }
    if (p != end && *p == close) {
      ++p;
      more = false;
      return true;
    }
    return fail(p == end ? (close == '}' ? "EOF while parsing an object" : "EOF while parsing a list")
                         : (close == '}' ? "expected `,` or `}`" : "expected `,` or `]`"));
  }
  bool read_colon() noexcept {
    skip_space();
    if (!take(':')) return fail(p == end ? "EOF while parsing an object" : "expected `:`");
    skip_space();
    return true;
  }
  bool finish() noexcept {
    skip_space();
    return p == end || fail("trailing characters");
  }

 private:
  bool read_escaped_string(const char* start, const char* at, RawString& out) noexcept;
};

[[clang::always_inline]] inline const char* JsonScanner::take_short_string(const char* at,
                                                                           [[maybe_unused]] std::string& into) const {
#if defined(__SSE2__)
  if (end - at > 16 && *at == '"') [[likely]] {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1));
    const unsigned bits = special_bits(bytes);
    if (bits == 0) return nullptr;
    const auto size = static_cast<std::size_t>(std::countr_zero(bits));
    if (at[1 + size] == '"') [[likely]] {
      // A string holds 15 characters and a null without memory of its own, so there is room for the 16 bytes.
      if (into.capacity() < size) std::unreachable();
      [[clang::always_inline]] into.resize_and_overwrite(size, [&](char* to, std::size_t) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
        return size;
      });
      return at + size + 2;
    }
  }
#endif
  return nullptr;
}

[[clang::always_inline]] inline PlainNumber JsonScanner::plain_number(const char* at) const noexcept {
  if (!closed || at == end) return {};
  std::uint64_t digits = 0;
  const auto take_digits = [&]() noexcept {  // which end before the text does, as it is closed
    const char* const from = at;
    for (std::uint64_t digit; (digit = static_cast<unsigned char>(*at) - std::uint64_t{'0'}) <= 9; ++at) {
      digits = digits * 10 + digit;
    }
    return at - from;
  };
  const bool negative = *at == '-';
  at += negative;
  const char* const first = at;
  const auto before = take_digits();
  if (before == 0 || (*first == '0' && before > 1)) return {};
  const bool whole = *at != '.';
  std::ptrdiff_t decimals = 0;
  if (!whole) {
    ++at;
    decimals = take_digits();
    if (decimals == 0) return {};
  }
  if (before + decimals > 18 || (*at | 32) == 'e') return {};
  return {at, digits, static_cast<std::uint32_t>(decimals), negative, whole};
}

/// Resolves the escapes of a string that the scanner has accepted.
void unescape(std::string_view raw, std::string& out);

/// Line and column (in bytes), both from 1.
struct Place {
  std::uint32_t line, column;
};
Place place_of(std::string_view document, const char* at) noexcept;

}  // namespace ashlar::schema::detail
