// One scalar from text, and the rules of one value: shared by JSON, query strings and settings.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/schema/detail/json_scanner.hpp>
#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema::detail {

/// Any integer kind.
inline void store_integer(const TypeInfo& type, std::uint64_t bits, void* into) noexcept {
  switch (type.size) {
    case 1:
      std::memcpy(into, &bits, 1);
      break;
    case 2:
      std::memcpy(into, &bits, 2);
      break;
    case 4:
      std::memcpy(into, &bits, 4);
      break;
    default:
      std::memcpy(into, &bits, 8);
  }
}

/// Why a value is refused.
struct Failure {
  std::string type, msg, ctx;
};

/// Kinds that have a text of their own: boolean, integer, number, string, enumeration, value, literal, and these inside
/// optional, patch and secret.
bool is_scalar(const TypeInfo& type) noexcept;

/// Reads text as people and forms write it ("true", "on", " 5 "). Checks no rules. `strict`: a point in time is no
/// number.
std::optional<Failure> parse_scalar(const TypeInfo& type, std::string_view text, void* into, bool strict = false);

/// A number of JSON into an integer or number kind. `strict`: 5.0 is no integer.
std::optional<Failure> store_number(const TypeInfo& type, const Number& number, void* into, bool strict);

/// Applies transform, strip and to_lower, then checks every rule of the type on the value; the first that fails is
/// given.
std::optional<Failure> check_rules(const TypeInfo& type, void* value);

/// True when the rules hold and nothing needs a closer look; false: ask check_rules. Nearly all values of nearly all
/// requests pass here, without making room for a Failure.
bool passes_plainly(const TypeInfo& type, const void* value) noexcept;
/// The same for text; most texts need no counting of characters, each of which takes one to four bytes.
bool passes_counted(const Rules& rules, std::string_view text) noexcept;
inline bool passes_plainly(const Rules& rules, std::string_view text) noexcept {
  const auto bytes = static_cast<std::int64_t>(text.size());
  if (rules.plain && (bytes + 3) / 4 >= rules.min_length && (rules.max_length < 0 || bytes <= rules.max_length))
      [[likely]]
    return true;
  return passes_counted(rules, text);
}

/// A whole number into an integer kind. False: it does not fit.
inline bool store_if_it_fits(const TypeInfo& type, bool negative, std::uint64_t magnitude, void* into) noexcept {
  const unsigned bits = type.size * 8;
  if (type.is_signed) {
    const std::uint64_t limit = std::uint64_t{1} << (bits - 1);
    if (negative ? magnitude > limit : magnitude >= limit) return false;
    if (negative) magnitude = 0 - magnitude;
  } else if ((negative && magnitude != 0) || (bits < 64 && magnitude >> bits != 0)) {
    return false;
  }
  store_integer(type, magnitude, into);
  return true;
}

/// Compiles the pattern, if there is one. Throws Internal when it is wrong.
void compile_pattern(const Rules& rules);

/// For what is secret: takes the parts of the input out of the message.
inline void hide_input(Failure& failure) {
  if (failure.type == "uuid_parsing") failure = {std::move(failure.type), "Input should be a valid UUID", ""};
}

Failure enum_failure(const TypeInfo& type);
Failure type_failure(const TypeInfo& type);
/// What an alternative of an untagged variant is called in the `loc` of its errors: "int", "list[str]", "Article".
std::string type_label(const TypeInfo& type);

/// The scalar as text: what parse_scalar reads.
void append_scalar(const TypeInfo& type, const void* value, std::string& out);

/// Integer kinds of every width.
std::int64_t load_signed(const TypeInfo& type, const void* value) noexcept;
std::uint64_t load_unsigned(const TypeInfo& type, const void* value) noexcept;
/// Number kinds.
double load_double(const TypeInfo& type, const void* value) noexcept;

/// What the struct's validate() finds, ready to be reported: types and messages complete, names those on the wire.
std::vector<Violation> violations_of(const TypeInfo& type, const void* value);

}  // namespace ashlar::schema::detail
