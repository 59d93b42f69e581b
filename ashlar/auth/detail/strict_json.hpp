// JSON as security wants it: no member twice at any depth, bounded depth, nothing after the value.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

namespace ashlar::auth::detail {

// The object that `text` is; valid until the next call on this thread. Nothing: not JSON, not an object, or ambiguous.
std::optional<simdjson::dom::object> parse_strict_object(std::string_view text);

// The member, unless it is absent or null.
std::optional<simdjson::dom::element> member(const simdjson::dom::object& object, std::string_view name);
// Nothing when it is absent, null, or no string.
std::optional<std::string_view> text_member(const simdjson::dom::object& object, std::string_view name);

void append_json_string(std::string_view text, std::string& out);

}  // namespace ashlar::auth::detail
