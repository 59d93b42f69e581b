// JSON into structs and back: `auto article = schema::parse_json<NewArticle>(body);`, `schema::to_json(article)`.
//
// Reading checks everything and reports every error at once. It is lax like a web form where no information is lost
// ("5" and 5.0 are 5); `SchemaOptions{.strict = true}` turns that off. Objects nest 64 deep at most. Refused as
// invalid: text that is not UTF-8, a key that comes twice, anything after the value.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/schema/errors.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar::schema {

/// Reads into an object of the described type that has been value-initialised. False: see `errors`; the object then
/// holds a part of the input and is good for nothing but destruction. `where` begins the `loc` of every error.
bool read_json(const TypeInfo& type, std::string_view json, void* into, Errors& errors, Where where = {});
/// Appends.
void write_json(const TypeInfo& type, const void* value, std::string& out);

template <class T>
bool parse_json(std::string_view json, T& out, Errors& errors, Where where = {}) {
  return read_json(type_info<T>(), json, &out, errors, where);
}

/// Throws ValidationError with all errors.
template <class T>
[[nodiscard]] T parse_json(std::string_view json, Where where = {}) {
  T value{};
  Errors errors;
  if (!read_json(type_info<T>(), json, &value, errors, where)) throw ValidationError(std::move(errors));
  return value;
}

/// Appends the value as JSON without white space. Secrets are masked, numbers that are not finite become null,
/// write-only members and absent patches are left out.
template <class T>
void write_json(const T& value, std::string& out) {
  write_json(type_info<T>(), &value, out);
}

template <class T>
[[nodiscard]] std::string to_json(const T& value) {
  std::string out;
  write_json(type_info<T>(), &value, out);
  return out;
}

/// Appends text as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD.
void append_json_string(std::string_view text, std::string& out);

}  // namespace ashlar::schema
