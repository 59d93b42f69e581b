#include <ashlar/testing/table_factory.hpp>

#include <fmt/format.h>

#include <ashlar/base/error.hpp>

namespace ashlar::testing::detail {
namespace {

// Names of members: letters, digits and '_'. Quoted, for `user` and `order` are words of SQL.
std::string list_of(std::span<const std::string_view> columns) {
  std::string out;
  for (const std::string_view column : columns) out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", column);
  return out;
}

}  // namespace

std::string insert_sql(std::string_view table, std::span<const std::string_view> columns,
                       std::span<const std::string_view> returning) {
  std::string values;
  for (std::size_t i = 1; i <= columns.size(); ++i) values += fmt::format("{}${}", i == 1 ? "" : ", ", i);
  return fmt::format("insert into {} ({}) values ({}) returning {}", table, list_of(columns), values,
                     list_of(returning));
}

void throw_relations_go_round(std::string_view table) {
  throw Invalid(fmt::format(
      "the relations of the table {} go round in a circle: set the member that refers back in a trait or a change",
      table));
}

}  // namespace ashlar::testing::detail
