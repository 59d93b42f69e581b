// The descriptor of a type, as all readers and writers use it: plain tables and functions on `void*`. One reader, one
// writer and one schema generator, compiled once, serve every type; templates only fill the tables (type_of.hpp).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ashlar/schema/enums.hpp>
#include <ashlar/schema/options.hpp>
#include <ashlar/schema/rules.hpp>
#include <ashlar/schema/value_words.hpp>

namespace ashlar::schema {

enum class Kind : std::uint8_t {
  null,         // std::monostate, std::nullptr_t
  boolean,      // bool
  integer,      // size and is_signed tell which
  number,       // float, double
  string,       // std::string
  string_view,  // written only
  enumeration,  // by name
  value,        // a class with parse and to_string: DateTime, Uuid, …
  literal,      // always the same text
  json,         // any JSON
  secret,       // read, masked when written
  optional,     // std::optional, std::unique_ptr, std::shared_ptr: null or inner
  patch,        // absent, null or inner
  list,         // std::vector, std::deque, std::set, …
  array,        // std::array: inner, `count` of it
  tuple,        // std::tuple, std::pair
  map,          // from text to inner
  variant,      // one of several
  object,       // a struct
};

struct TypeInfo;

struct Member {
  std::string_view name;  // in C++
  std::uint32_t offset;
  const TypeInfo* type;
};

struct ObjectState;  // what is computed once at run time: names on the wire, what is required (detail/object_state.hpp)

struct ObjectOps {
  const Member* members;
  std::size_t count;
  SchemaOptions options;
  void (*create)(void* at);                // T{}; null when T has no default constructor
  void (*create_uninitialised)(void* at);  // T, leaving members without initialiser as the memory was
  void (*destroy)(void* at);
  void (*validate)(const void* value, Violations& violations);  // or null
  std::atomic<const ObjectState*>* state;
};

struct EnumOps {
  const Enumerator* enumerators;
  std::size_t count;
};

struct ValueOps {
  bool (*parse)(std::string_view text, void* into, std::string_view& reason);
  void (*append)(const void* value, std::string& out);
  bool (*is_empty)(const void* value);       // equal to T{}
  std::size_t (*length)(const void* value);  // in bytes, for min_length and max_length; or null
  Builtin builtin;
  std::string_view type_error, type_message;    // "uuid_type", "UUID input should be …"
  std::string_view parse_error, parse_message;  // "uuid_parsing", "Input should be a valid UUID, {error}"
  std::string_view reason;                      // when parse gives none
  std::string_view format;                      // of JSON Schema
};

struct ListOps {
  void (*clear)(void* list);
  void* (*append)(void* list);                // a new last element; of a set: one to fill and commit
  bool (*commit)(void* list, void* element);  // null when append suffices; false when a set has it already
  std::size_t (*size)(const void* list);
  const void* (*data)(const void* list);  // contiguous elements; or null
  void (*each)(const void* list, void* context, void (*f)(void* context, const void* element));
  bool is_set;
};

struct MapOps {
  void (*clear)(void* map);
  /// The place of a new key's value; null when `added` is false: the key is there already (`valid`) or none (not
  /// valid).
  void* (*insert)(void* map, std::string_view key, bool& valid);
  std::size_t (*size)(const void* map);
  void (*each)(const void* map, void* context, void (*f)(void* context, std::string_view key, const void* value));
  const TypeInfo* key;
};

struct OptionalOps {
  void* (*emplace)(void* optional);          // a fresh inner value
  void (*reset)(void* optional);             // to null
  const void* (*get)(const void* optional);  // null when it is null
  bool (*is_absent)(const void* patch);      // Patch only
};

struct TupleOps {
  const TypeInfo* const* types;
  void* (*at)(void* tuple, std::size_t index);
};

struct VariantOps {
  const TypeInfo* const* types;
  std::size_t count;
  void* (*emplace)(void* variant, std::size_t index);
  std::size_t (*index)(const void* variant);
  const void* (*get)(const void* variant);
  void (*move)(void* to, void* from);
  void* (*create)();  // a new default variant on the heap, to try alternatives in
  void (*destroy)(void* variant);
};

struct JsonOps {
  void (*assign)(void* json, std::string_view text);
  std::string_view (*text)(const void* json);
};

struct TypeInfo {
  Kind kind;
  bool is_signed = false;
  std::uint32_t size = 0;  // sizeof(T)
  std::uint32_t align = 1;
  std::uint32_t count = 0;          // of an array or tuple
  const Rules* rules = nullptr;     // of Annotated; or null
  const TypeInfo* inner = nullptr;  // of optional, list, map, secret, …
  std::string_view name = {};       // of a struct or enum as the compiler prints it, "blog::Page<blog::Article>"
  std::string_view text = {};       // of a literal
  union {
    const void* none = nullptr;
    const ObjectOps* object;
    const EnumOps* enumeration;
    const ValueOps* value;
    const ListOps* list;
    const MapOps* map;
    const OptionalOps* optional;
    const TupleOps* tuple;
    const VariantOps* variant;
    const JsonOps* json;
  };
};

}  // namespace ashlar::schema
