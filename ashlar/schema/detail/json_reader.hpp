// The one reader of JSON into described types.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <ashlar/schema/detail/json_scanner.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/errors.hpp>
#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema::detail {

// A place in the document, linked towards the root, on the stack.
struct Path {
  const Path* parent = nullptr;
  std::string_view name = {};
  std::int64_t index = -1;  // of a list when it is not negative
};

class JsonReader {
 public:
  JsonReader(std::string_view document, Errors& errors, Where where)
      : document_(document), scan_(document), errors_(&errors), where_(where) {}

  /// The whole document. False when there was any error.
  bool run(const TypeInfo& type, void* into);

 private:
  // All of these: false when the text is no JSON and reading must end. What is merely wrong is reported and passed
  // over.
  bool read(const TypeInfo& type, void* into, const Path& path);
  bool read_string(const TypeInfo& type, std::string& into, const Path& path);
  [[gnu::noinline]] bool read_long_string(const TypeInfo& type, std::string& into, const Path& path);
  bool read_number(const TypeInfo& type, void* into, const Path& path);
  bool read_boolean(const TypeInfo& type, void* into, const Path& path);
  bool read_text(const TypeInfo& type, void* into, const Path& path);  // value, enumeration, literal
  bool read_lax(const TypeInfo& type, void* into, const Path& path);   // a number or boolean in a string
  bool read_object(const TypeInfo& type, void* into, const Path& path, std::string_view tag = {});
  const char* take_key(const MemberState& member, const char* at, unsigned separated) noexcept;
  const char* take_string(const MemberState& member, const char* at, std::string& into, const Path& path);
  [[gnu::noinline]] const char* check_string(const MemberState& member, const char* at, const char* after,
                                             std::string& into, const Path& path);
  [[gnu::noinline]] const char* take_number(const MemberState& member, const char* at, void* into) const noexcept;
  [[gnu::noinline]] bool read_other_key(const TypeInfo& type, const ObjectState& state, std::size_t& index, void* into,
                                        const Path& path, std::string_view tag);
  bool read_list(const TypeInfo& type, void* into, const Path& path);
  bool read_fixed(const TypeInfo& type, void* into, const Path& path);  // array, tuple
  bool read_map(const TypeInfo& type, void* into, const Path& path);
  [[gnu::noinline]] bool read_variant(const TypeInfo& type, void* into, const Path& path);
  bool read_tagged(const TypeInfo& type, std::string_view discriminator, void* into, const Path& path);
  bool read_untagged(const TypeInfo& type, void* into, const Path& path);

  [[gnu::cold, gnu::noinline]] bool refuse_kind(const TypeInfo& type, const Path& path);  // of another kind
  [[gnu::noinline]] bool read_optional(const TypeInfo& type, void* into, const Path& path);
  [[gnu::noinline]] bool read_secret(const TypeInfo& type, void* into, const Path& path);
  [[gnu::noinline]] bool read_any(const TypeInfo& type, void* into, const Path& path);
  bool take_text(std::string_view& text, std::string& buffer);  // a string, unescaped
  bool refuse(Failure failure, const Path& path);               // passes over the value
  /// `below`: more of the way, from `path` on.
  [[gnu::cold, gnu::noinline]] void report(Failure failure, const Path& path, const char* at, std::string_view input,
                                           std::span<const LocItem> below = {});
  void check(const TypeInfo& type, void* value, const Path& path, const char* at) {
    if (type.rules && !passes_plainly(type, value)) check_slow(type, value, path, at);
  }
  [[gnu::noinline]] void check_slow(const TypeInfo& type, void* value, const Path& path, const char* at);
  void check_object(const TypeInfo& type, const ObjectState& state, void* value, const Path& path, const char* at);
  [[nodiscard]] bool is_strict(const TypeInfo& type) const noexcept {
    return strict_ || (type.rules != nullptr && type.rules->strict);
  }
  void report_missing(const ObjectState& state, const std::uint64_t* seen, const Path& path, const char* at);

  std::string_view document_;
  JsonScanner scan_;
  Errors* errors_;
  Where where_;
  int depth_ = 0;
  int secret_ = 0;  // > 0: inside a secret, or beside one
  bool strict_ = false;
  int matched_ = 0;          // members known minus unknown: how well an alternative fits
  std::uint64_t tried_ = 0;  // bytes that alternatives have read, bounded for the document
};

}  // namespace ashlar::schema::detail
