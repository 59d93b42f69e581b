// Values from plain text: path and query parameters, headers, cookies, forms, environment variables, flags.
//
// Text is read laxly, as people write it: "on" and "1" are true, " 5 " is 5, an enum goes by its name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/schema/errors.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar::schema {

/// Of a query string or a form, percent-decoded.
struct Pair {
  std::string_view name, value;
};

/// One value into an object that has been value-initialised. False: see `errors`. Lists take it as their only element,
/// a variant the first of its scalars that reads it; structs, maps and variants of them read it as JSON.
bool read_text(const TypeInfo& type, std::string_view text, void* into, Errors& errors, Where where = {});

/// How names of pairs are compared with those of members.
enum class Names : std::uint8_t {
  exact,
  header,  ///< any case, and "-" is "_": User-Agent is user_agent
};

/// A struct from pairs. A name that comes again adds to a list, and replaces any other value. An empty text is null for
/// an optional that holds no string (forms send it for a field left blank). The `loc` of an error is {where.in, name}.
bool read_pairs(const TypeInfo& type, std::span<const Pair> pairs, void* into, Errors& errors, Where where = {},
                Names names = Names::exact);

/// A struct as pairs that read_pairs reads, for the query of a request: lists as one pair an element, null and absent
/// as none (so a list that is empty reads as its default). Secrets are masked, write-only members left out.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> write_pairs(const TypeInfo& type, const void* value);

/// Appends the value as text that read_text reads.
void write_text(const TypeInfo& type, const void* value, std::string& out);

template <class T>
bool parse_text(std::string_view text, T& out, Errors& errors, Where where = {}) {
  return read_text(type_info<T>(), text, &out, errors, where);
}

/// Throws ValidationError.
template <class T>
[[nodiscard]] T parse_text(std::string_view text, Where where = {}) {
  T value{};
  Errors errors;
  if (!read_text(type_info<T>(), text, &value, errors, where)) throw ValidationError(std::move(errors));
  return value;
}

template <class T>
bool parse_pairs(std::span<const Pair> pairs, T& out, Errors& errors, Where where = {}) {
  static_assert(Reflected<unannotated_t<T>>, "pairs are read into a struct");
  return read_pairs(type_info<T>(), pairs, &out, errors, where);
}

/// Throws ValidationError with all errors.
template <class T>
[[nodiscard]] T parse_pairs(std::span<const Pair> pairs, Where where = {}) {
  T value{};
  Errors errors;
  if (!parse_pairs(pairs, value, errors, where)) throw ValidationError(std::move(errors));
  return value;
}

template <class T>
[[nodiscard]] std::vector<std::pair<std::string, std::string>> to_pairs(const T& value) {
  static_assert(Reflected<unannotated_t<T>>, "pairs are written of a struct");
  return write_pairs(type_info<T>(), &value);
}

template <class T>
[[nodiscard]] std::string to_text(const T& value) {
  std::string out;
  write_text(type_info<T>(), &value, out);
  return out;
}

}  // namespace ashlar::schema
