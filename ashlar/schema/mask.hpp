// JSON and forms as they may be shown: values of secret names are hidden.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema {

/// Whether the value of a member or a field with this name is never shown.
using IsSecret = std::function<bool(std::string_view name)>;

/// The JSON without white space between its parts, each value of a secret name replaced by "**********", at any depth
/// and whatever it is; when that is more than `most` bytes, so many of them and "…". Nullopt: it is no JSON, and
/// nothing of it may be shown. What is behind the last byte that is shown is not looked at.
[[nodiscard]] std::optional<std::string> mask_json(std::string_view json, const IsSecret& is_secret, std::size_t most);
/// The same of a form or a query string: `user=ada&password=**********`. A name that cannot be decoded is secret.
[[nodiscard]] std::string mask_form(std::string_view form, const IsSecret& is_secret, std::size_t most);

/// The names, on the wire and in C++, of all members that are a Secret<T>, in the type and in what is in it.
[[nodiscard]] std::set<std::string> secret_names(const TypeInfo& type);

}  // namespace ashlar::schema
