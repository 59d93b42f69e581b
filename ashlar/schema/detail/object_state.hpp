// What a struct's description needs to be worked out once, at its first use: names on the wire, what is required, where
// secrets are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema {

namespace detail {

/// What the reader looks at first.
enum class Form : std::uint8_t {
  text,     // std::string
  integer,  // of up to 64 bits
  real,     // double
  other,
};

/// Within these, a value fits its type and all its rules hold: nothing more needs to be asked. Beyond them there may be
/// an error or merely a rule that takes a closer look.
struct Limits {
  // A text is plain when it has `sure` to `most` bytes; when it is ASCII, `least` to `most`.
  std::uint32_t sure = 1, least = 1, most = 0;
  std::int64_t lowest = 1, highest = 0;  // of an integer
  double low = 1, high = 0;              // of a real
};
Limits limits_of(const TypeInfo& type) noexcept;

struct MemberState {
  // The first sixteen bytes of `,"createdAt":`, to be compared at once, one bit for each of them that is behind the
  // key, and how long it is.
  alignas(16) char head[16] = {};
  std::uint32_t behind_head = 0, key_size = 0;
  std::uint32_t offset = 0;
  Form form = Form::other;
  std::uint8_t seen_word = 0;  // which bit says that it has been read
  std::uint64_t seen_bit = 0;
  Limits limits;
  std::uint64_t key_tail = 0;  // the last eight bytes of a key that does not fit into `head`
  std::string key;             // `"createdAt":` as it is written
  std::string_view wire;       // `createdAt`, a part of it
  std::string_view name;       // `created_at`
  const TypeInfo* type;
  const Rules* rules;     // of the member or of what it may hold; or null
  bool required = false;  // must be there when read
  bool readable = true, writable = true;
  bool nullable = false;  // std::optional, Patch, pointers
};

}  // namespace detail

struct ObjectState {
  std::vector<detail::MemberState> members;
  std::uint64_t required[2] = {0, 0};
  // Members by name. Those that are read under several names are there several times.
  struct Name {
    std::string_view text;
    std::uint8_t member;
    std::uint8_t next;  // of the same hash, as index + 1
  };
  std::vector<Name> names;
  std::uint8_t buckets[256];  // first name of a hash, as index + 1
  /// Where unknown members go: a map from text that is annotated rest{}, and no member of the others. Or null.
  std::unique_ptr<detail::MemberState> rest;
  const void* defaults = nullptr;  // a T{}, kept for ever
  bool contains_secret = false;
  bool checks = false;  // the whole has something to check: a validate(), the rest
  std::string tag;      // of this alternative of a tagged variant

  /// The member that is read under this name, or members.size().
  [[nodiscard]] std::size_t find(std::string_view wire) const noexcept;
};

namespace detail {

const ObjectState& make_object_state(const TypeInfo& object);
/// Thread-safe; computed at the first call for a type.
inline const ObjectState& object_state_of(const TypeInfo& object) {
  if (const ObjectState* state = object.object->state->load(std::memory_order_acquire)) [[likely]]
    return *state;
  return make_object_state(object);
}

/// "blog::Page<blog::Article>" → "PageOfArticle".
std::string component_name(std::string_view cpp_name);

/// A C++ name in another spelling: "created_at" → "createdAt".
std::string respell(std::string_view name, Naming naming);

bool contains_secret(const TypeInfo& type);

}  // namespace detail
}  // namespace ashlar::schema
