// Objects into structs: what most bodies are made of, so the way of a member that stands where it is expected is short.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <ashlar/schema/detail/json_reader.hpp>

namespace ashlar::schema::detail {
namespace {

void* at_offset(void* base, std::size_t offset) { return static_cast<std::byte*>(base) + offset; }

// Of the up to 15 bytes at `text`, behind which there are more.
bool is_ascii(const char* text, std::size_t size) noexcept {
#if defined(__SSE2__)
  const auto high = _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text)));
  return (static_cast<unsigned>(high) & ((1U << size) - 1)) == 0;
#else
  return std::none_of(text, text + size, [](char c) { return static_cast<signed char>(c) < 0; });
#endif
}

// Is the text at `at`, whose head is that of the member's key, its key, with something behind it?
[[maybe_unused]] bool has_key_tail(const MemberState& member, const char* at, std::size_t left) noexcept {
  if (left <= member.key_size) return false;
  std::uint64_t tail;
  std::memcpy(&tail, at + member.key_size - sizeof tail, sizeof tail);
  return tail == member.key_tail && (member.key_size <= sizeof member.head + sizeof tail ||
                                     std::memcmp(at + 1, member.key.data(), member.key.size()) == 0);
}

}  // namespace

// What stands at `at`, if it is the member's separator, key and colon: where its value begins. Else null. The separator
// is a comma, or whatever is there when `separated` is 1.
[[clang::always_inline]] inline const char* JsonReader::take_key(const MemberState& member, const char* at,
                                                                 unsigned separated) noexcept {
  const auto left = static_cast<std::size_t>(scan_.end - at);
#if defined(__SSE2__)
  if (left > sizeof member.head) [[likely]] {
    const __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)),
                                        _mm_load_si128(reinterpret_cast<const __m128i*>(member.head)));
    if ((static_cast<unsigned>(_mm_movemask_epi8(same)) | member.behind_head | separated) != 0xFFFF) return nullptr;
    if (member.key_size > sizeof member.head && !has_key_tail(member, at, left)) return nullptr;
  } else
#endif
      if (left <= member.key_size || (separated == 0 && *at != ',') ||
          std::memcmp(at + 1, member.key.data(), member.key.size()) != 0) {
    return nullptr;
  }
  at += member.key_size;
  if (static_cast<unsigned char>(*at) > ' ') [[likely]]
    return at;
  scan_.p = at;
  scan_.skip_space();
  return scan_.p;
}

// The value of an integer or a double at `at`, and where it ends. Null: it asks for a closer look, and nothing is done.
const char* JsonReader::take_number(const MemberState& member, const char* at, void* into) const noexcept {
  const PlainNumber number = scan_.plain_number(at);
  if (number.end == nullptr) return nullptr;
  if (member.form == Form::integer) {
    const auto digits = static_cast<std::int64_t>(number.digits);
    const std::int64_t value = number.negative ? -digits : digits;
    if (!number.whole || value < member.limits.lowest || value > member.limits.highest) return nullptr;
    store_integer(*member.type, static_cast<std::uint64_t>(value), into);
  } else {
    if (number.digits > kLargestExact) return nullptr;
    // Both exact, so that one division rounds once, as in Number::to_double.
    const double size = static_cast<double>(static_cast<std::int64_t>(number.digits)) / kPowersOfTen[number.decimals];
    const double value = number.negative ? -size : size;
    if (!(value >= member.limits.low && value <= member.limits.high)) return nullptr;
    std::memcpy(into, &value, sizeof value);
  }
  return number.end;
}

// The text at `at` and where it ends; null when it asks for the long way, and nothing is done. `path` is that of the
// object.
[[clang::always_inline]] inline const char* JsonReader::take_string(const MemberState& member, const char* at,
                                                                    std::string& into, const Path& path) {
  const Limits& limits = member.limits;
  const char* after = scan_.take_short_string(at, into);
  if (after != nullptr) [[likely]] {
    const auto size = static_cast<std::size_t>(after - at) - 2;
    if (size <= limits.most && (size >= limits.sure || (size >= limits.least && is_ascii(at + 1, size)))) [[likely]]
      return after;
  } else {
    after = scan_.take_medium_string(at, into);
    if (after == nullptr) return nullptr;
    const auto size = static_cast<std::size_t>(after - at) - 2;
    if (size <= limits.most && size >= limits.sure) [[likely]]
      return after;
  }
  return check_string(member, at, after, into, path);
}

const char* JsonReader::check_string(const MemberState& member, const char* at, const char* after, std::string& into,
                                     const Path& path) {
  scan_.p = after;
  check(*member.type, &into, {&path, member.wire, -1}, at);
  return after;
}

bool JsonReader::read_object(const TypeInfo& type, void* into, const Path& path, std::string_view tag) {
  if (*scan_.p != '{') return refuse_kind(type, path);
  if (depth_ >= kMaxDepth) return scan_.fail("recursion limit exceeded");
  const ObjectState& state = object_state_of(type);
  const char* const start = scan_.p;
  const bool outer_strict = strict_;
  strict_ = strict_ || type.object->options.strict;
  const bool checks = type.rules != nullptr || state.checks;
  const std::size_t errors_before = checks ? errors_->size() : 0;
  const MemberState* expected = state.members.data();
  const MemberState* const last = expected + state.members.size();
  std::uint64_t seen[2] = {0, 0};
  ++depth_;
  const char* at = start;                 // scan_.p, in a register
  for (unsigned first = 1;; first = 0) {  // behind the brace
    const MemberState* member = expected;
    const char* key_at = at + 1;
    // Most clients send the members in the order of declaration.
    const char* value_at = expected != last ? take_key(*expected, at, first) : nullptr;
    if (value_at == nullptr) {
      if (first != 0) {
        scan_.p = at + 1;
        scan_.skip_space();
        if (scan_.take('}')) break;
      } else {
        scan_.p = at;
        bool more = false;
        if (!scan_.next_item('}', more)) return false;
        if (!more) break;
      }
      const bool spaced = scan_.p != key_at;
      key_at = scan_.p;
      if (spaced && expected != last) value_at = take_key(*expected, key_at - 1, 1);
      if (value_at == nullptr) {
        scan_.p = key_at;
        std::size_t index = state.members.size();
        if (!read_other_key(type, state, index, into, path, tag)) return false;
        at = scan_.p;
        if (index == state.members.size()) continue;
        member = state.members.data() + index;
        value_at = at;
      }
    }
    std::uint64_t& word = seen[member->seen_word];
    if ((word & member->seen_bit) != 0) [[unlikely]]
      return scan_.fail("duplicate key", key_at);
    word |= member->seen_bit;
    ++matched_;
    expected = member + 1;
    void* const place = at_offset(into, member->offset);
    at = nullptr;
    if (member->form == Form::text) {
      at = take_string(*member, value_at, *static_cast<std::string*>(place), path);
    } else if (member->form != Form::other) {
      at = take_number(*member, value_at, place);
    }
    if (at != nullptr) continue;
    scan_.p = value_at;
    const Path child{&path, member->wire, -1};
    if (!(member->readable ? read(*member->type, place, child) : scan_.skip_value(depth_))) return false;
    at = scan_.p;
  }
  --depth_;
  strict_ = outer_strict;
  if ((state.required[0] & ~seen[0]) != 0 || (state.required[1] & ~seen[1]) != 0) {
    report_missing(state, seen, path, start);
  }
  if (checks && errors_->size() == errors_before) check_object(type, state, into, path, start);
  return true;
}

// A key that is not the one expected. Gives the member's number, or, for an unknown one, keeps its value or passes over
// it and leaves `index` at the number of members.
bool JsonReader::read_other_key(const TypeInfo& type, const ObjectState& state, std::size_t& index, void* into,
                                const Path& path, std::string_view tag) {
  if (scan_.peek() != '"') {
    return scan_.fail(scan_.p == scan_.end ? "EOF while parsing an object" : "key must be a string");
  }
  std::string_view name;
  std::string buffer;
  const char* const key_at = scan_.p;
  if (!take_text(name, buffer) || !scan_.read_colon()) return false;
  index = state.find(name);
  if (index < state.members.size()) return true;
  const bool is_tag = !tag.empty() && name == tag;
  if (!is_tag) --matched_;
  if (state.rest && !is_tag) {
    bool valid = false;
    void* place = state.rest->type->map->insert(at_offset(into, state.rest->offset), name, valid);
    if (!place) return scan_.fail("duplicate key", key_at);
    return read(*state.rest->type->inner, place, {&path, name, -1});
  }
  const char* const value_at = scan_.p;
  if (!scan_.skip_value(depth_)) return false;
  if (type.object->options.extra == Extra::forbid && !is_tag) {
    const Path child{&path, name, -1};
    const bool hide = state.contains_secret;  // it may be a misspelt password
    report({"extra_forbidden", "Extra inputs are not permitted", ""}, child, value_at,
           hide ? std::string_view{} : std::string_view(value_at, static_cast<std::size_t>(scan_.p - value_at)));
  }
  return true;
}

void JsonReader::report_missing(const ObjectState& state, const std::uint64_t* seen, const Path& path, const char* at) {
  for (std::size_t i = 0; i < state.members.size(); ++i) {
    if (state.members[i].required && !(seen[i / 64] >> (i % 64) & 1)) {
      report({"missing", "Field required", ""}, {&path, state.members[i].wire, -1}, at, {});
    }
  }
}

void JsonReader::check_object(const TypeInfo& type, const ObjectState& state, void* value, const Path& path,
                              const char* at) {
  if (state.rest) check(*state.rest->type, at_offset(value, state.rest->offset), path, at);
  if (type.rules) check_slow(type, value, path, at);
  for (Violation& v : violations_of(type, value)) {
    report({std::move(v.type), std::move(v.message), ""}, path, at, {}, v.loc);
  }
}

}  // namespace ashlar::schema::detail
