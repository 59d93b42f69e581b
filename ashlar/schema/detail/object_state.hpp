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

struct MemberState {
  std::string key;        // `"createdAt":` as it is written
  std::string_view wire;  // `createdAt`, a part of it
  std::string_view name;  // `created_at`
  const TypeInfo* type;
  const Rules* rules;  // of the member or of what it may hold; or null
  std::uint32_t offset;
  // To compare `key` in two steps without a loop: its first eight bytes, which of them there are, and its last eight.
  std::uint64_t key_head = 0, key_mask = 0, key_tail = 0;
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
