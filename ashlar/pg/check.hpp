// Compares every query of the program with the live schema, without running any.
#pragma once

#include <string>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>

namespace ashlar::pg {

/// One message for each query that does not fit: SQL errors, parameter and column types, number and names of columns,
/// NULL where the C++ type has no room for it. A column may be NULL if it comes straight from a table and is not
/// declared NOT NULL; columns of views, expressions and the far side of outer joins are not known to be either, and
/// never complained about.
[[nodiscard]] Task<std::vector<std::string>> check_queries(detail::Connection& connection);

}  // namespace ashlar::pg
