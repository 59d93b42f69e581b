#include <ashlar/schema/detail/json_cursor.hpp>

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

namespace ashlar::schema::detail {
namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

constexpr std::uint32_t kNothing[3] = {0, 0, 0};  // the tokens of a document that could not be read

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Four hexadecimal digits at `at`, or -1.
int read_hex4(std::string_view text, std::size_t at) noexcept {
  if (text.size() < at + 4) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// The offset of the first byte that is not UTF-8 (RFC 3629), or size.
std::size_t first_invalid_utf8(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(at);
    std::size_t length = 1;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (lead >= 0x80) {
      if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
      } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;  // surrogates
      } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
      } else {
        return at;
      }
      if (at + length > text.size()) return at;
      if (byte(at + 1) < low || byte(at + 1) > high) return at;
      for (std::size_t i = at + 2; i < at + length; ++i) {
        if (byte(i) < 0x80 || byte(i) > 0xBF) return at;
      }
    }
    at += length;
  }
  return at;
}

// The first control character inside a string, and where the last string that is not closed began.
struct StringFaults {
  std::size_t control = std::string_view::npos;
  std::size_t unclosed = std::string_view::npos;
};
StringFaults find_string_faults(std::string_view text) noexcept {
  StringFaults faults;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (faults.unclosed == std::string_view::npos) {
      if (c == '"') faults.unclosed = at;
    } else if (c == '\\') {
      ++at;
    } else if (c == '"') {
      faults.unclosed = std::string_view::npos;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      faults.control = std::min(faults.control, at);
    }
  }
  return faults;
}

}  // namespace

struct JsonCursor::Index {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  std::size_t capacity = 0;
};

// One index is kept a thread for the next document; a second one is only needed while documents nest.
struct JsonCursor::Pool {
  static constexpr std::size_t kKeepUpTo = std::size_t{1} << 20;
  std::unique_ptr<Index> spare;
  static Pool& mine() {
    thread_local Pool pool;
    return pool;
  }
};

JsonCursor::JsonCursor(std::string_view json)
    : bytes_(json.data()), size_(json.size()), token_(kNothing), end_(kNothing) {
  constexpr std::size_t kSmallest = 16 * 1024;
  index_ = std::move(Pool::mine().spare);
  if (index_ == nullptr) index_ = std::make_unique<Index>();
  if (index_->capacity < size_ || index_->parser == nullptr) {
    const std::size_t capacity = std::max(std::bit_ceil(size_), kSmallest);
    if (size_ >= std::numeric_limits<std::uint32_t>::max() ||
        simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, kMaxDepth, index_->parser) !=
            simdjson::SUCCESS) {
      index_.reset();
      problem_ = {"the document is too large", 0};
      return;
    }
    index_->capacity = capacity;
  }
  auto& parser = *index_->parser;
  const auto error =
      parser.stage1(reinterpret_cast<const std::uint8_t*>(json.data()), json.size(), simdjson::stage1_mode::regular);
  if (error != simdjson::SUCCESS) {
    refuse(error);
    return;
  }
  token_ = parser.structural_indexes.get();
  end_ = token_ + parser.n_structural_indexes;
  has_escapes_ = std::memchr(bytes_, '\\', size_) != nullptr;
}

JsonCursor::~JsonCursor() {
  if (index_ != nullptr && index_->capacity <= Pool::kKeepUpTo) Pool::mine().spare = std::move(index_);
}

void JsonCursor::refuse(int simdjson_error) noexcept {
  const std::string_view text(bytes_, std::exchange(size_, 0));  // from here on there is nothing to read
  switch (simdjson_error) {
    case simdjson::EMPTY:
      problem_ = {"the document is empty", 0};
      return;
    case simdjson::UTF8_ERROR:
      problem_ = {"invalid UTF-8", first_invalid_utf8(text)};
      return;
    default:
      break;
  }
  const StringFaults faults = find_string_faults(text);
  if (faults.control != std::string_view::npos) {
    problem_ = {"a control character in a string must be escaped", faults.control};
  } else if (faults.unclosed != std::string_view::npos) {
    problem_ = {"a string is not closed", faults.unclosed};
  } else {
    problem_ = {"malformed document", 0};
  }
}

bool JsonCursor::fail(std::string_view message) noexcept {
  if (problem_.message.empty()) problem_ = {message, std::min<std::size_t>(*token_, size_)};
  // From here on there is nothing to read: `first` gives '\0'.
  size_ = 0;
  token_ = end_ = kNothing;
  return false;
}

std::string_view JsonCursor::unescape(std::string_view raw, std::string& scratch) {
  std::size_t at = raw.find('\\');
  if (at == std::string_view::npos) {
    ++token_;
    return raw;
  }
  scratch.assign(raw, 0, at);
  while (at < raw.size()) {
    if (raw[at] != '\\') {
      const std::size_t next = std::min(raw.find('\\', at), raw.size());
      scratch.append(raw, at, next - at);
      at = next;
      continue;
    }
    const char c = raw[at + 1];  // stage 1 has seen that the closing quote is not the escaped character
    at += 2;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        scratch += c;
        break;
      case 'b':
        scratch += '\b';
        break;
      case 'f':
        scratch += '\f';
        break;
      case 'n':
        scratch += '\n';
        break;
      case 'r':
        scratch += '\r';
        break;
      case 't':
        scratch += '\t';
        break;
      case 'u': {
        const int unit = read_hex4(raw, at);
        if (unit < 0) return fail("expected four hexadecimal digits after \\u"), std::string_view{};
        at += 4;
        char32_t code = static_cast<char32_t>(unit);
        if (code >= 0xD800 && code < 0xE000) {
          const bool pair = code < 0xDC00 && raw.size() >= at + 6 && raw[at] == '\\' && raw[at + 1] == 'u';
          const int low = pair ? read_hex4(raw, at + 2) : -1;
          if (low < 0xDC00 || low >= 0xE000) return fail("a surrogate without its other half"), std::string_view{};
          code = 0x10000 + ((code - 0xD800) << 10) + static_cast<char32_t>(low - 0xDC00);
          at += 6;
        }
        append_utf8(scratch, code);
        break;
      }
      default:
        return fail("an escape that JSON does not have"), std::string_view{};
    }
  }
  ++token_;
  return scratch;
}

JsonNumber JsonCursor::number() noexcept {
  const char* const begin = bytes_ + *token_;
  const char* const limit = token_limit();
  const char* at = begin;
  const bool minus = *at == '-';
  if (minus) ++at;
  const char* const digits = at;
  std::uint64_t value = 0;
  while (at != limit && is_digit(*at)) value = value * 10 + static_cast<std::uint64_t>(*at++ - '0');
  const auto count = at - digits;
  if (count == 0) return fail("expected a digit"), JsonNumber{};
  if (count > 1 && *digits == '0') return fail("a number must not begin with 0"), JsonNumber{};
  bool real = false;
  if (at != limit && *at == '.') {
    real = true;
    const char* const fraction = ++at;
    while (at != limit && is_digit(*at)) ++at;
    if (at == fraction) return fail("expected a digit after the decimal point"), JsonNumber{};
  }
  if (at != limit && (*at == 'e' || *at == 'E')) {
    real = true;
    ++at;
    if (at != limit && (*at == '+' || *at == '-')) ++at;
    const char* const exponent = at;
    while (at != limit && is_digit(*at)) ++at;
    if (at == exponent) return fail("expected a digit in the exponent"), JsonNumber{};
  }
  JsonNumber number;
  number.text = {begin, static_cast<std::size_t>(at - begin)};
  for (; at != limit; ++at) {
    if (!is_space(*at)) return fail("a malformed number"), JsonNumber{};
  }
  ++token_;
  if (real) {
    number.kind = JsonNumber::Kind::real;
    return number;
  }
  if (count > 18) [[unlikely]] {  // may have overflowed
    if (std::from_chars(digits, digits + count, value).ec != std::errc{}) {
      number.kind = JsonNumber::Kind::big;
      return number;
    }
  }
  constexpr std::uint64_t kLowest = std::uint64_t{1} << 63;
  if (!minus || value == 0) {
    number.natural = value;
  } else if (value <= kLowest) {
    number.kind = JsonNumber::Kind::negative;
    number.negative = static_cast<std::int64_t>(~value + 1);
  } else {
    number.kind = JsonNumber::Kind::big;
  }
  return number;
}

double JsonNumber::to_double() const noexcept {
  if (kind == Kind::natural) return text.starts_with('-') ? -0.0 : static_cast<double>(natural);
  if (kind == Kind::negative) return static_cast<double>(negative);
  // Clinger's fast path: with at most 15 digits and 22 decimal places both operands are exact, so one division rounds
  // correctly (https://doi.org/10.1145/93542.93557).
  static constexpr std::array<double, 23> kPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (text.size() <= 16) {
    std::uint64_t digits = 0;
    std::size_t places = 0;
    bool after_point = false;
    bool simple = true;
    for (std::size_t i = text[0] == '-' ? 1 : 0; i < text.size(); ++i) {
      if (is_digit(text[i])) {
        digits = digits * 10 + static_cast<std::uint64_t>(text[i] - '0');
        if (after_point) ++places;
      } else if (text[i] == '.') {
        after_point = true;
      } else {
        simple = false;
        break;
      }
    }
    if (simple && digits < (std::uint64_t{1} << 53)) {
      const double value = static_cast<double>(digits) / kPowers[places];
      return text[0] == '-' ? -value : value;
    }
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    // Too large or too small: from_chars does not say which, strtod does.
    value = std::strtod(std::string(text).c_str(), nullptr);
  }
  return value;
}

bool JsonCursor::literal(std::string_view word) noexcept {
  const char* const limit = token_limit();
  const char* at = bytes_ + *token_;
  if (static_cast<std::size_t>(limit - at) < word.size() || std::memcmp(at, word.data(), word.size()) != 0) {
    return fail("expected true, false or null");
  }
  for (at += word.size(); at != limit; ++at) {
    if (!is_space(*at)) return fail("expected true, false or null");
  }
  ++token_;
  return true;
}

bool JsonCursor::boolean() noexcept { return first() == 't' ? literal("true") : (literal("false"), false); }

void JsonCursor::null() noexcept { literal("null"); }

std::string_view JsonCursor::skip() {
  const char* const begin = bytes_ + *token_;
  std::bitset<kMaxDepth> in_object;  // by depth: what the containers around are
  unsigned depth = 0;
  std::string scratch;
  while (true) {
    bool entered = false;
    switch (kind()) {
      case JsonKind::object:
      case JsonKind::array: {
        if (depth == kMaxDepth) return fail("nested too deeply"), std::string_view{};
        const bool object = kind() == JsonKind::object;
        entered = object ? begin_object() : begin_array();
        if (entered) in_object[depth++] = object;
        break;
      }
      case JsonKind::string:
        read_string(scratch);
        break;
      case JsonKind::number:
        number();
        break;
      case JsonKind::boolean:
        boolean();
        break;
      case JsonKind::null:
        null();
        break;
      case JsonKind::invalid:
        return fail("expected a value"), std::string_view{};
    }
    while (!entered) {  // the value is behind us: go on in the container around it, or leave it
      if (failed()) return {};
      if (depth == 0) {
        const char* end = bytes_ + token_[-1];  // the last token of the value
        switch (*end) {
          case '}':
          case ']':
            ++end;
            break;
          default:
            end = bytes_ + *token_;
            while (is_space(end[-1])) --end;
        }
        return {begin, static_cast<std::size_t>(end - begin)};
      }
      entered = in_object[depth - 1] ? next_member() : next_element();
      if (!entered) --depth;
    }
    if (in_object[depth - 1]) key();
  }
}

JsonPlace locate(std::string_view json, std::size_t offset) noexcept {
  JsonPlace place;
  for (const char c : json.substr(0, offset)) {
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      ++place.column;
    }
  }
  return place;
}

}  // namespace ashlar::schema::detail
