// Reads JSON text (RFC 8259) from left to right without building anything: the reader fills structs straight from it.
// The caller has checked that the text is UTF-8.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
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

/// The first byte in [p, end) that is a quote, a backslash or a control character; or end.
inline const char* find_special(const char* p, const char* end) noexcept {
#if defined(__SSE2__)
  while (end - p >= 16) {
    if (const unsigned bits = special_bits(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); bits != 0) {
      return p + std::countr_zero(bits);
    }
    p += 16;
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

inline constexpr int kMaxDepth = 64;

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) noexcept
      : begin(text.data()), p(text.data()), end(text.data() + text.size()) {}

  const char* begin;
  const char* p;
  const char* end;
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
    const char* at = find_special(p, end);
    if (at != end && *at == '"') [[likely]] {
      out = {{start, static_cast<std::size_t>(at - start)}, false};
      p = at + 1;
      return true;
    }
    return read_escaped_string(start, at, out);
  }
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

/// Resolves the escapes of a string that the scanner has accepted.
void unescape(std::string_view raw, std::string& out);

/// Line and column (in bytes), both from 1.
struct Place {
  std::uint32_t line, column;
};
Place place_of(std::string_view document, const char* at) noexcept;

}  // namespace ashlar::schema::detail
