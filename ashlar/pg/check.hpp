// Compares every query of the program with the live schema, without running any.
#pragma once

#include <string>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg {

/// Every query of the program, by file and line.
[[nodiscard]] std::vector<const Statement*> statements_in_order();

/// What the database says of a query without running it.
struct DescribedQuery {
  const Statement* statement = nullptr;
  std::vector<Oid> parameters;
  std::vector<wire::Field> fields;
  std::vector<RowVerifier::Null> nulls;  ///< of each field
  std::string problem;                   ///< not empty: it is not valid there, and the rest is empty
};

/// Of every query of the program, in order. The types are in the connection's map afterwards.
[[nodiscard]] Task<std::vector<DescribedQuery>> describe_queries(detail::Connection& connection);

/// One message for each query that does not fit: SQL errors, parameter and column types, number and names of columns,
/// NULL where the C++ type has no room for it. A column may be NULL if it comes straight from a table and is not
/// declared NOT NULL, or if the table is on the far side of an outer join in the query's plan; columns of views and
/// expressions are not known to be either, and never complained about.
[[nodiscard]] Task<std::vector<std::string>> check_queries(detail::Connection& connection);

}  // namespace ashlar::pg
