// Codecs of what the schema module knows: Annotated values, enums, JSON, structs as JSON, values with a text form.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <ashlar/pg/codec.hpp>
#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/enums.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/reflect.hpp>

namespace ashlar::pg {

namespace detail {

[[noreturn]] void bad_enum(std::string_view text);
[[noreturn]] void bad_text(std::string_view text);
[[noreturn]] void bad_json(schema::Errors& errors);

/// `{}` like any JSON text from the database. Throws BadValue naming every error.
template <class T>
void decode_json(Oid type, std::string_view bytes, T& out) {
  out = T{};
  schema::Errors errors;
  if (!schema::parse_json(text_of(type, bytes), out, errors)) bad_json(errors);
}

/// The fields of a composite value on the wire.
class CompositeReader {
 public:
  explicit CompositeReader(std::string_view bytes);
  struct Column {
    Oid type;
    bool null;
    std::string_view bytes;
  };
  Column next();
  void finish() const;

 private:
  std::string_view rest_;
  std::uint32_t count_ = 0;
  std::uint32_t index_ = 0;
};

template <class T>
struct StructColumn;

template <class T>
void decode_field(CompositeReader& in, T& out) {
  const CompositeReader::Column column = in.next();
  if (column.null) bad_value("a composite with a NULL field (use std::optional)");
  if constexpr (HasCodec<T>) {
    Codec<T>::decode(column.type, column.bytes, out);
  } else {
    StructColumn<T>::decode(column.type, column.bytes, out);
  }
}
template <class T>
void decode_field(CompositeReader& in, std::optional<T>& out) {
  const CompositeReader::Column column = in.next();
  out.reset();
  if (column.null) return;
  if constexpr (HasCodec<T>) {
    Codec<T>::decode(column.type, column.bytes, out.emplace());
  } else {
    StructColumn<T>::decode(column.type, column.bytes, out.emplace());
  }
}

/// A struct in one column: json or jsonb by the struct's JSON names, a record or composite type field by field.
template <class T>
struct StructColumn {
  static void decode(Oid type, std::string_view bytes, T& out) {
    if (is_json(type)) return decode_json(type, bytes, out);
    CompositeReader in(bytes);
    schema::visit_members(out, [&in](auto&... m) { (decode_field(in, m), ...); });
    in.finish();
  }
};

/// A first member that wants the json column for itself, so that the struct around it is flat.
template <class T>
inline constexpr bool kTakesJson = false;
template <>
inline constexpr bool kTakesJson<Json> = true;
template <class T>
inline constexpr bool kTakesJson<std::vector<T>> = schema::Reflected<T>;
template <class T>
inline constexpr bool kTakesJson<std::map<std::string, T>> = true;

}  // namespace detail

template <class T, auto... R>
  requires HasCodec<T>
struct Codec<Annotated<T, R...>> {
  static bool accepts(const TypeMap& types, Oid type) { return Codec<T>::accepts(types, type); }
  static bool accepts_parameter(const TypeMap& types, Oid type) { return pg::accepts_parameter<T>(types, type); }
  static void encode(Params& out, const Annotated<T, R...>& value) {
    Codec<T>::encode(out, static_cast<const T&>(value));
  }
  static void decode(Oid type, std::string_view bytes, Annotated<T, R...>& out) {
    Codec<T>::decode(type, bytes, static_cast<T&>(out));
  }
};

/// By the names of its values: an enum of PostgreSQL, or text.
template <class T>
  requires std::is_enum_v<T>
struct Codec<T> {
  static bool accepts(const TypeMap& types, Oid type) { return detail::is_text(types, type); }
  static void encode(Params& out, T value) { out.text(schema::enum_name(value)); }
  static void decode(Oid, std::string_view bytes, T& out) {
    for (const schema::Enumerator& e : schema::kEnumerators<T>) {
      if (e.name == bytes) {
        out = static_cast<T>(e.value);
        return;
      }
    }
    detail::bad_enum(bytes);
  }
};

/// Values with a text form of their own (Email, Url, …) travel as text.
template <class T>
  requires(requires(const T& v, std::string_view text) {
    { T::parse(text) } -> std::same_as<std::optional<T>>;
    { v.to_string() } -> std::convertible_to<std::string_view>;
  })
struct Codec<T> {
  static bool accepts(const TypeMap& types, Oid type) { return detail::is_text(types, type); }
  static void encode(Params& out, const T& value) { out.text(value.to_string()); }
  static void decode(Oid, std::string_view bytes, T& out) {
    auto value = T::parse(bytes);
    if (!value) detail::bad_text(bytes);
    out = std::move(*value);
  }
};

template <>
struct Codec<Json> {
  static bool accepts(const TypeMap& types, Oid type) { return detail::is_json(types.base(type)); }
  static void encode(Params& out, const Json& value) { out.text(value.text()); }
  static void decode(Oid type, std::string_view bytes, Json& out) {
    out = Json::trusted(std::string(detail::text_of(type, bytes)));
  }
};

template <class T>
struct Codec<std::map<std::string, T>> {
  static bool accepts(const TypeMap& types, Oid type) { return detail::is_json(types.base(type)); }
  static void encode(Params& out, const std::map<std::string, T>& value) { out.text(schema::to_json(value)); }
  static void decode(Oid type, std::string_view bytes, std::map<std::string, T>& out) {
    detail::decode_json(type, bytes, out);
  }
};

/// A column: a json or jsonb array, or an array of a composite type. An argument: JSON.
template <schema::Reflected T>
  requires(!HasCodec<T>)
struct Codec<std::vector<T>> {
  static bool accepts(const TypeMap& types, Oid type) {
    type = types.base(type);
    const Oid element = types.element(type);
    return detail::is_json(type) || type == oid::record_array ||
           (types.kind(type) == TypeKind::array && types.kind(element) == TypeKind::composite);
  }
  static bool accepts_parameter(const TypeMap& types, Oid type) { return detail::is_json(types.base(type)); }
  static void encode(Params& out, const std::vector<T>& value) { out.text(schema::to_json(value)); }
  static void decode(Oid type, std::string_view bytes, std::vector<T>& out) {
    if (detail::is_json(type)) return detail::decode_json(type, bytes, out);
    detail::ArrayReader in(bytes);
    out.clear();
    for (std::uint32_t i = 0; i < in.size(); ++i) {
      const auto element = in.next();
      if (!element) detail::bad_value("a NULL inside the array");
      detail::StructColumn<T>::decode(in.element(), *element, out.emplace_back());
    }
  }
};

template <class T>
struct StructArgument {
  static_assert(schema::Reflected<T>, "this type is neither a struct nor has it a pg::Codec: see ashlar/pg/codec.hpp");
  static void encode(Params& out, const T& value) { out.text(schema::to_json(value)); }
};

/// An argument for a parameter of a composite type: `pg::Composite{point}`. (A plain struct travels as JSON.)
template <class T>
struct Composite {
  T value;
};
template <class T>
Composite(T) -> Composite<T>;

template <class T>
struct Codec<Composite<T>> {
  static bool accepts(const TypeMap& types, Oid type) { return types.kind(types.base(type)) == TypeKind::composite; }
  static void encode(Params& out, const Composite<T>& value) {
    schema::visit_members(value.value, [&out](const auto&... m) {
      out.begin_composite(sizeof...(m));
      (encode_value(out, m), ...);
    });
  }
  static void decode(Oid type, std::string_view bytes, Composite<T>& out) {
    detail::StructColumn<T>::decode(type, bytes, out.value);
  }
};

}  // namespace ashlar::pg
