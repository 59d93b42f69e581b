// A value that the program has written, as a client would send it.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema {

/// JSON of a value of this type without the members that only the service sets (read_only). What is no JSON is given
/// back.
[[nodiscard]] std::string input_form(std::string_view json, const TypeInfo& type);

}  // namespace ashlar::schema
