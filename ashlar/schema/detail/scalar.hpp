// One scalar from text, and the rules of one value: shared by JSON, query strings and settings.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <ashlar/schema/detail/json_scanner.hpp>
#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema::detail {

/// Why a value is refused.
struct Failure {
  std::string type, msg, ctx;
};

/// Kinds that have a text of their own: boolean, integer, number, string, enumeration, value, literal, and these inside
/// optional, patch and secret.
bool is_scalar(const TypeInfo& type) noexcept;

/// Reads text as people and forms write it ("true", "on", " 5 "). Checks no rules.
std::optional<Failure> parse_scalar(const TypeInfo& type, std::string_view text, void* into);

/// A number of JSON into an integer or number kind. `strict`: 5.0 is no integer.
std::optional<Failure> store_number(const TypeInfo& type, const Number& number, void* into, bool strict);

/// Applies strip and to_lower, then checks every rule of the type on the value; the first that fails is given.
std::optional<Failure> check_rules(const TypeInfo& type, void* value);

Failure enum_failure(const TypeInfo& type);
Failure type_failure(const TypeInfo& type);

/// The scalar as text: what parse_scalar reads.
void append_scalar(const TypeInfo& type, const void* value, std::string& out);

/// Integer kinds of every width.
std::int64_t load_signed(const TypeInfo& type, const void* value) noexcept;
std::uint64_t load_unsigned(const TypeInfo& type, const void* value) noexcept;
void store_integer(const TypeInfo& type, std::uint64_t bits, void* into) noexcept;

}  // namespace ashlar::schema::detail
