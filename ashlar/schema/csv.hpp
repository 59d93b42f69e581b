// Lists of structs as CSV (RFC 4180).
#pragma once

#include <string>

#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema {

/// Appends a line of names, and a line for each element of a list of structs, ended by CR LF. Names and values are
/// those of JSON; lists and structs in it are JSON themselves. Null is nothing and the empty text `""`, as `copy … with
/// (format csv)` has it. Secrets are masked, write-only members left out. Throws Internal for any other type.
void write_csv(const TypeInfo& list, const void* value, std::string& out);

}  // namespace ashlar::schema
