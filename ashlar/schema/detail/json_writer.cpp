// The one writer of described types as JSON.
#include <simdjson.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace detail {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// '\0': as it is; 'u': \u00XX; else the letter after the backslash.
constexpr auto kEscapes = [] {
  std::array<char, 256> table{};
  for (std::size_t i = 0; i < 0x20; ++i) table[i] = 'u';
  table['"'] = '"';
  table['\\'] = '\\';
  table['\b'] = 'b';
  table['\f'] = 'f';
  table['\n'] = 'n';
  table['\r'] = 'r';
  table['\t'] = 't';
  return table;
}();

constexpr auto kPairs = [] {
  std::array<char, 200> table{};
  for (std::size_t i = 0; i < 100; ++i) {
    table[2 * i] = static_cast<char>('0' + i / 10);
    table[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return table;
}();

char* write_unsigned(char* p, std::uint64_t value) {
  char digits[20];
  char* at = digits + sizeof digits;
  while (value >= 100) {
    at -= 2;
    std::memcpy(at, &kPairs[value % 100 * 2], 2);
    value /= 100;
  }
  if (value >= 10) {
    at -= 2;
    std::memcpy(at, &kPairs[value * 2], 2);
  } else {
    *--at = static_cast<char>('0' + value);
  }
  const auto size = static_cast<std::size_t>(digits + sizeof digits - at);
  std::memcpy(p, at, size);
  return p + size;
}

template <class Word>
Word load(const char* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// Has the word a byte that a JSON string cannot hold as it is (a quote, a backslash, a control character), or one that
// is not ASCII and must be looked at? https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord
template <class Word>
bool needs_a_look(Word word) noexcept {
  constexpr Word kOnes = static_cast<Word>(0x0101010101010101);
  constexpr Word kHighs = static_cast<Word>(0x8080808080808080);
  const Word quote = word ^ (kOnes * '"');
  const Word backslash = word ^ (kOnes * '\\');
  return (((word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes) | word) & kHighs) != 0;
}

// Copies a text of 4 to 15 bytes by two words that overlap. False: it needs a look.
template <class Word>
bool copy_plain(std::string_view text, char* to) noexcept {
  const auto head = load<Word>(text.data());
  const auto tail = load<Word>(text.data() + text.size() - sizeof(Word));
  if (needs_a_look(head) || needs_a_look(tail)) return false;
  std::memcpy(to, &head, sizeof head);
  std::memcpy(to + text.size() - sizeof(Word), &tail, sizeof tail);
  return true;
}

// Writes into the string's own memory by plain pointers; the string gets its length at the end.
class Output {
 public:
  explicit Output(std::string& out) : out_(out) {
    const std::size_t size = out.size();
    take_over(std::max(out.capacity(), size + 64), size);
  }
  ~Output() { out_.resize(static_cast<std::size_t>(p - out_.data())); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  char* p;

  void need(std::size_t size) {
    if (static_cast<std::size_t>(end_ - p) < size) [[unlikely]]
      grow(size);
  }
  void put(char c) {
    need(1);
    *p++ = c;
  }
  void raw(std::string_view text) {
    need(text.size());
    std::memcpy(p, text.data(), text.size());
    p += text.size();
  }
  void string(std::string_view text);
  /// The same; it is known how many bytes behind a short one may be read.
  void string(const std::string& text) {
#if defined(__SSE2__)
    if (text.size() < 16 && short_string(text)) [[likely]]
      return;
#endif
    string(std::string_view(text));
  }

  /// What has been written, as a string again; for functions that append to one. Call resume() after.
  std::string& as_string() {
    out_.resize(static_cast<std::size_t>(p - out_.data()));
    return out_;
  }
  void resume() {
    const std::size_t size = out_.size();
    take_over(out_.capacity(), size);
  }

 private:
  void take_over(std::size_t capacity, std::size_t size) {
    out_.resize_and_overwrite(capacity, [](char*, std::size_t n) { return n; });
    p = out_.data() + size;
    end_ = out_.data() + out_.size();
  }
  [[gnu::noinline]] void grow(std::size_t size) {
    const auto used = static_cast<std::size_t>(p - out_.data());
    out_.resize(used);  // so that growing copies no more than was written
    take_over(std::max(used * 2, used + size + 64), used);
  }
  void escape(unsigned char c) {
    need(6);
    const char letter = kEscapes[c];
    *p++ = '\\';
    *p++ = letter;
    if (letter == 'u') {
      *p++ = '0';
      *p++ = '0';
      *p++ = kHex[c >> 4];
      *p++ = kHex[c & 15];
    }
  }
  bool plain_string(std::string_view text);
  bool short_string(const std::string& text);
  void checked_string(std::string_view text);
  void unchecked_string(std::string_view text);

  std::string& out_;
  char* end_;
};

bool is_ascii(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
#if defined(__SSE2__)
  __m128i all = _mm_setzero_si128();
  for (; end - at >= 16; at += 16) all = _mm_or_si128(all, _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(all));
#else
  unsigned mask = 0;
#endif
  unsigned char rest = 0;
  for (; at != end; ++at) rest |= static_cast<unsigned char>(*at);
  return mask == 0 && rest < 0x80;
}

// ASCII without a character that JSON escapes.
bool is_plain(std::string_view text) {
  for (const char c : text) {
    if (kEscapes[static_cast<unsigned char>(c)] != '\0' || static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

#if defined(__SSE2__)
// Up to 15 bytes, ASCII and nothing to escape. A string has room for 15 characters and a null wherever they are, so 16
// bytes may be loaded; those behind its end are overwritten by what follows.
inline bool Output::short_string(const std::string& text) {
  need(18);
  const std::size_t size = text.size();
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
  const unsigned odd = special_bits(bytes) | static_cast<unsigned>(_mm_movemask_epi8(bytes));
  if ((odd & ((1U << size) - 1)) != 0) [[unlikely]]
    return false;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 1), bytes);
  *p = '"';
  p[size + 1] = '"';
  p += size + 2;
  return true;
}

// 16 bytes or more, ASCII and nothing to escape: copied and looked at in one pass, the last block over the one before
// it. False: there is something to look at, and nothing is written.
bool Output::plain_string(std::string_view text) {
  need(text.size() + 2);
  const auto copied_plain = [](const char* from, char* to) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    return (special_bits(bytes) | static_cast<unsigned>(_mm_movemask_epi8(bytes))) == 0;
  };
  const std::size_t last = text.size() - 16;
  for (std::size_t at = 0; at < last; at += 16) {
    if (!copied_plain(text.data() + at, p + 1 + at)) return false;
  }
  if (!copied_plain(text.data() + last, p + 1 + last)) return false;
  *p = '"';
  p += text.size() + 2;
  p[-1] = '"';
  return true;
}
#endif

void Output::string(std::string_view text) {
  if (text.size() >= 4 && text.size() < 16) {
    need(text.size() + 2);
    if (text.size() >= 8 ? copy_plain<std::uint64_t>(text, p + 1) : copy_plain<std::uint32_t>(text, p + 1)) [[likely]] {
      *p = '"';
      p += text.size() + 2;
      p[-1] = '"';
      return;
    }
  }
#if defined(__SSE2__)
  if (text.size() >= 16 && plain_string(text)) return;
#endif
  if (is_ascii(text) || simdjson::validate_utf8(text.data(), text.size())) [[likely]] {
    unchecked_string(text);
  } else {
    checked_string(text);
  }
}

void Output::unchecked_string(std::string_view text) {
  need(text.size() + 2);
  *p++ = '"';
  const char* at = text.data();
  const char* end = at + text.size();
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1F);
  while (end - at >= 16) {
    // Copy sixteen bytes, then see whether they were all plain.
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    const __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                         _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes));
    const int mask = _mm_movemask_epi8(special);
    if (mask == 0) [[likely]] {
      p += 16;
      at += 16;
      continue;
    }
    const int plain = std::countr_zero(static_cast<unsigned>(mask));
    p += plain;
    at += plain;
    escape(static_cast<unsigned char>(*at++));
    need(static_cast<std::size_t>(end - at) + 1);
  }
#endif
  for (; at != end; ++at) {
    const auto c = static_cast<unsigned char>(*at);
    if (kEscapes[c] == '\0') [[likely]] {
      *p++ = static_cast<char>(c);
    } else {
      escape(c);
      need(static_cast<std::size_t>(end - at) + 1);
    }
  }
  *p++ = '"';
}

// Every byte that is no part of a well-formed sequence becomes U+FFFD: the output is JSON whatever a program holds.
void Output::checked_string(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size() + 16);
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (i + length <= text.size() && simdjson::validate_utf8(text.data() + i, length)) {
      repaired.append(text.substr(i, length));
      i += length;
    } else {
      repaired += kReplacement;
      ++i;
    }
  }
  unchecked_string(repaired);
}

void write(const TypeInfo& type, const void* value, Output& out);

// Numbers of everyday size with at most three decimals (prices, shares) in a tenth of the time that the general way
// takes. With at most 15 digits the decimal that reads back as this double is the only one, so what is written is the
// shortest.
bool write_short_decimal(double number, Output& out) {
  const double magnitude = std::fabs(number);
  if (!(magnitude < 1e5) || (number == 0 && std::signbit(number))) return false;
  static constexpr std::uint64_t kScales[] = {1, 10, 100, 1000};
  for (unsigned places = 0; places < 4; ++places) {
    const double scaled = magnitude * static_cast<double>(kScales[places]);
    auto digits = static_cast<std::uint64_t>(scaled);
    if (static_cast<double>(digits) != scaled || scaled / static_cast<double>(kScales[places]) != magnitude) continue;
    for (; places > 1 && digits % 10 == 0; --places) digits /= 10;  // 1.1 * 10 may be no whole number, 1.1 * 100 one
    if (number < 0) *out.p++ = '-';
    out.p = write_unsigned(out.p, digits / kScales[places]);
    *out.p++ = '.';
    const std::uint64_t fraction = digits % kScales[places];
    if (places < 2) {
      *out.p++ = static_cast<char>('0' + fraction);
    } else {
      if (places == 3) *out.p++ = static_cast<char>('0' + fraction / 100);
      std::memcpy(out.p, &kPairs[fraction % 100 * 2], 2);
      out.p += 2;
    }
    return true;
  }
  return false;
}

void write_number(const TypeInfo& type, const void* value, Output& out) {
  out.need(40);
  char* start = out.p;
  std::to_chars_result result;
  if (type.size == sizeof(float)) {
    float number;
    std::memcpy(&number, value, sizeof number);
    if (!std::isfinite(number)) return out.raw("null");
    result = std::to_chars(start, start + 40, number);
  } else {
    double number;
    std::memcpy(&number, value, sizeof number);
    if (!std::isfinite(number)) return out.raw("null");
    if (write_short_decimal(number, out)) return;
    result = std::to_chars(start, start + 40, number);
  }
  out.p = result.ptr;
  // 5.0 stays a number with a point, so that other languages read back what was meant.
  for (const char* c = start; c != out.p; ++c) {
    if (*c == '.' || *c == 'e') return;
  }
  *out.p++ = '.';
  *out.p++ = '0';
}

struct EachContext {
  const TypeInfo* type;
  Output* out;
  bool first = true;
  const ObjectState* object = nullptr;  // whose members are not written again
};

void write_entries(const TypeInfo& map, const void* value, EachContext context) {
  map.map->each(value, &context, [](void* c, std::string_view key, const void* element) {
    auto& each = *static_cast<EachContext*>(c);
    if (each.object && each.object->find(key) != each.object->members.size()) return;
    if (!each.first) each.out->put(',');
    each.first = false;
    each.out->string(key);
    each.out->put(':');
    write(*each.type, element, *each.out);
  });
}

[[gnu::noinline]] void write_rest(const ObjectState& state, const std::byte* base, bool first, Output& out) {
  const MemberState& rest = *state.rest;
  write_entries(*rest.type, base + rest.offset, {rest.type->inner, &out, first, &state});
}

void write_object(const TypeInfo& type, const void* value, Output& out, std::string_view tag_name = {}) {
  const ObjectState& state = object_state_of(type);
  const bool omit_null = type.object->options.omit_null;
  const auto* base = static_cast<const std::byte*>(value);
  char separator = '{';
  if (!tag_name.empty()) {
    const std::size_t i = state.find(tag_name);
    if (i == state.members.size()) {
      out.put('{');
      out.string(tag_name);
      out.put(':');
      out.string(state.tag);
      separator = ',';
    }
  }
  for (const MemberState& member : state.members) {
    if (!member.writable) continue;
    const void* at = base + member.offset;
    if (member.nullable) {
      if (member.type->kind == Kind::patch && member.type->optional->is_absent(at)) continue;
      if (omit_null && !member.type->optional->get(at)) continue;
    }
    // Sixteen bytes at once, of which those behind the key are overwritten by what follows.
    out.need(member.key_size + sizeof member.head);
    std::memcpy(out.p, member.head, sizeof member.head);
    if (member.key_size > sizeof member.head) [[unlikely]]
      std::memcpy(out.p + 1, member.key.data(), member.key.size());
    *out.p = std::exchange(separator, ',');
    out.p += member.key_size;
    if (member.form == Form::text) {
      out.string(*static_cast<const std::string*>(at));
    } else {
      write(*member.type, at, out);
    }
  }
  if (separator == '{') out.put('{');
  if (state.rest) [[unlikely]]
    write_rest(state, base, separator == '{', out);
  out.put('}');
}

void write_list(const TypeInfo& type, const void* value, Output& out) {
  out.put('[');
  if (type.list->data) {
    const std::size_t size = type.list->size(value);
    const auto* element = static_cast<const std::byte*>(type.list->data(value));
    for (std::size_t i = 0; i < size; ++i, element += type.inner->size) {
      if (i > 0) out.put(',');
      write(*type.inner, element, out);
    }
  } else {
    EachContext context{type.inner, &out};
    type.list->each(value, &context, [](void* c, const void* element) {
      auto& each = *static_cast<EachContext*>(c);
      if (!each.first) each.out->put(',');
      each.first = false;
      write(*each.type, element, *each.out);
    });
  }
  out.put(']');
}

void write_variant(const TypeInfo& type, const void* value, Output& out) {
  const void* inner = type.variant->get(value);
  if (!inner) return out.raw("null");
  const TypeInfo* alternative = type.variant->types[type.variant->index(value)];
  while (alternative->kind == Kind::optional) {
    inner = alternative->optional->get(inner);
    if (!inner) return out.raw("null");
    alternative = alternative->inner;
  }
  if (alternative->kind == Kind::object && type.rules) {
    return write_object(*alternative, inner, out, type.rules->discriminator);
  }
  write(*alternative, inner, out);
}

void write(const TypeInfo& type, const void* value, Output& out) {
  switch (type.kind) {
    case Kind::string:
      return out.string(*static_cast<const std::string*>(value));
    case Kind::string_view:
      return out.string(*static_cast<const std::string_view*>(value));
    case Kind::null:
      return out.raw("null");
    case Kind::boolean:
      return out.raw(*static_cast<const bool*>(value) ? "true" : "false");
    case Kind::integer: {
      out.need(21);
      if (!type.is_signed) {
        out.p = write_unsigned(out.p, load_unsigned(type, value));
        return;
      }
      const std::int64_t number = load_signed(type, value);
      auto magnitude = static_cast<std::uint64_t>(number);
      if (number < 0) {
        *out.p++ = '-';
        magnitude = 0 - magnitude;
      }
      out.p = write_unsigned(out.p, magnitude);
      return;
    }
    case Kind::number:
      return write_number(type, value, out);
    case Kind::enumeration: {
      const auto number =
          type.is_signed ? load_signed(type, value) : static_cast<std::int64_t>(load_unsigned(type, value));
      for (std::size_t i = 0; i < type.enumeration->count; ++i) {
        const Enumerator& e = type.enumeration->enumerators[i];
        if (e.value == number) return out.string(e.name);
      }
      out.p = write_unsigned((out.need(20), out.p), static_cast<std::uint64_t>(number));  // no name: better than a lie
      return;
    }
    case Kind::value: {
      std::string& text = out.as_string();
      const std::size_t start = text.size();
      text += '"';
      type.value->append(value, text);
      const std::string_view added = std::string_view(text).substr(start + 1);
      // Our own values are plain text; one of the program's may be anything.
      if (is_plain(added)) [[likely]] {
        text += '"';
        out.resume();
        return;
      }
      const std::string copy(added);
      text.resize(start);
      out.resume();
      return out.string(copy);
    }
    case Kind::literal:
      return out.string(type.text);
    case Kind::secret:
      return out.raw("\"**********\"");
    case Kind::json:
      return out.raw(type.json->text(value));
    case Kind::optional:
    case Kind::patch:
      if (const void* inner = type.optional->get(value)) return write(*type.inner, inner, out);
      return out.raw("null");
    case Kind::list:
      return write_list(type, value, out);
    case Kind::array: {
      out.put('[');
      const auto* element = static_cast<const std::byte*>(value);
      for (std::uint32_t i = 0; i < type.count; ++i, element += type.inner->size) {
        if (i > 0) out.put(',');
        write(*type.inner, element, out);
      }
      return out.put(']');
    }
    case Kind::tuple:
      out.put('[');
      for (std::uint32_t i = 0; i < type.count; ++i) {
        if (i > 0) out.put(',');
        write(*type.tuple->types[i], type.tuple->at(const_cast<void*>(value), i), out);
      }
      return out.put(']');
    case Kind::map: {
      out.put('{');
      write_entries(type, value, {type.inner, &out});
      return out.put('}');
    }
    case Kind::variant:
      return write_variant(type, value, out);
    case Kind::object:
      return write_object(type, value, out);
  }
}

}  // namespace
}  // namespace detail

void write_json(const TypeInfo& type, const void* value, std::string& out) {
  detail::Output output(out);
  detail::write(type, value, output);
}

void append_json_string(std::string_view text, std::string& out) { detail::Output(out).string(text); }

}  // namespace ashlar::schema
