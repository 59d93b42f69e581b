#include <ashlar/schema/detail/json_scanner.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <ashlar/base/text.hpp>

namespace ashlar::schema::detail {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if ((c | 32) >= 'a' && (c | 32) <= 'f') return (c | 32) - 'a' + 10;
  return -1;
}

// Four hexadecimal digits, or -1.
int hex4(const char* p) noexcept {
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_digit(p[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

const char* JsonScanner::take_medium_string(const char* at, [[maybe_unused]] std::string& into) const {
#if defined(__SSE2__)
  if (end - at <= 33 || *at != '"') return nullptr;
  const char* const text = at + 1;
  const auto load = [](const char* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  const __m128i head = load(text);
  const unsigned bits = special_bits(head) | special_bits(load(text + 16)) << 16;
  if (bits == 0) return nullptr;
  const auto size = static_cast<std::size_t>(std::countr_zero(bits));
  if (size < 16 || text[size] != '"') return nullptr;
  [[clang::always_inline]] into.resize_and_overwrite(size, [head, text, size, load](char* to, std::size_t) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), head);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + size - 16), load(text + size - 16));
    return size;
  });
  return text + size + 1;
#else
  return nullptr;
#endif
}

bool JsonScanner::read_escaped_string(const char* start, const char* at, RawString& out) noexcept {
  for (;;) {
    if (at == end) return fail("EOF while parsing a string", end);
    if (*at == '"') break;
    if (*at != '\\') return fail("control character (\\u0000-\\u001F) found while parsing a string", at);
    if (end - at < 2) return fail("EOF while parsing a string", end);
    switch (at[1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        at += 2;
        break;
      case 'u': {
        if (end - at < 6) return fail("EOF while parsing a string", end);
        const int unit = hex4(at + 2);
        if (unit < 0) return fail("invalid escape", at);
        if (unit >= 0xDC00 && unit <= 0xDFFF) return fail("lone trailing surrogate in hex escape", at);
        if (unit >= 0xD800 && unit <= 0xDBFF) {
          const int low = end - at >= 12 && at[6] == '\\' && at[7] == 'u' ? hex4(at + 8) : -1;
          if (low < 0xDC00 || low > 0xDFFF) return fail("lone leading surrogate in hex escape", at);
          at += 6;
        }
        at += 6;
        break;
      }
      default:
        return fail("invalid escape", at);
    }
    at = find_special(at, end, begin);
  }
  out = {{start, static_cast<std::size_t>(at - start)}, true};
  p = at + 1;
  return true;
}

void unescape(std::string_view raw, std::string& out) {
  out.clear();
  out.reserve(raw.size());
  const char* p = raw.data();
  const char* end = p + raw.size();
  while (p != end) {
    const auto* backslash = static_cast<const char*>(std::memchr(p, '\\', static_cast<std::size_t>(end - p)));
    if (!backslash) {
      out.append(p, end);
      return;
    }
    out.append(p, backslash);
    p = backslash + 2;
    switch (backslash[1]) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u': {
        auto point = static_cast<char32_t>(hex4(p));
        p += 4;
        if (point >= 0xD800 && point <= 0xDBFF) {
          point = 0x10000 + ((point - 0xD800) << 10) + (static_cast<char32_t>(hex4(p + 2)) - 0xDC00);
          p += 6;
        }
        append_utf8(out, point);
        break;
      }
      default:
        out += backslash[1];
    }
  }
}

bool JsonScanner::read_number(Number& out) noexcept {
  const char* start = p;
  const char* at = p;
  bool negative = false, whole = true;
  if (at != end && *at == '-') {
    negative = true;
    ++at;
  }
  const char* first_digit = at;
  if (at == end || !is_digit(*at)) return fail("invalid number", at);
  std::uint64_t digits = 0;
  if (*at == '0') {
    ++at;
    if (at != end && is_digit(*at)) return fail("invalid number", at);
  } else {
    while (at != end && is_digit(*at)) digits = digits * 10 + static_cast<std::uint64_t>(*at++ - '0');
  }
  auto count = at - first_digit;
  std::int64_t exponent = 0;
  if (at != end && *at == '.') {
    whole = false;
    const char* first = ++at;
    while (at != end && is_digit(*at)) digits = digits * 10 + static_cast<std::uint64_t>(*at++ - '0');
    if (at == first) return fail("invalid number", at);
    exponent = first - at;
    count += at - first;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    whole = false;
    ++at;
    bool minus = false;
    if (at != end && (*at == '+' || *at == '-')) minus = *at++ == '-';
    const char* first = at;
    std::int64_t value = 0;
    while (at != end && is_digit(*at)) {
      if (value < 1'000'000) value = value * 10 + (*at - '0');
      ++at;
    }
    if (at == first) return fail("invalid number", at);
    exponent = std::clamp<std::int64_t>(exponent + (minus ? -value : value), -2'000'000, 2'000'000);
  }
  out.text = {start, static_cast<std::size_t>(at - start)};
  out.digits = digits;
  out.exponent = static_cast<std::int32_t>(exponent);
  out.negative = negative;
  out.whole = whole;
  out.large = count > 19;
  p = at;
  return true;
}

double Number::to_double() const noexcept {
  // Both exact in binary, so one operation rounds once: Clinger, "How to read floating point numbers accurately".
  if (!large && digits <= kLargestExact && exponent >= -22 && exponent <= 22) {
    const auto value = static_cast<double>(digits);
    const double scaled = exponent < 0 ? value / kPowersOfTen[-exponent] : value * kPowersOfTen[exponent];
    return negative ? -scaled : scaled;
  }
  double value = 0;
  const auto [_, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    // Too large is infinite, too small is zero; from_chars does not say which it was.
    value = std::strtod(std::string(text).c_str(), nullptr);
  }
  return value;
}

bool JsonScanner::skip_value(int depth) noexcept {
  if (p == end) return fail_value();
  switch (*p) {
    case '"': {
      RawString unused;
      return read_string(unused);
    }
    case '{': {
      if (depth >= kMaxDepth) return fail("recursion limit exceeded");
      ++p;
      skip_space();
      if (take('}')) return true;
      for (bool more = true; more;) {
        if (peek() != '"') return fail(p == end ? "EOF while parsing an object" : "key must be a string");
        RawString unused;
        if (!read_string(unused) || !read_colon() || !skip_value(depth + 1) || !next_item('}', more)) return false;
      }
      return true;
    }
    case '[': {
      if (depth >= kMaxDepth) return fail("recursion limit exceeded");
      ++p;
      skip_space();
      if (take(']')) return true;
      for (bool more = true; more;) {
        if (!skip_value(depth + 1) || !next_item(']', more)) return false;
      }
      return true;
    }
    case 't':
      return read_word("true");
    case 'f':
      return read_word("false");
    case 'n':
      return read_word("null");
    default: {
      if (*p != '-' && !is_digit(*p)) return fail_value();
      Number unused;
      return read_number(unused);
    }
  }
}

Place place_of(std::string_view document, const char* at) noexcept {
  if (at < document.data() || at > document.data() + document.size()) return {0, 0};
  const std::string_view before = document.substr(0, static_cast<std::size_t>(at - document.data()));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const auto last = before.rfind('\n');
  return {static_cast<std::uint32_t>(lines + 1),
          static_cast<std::uint32_t>(last == std::string_view::npos ? before.size() + 1 : before.size() - last)};
}

}  // namespace ashlar::schema::detail
