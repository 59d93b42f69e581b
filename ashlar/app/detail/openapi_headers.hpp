// The headers and cookies of the answers in an OpenAPI document.
#pragma once

#include <string>
#include <vector>

#include <ashlar/app/description.hpp>
#include <ashlar/app/detail/openapi_writer.hpp>
#include <ashlar/schema/json_schema.hpp>

namespace ashlar::detail {

/// The member `headers` of an answer that may be any of these, all of one status; nothing when they have none. A header
/// is required when each of them always has it. `redirects`: it has a Location.
void write_response_headers(JsonWriter& out, schema::SchemaSet& schemas,
                            const std::vector<const ResponseInfo*>& responses, bool redirects);

/// The headers, as on the wire, that the members of a struct are.
[[nodiscard]] std::vector<std::string> response_header_names(const schema::TypeInfo& type);

}  // namespace ashlar::detail
