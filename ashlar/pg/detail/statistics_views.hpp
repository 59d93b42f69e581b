// Where the statistics come from: one statement for each table of a view.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <ashlar/pg/statistics.hpp>

namespace ashlar::pg::detail {

/// `:bytes` and the like in a column's name say its measure: "table size:bytes rows:number".
struct TableSource {
  std::string_view view;
  std::string_view name;
  std::string_view title;
  std::string_view columns;
  /// {rows}, {order}, {statements} (the view pg_stat_statements with its schema) and {database} (a literal) are put in.
  std::string_view sql;
  /// The column that holds texts of statements, to be shown by the names of the program's queries.
  std::string_view statements = {};
  bool is_list = false;
  /// For `check`: too much work for each minute on a database of many tables.
  bool is_heavy = false;
};

[[nodiscard]] std::span<const TableSource> table_sources() noexcept;
[[nodiscard]] std::vector<StatisticsColumn> columns_of(const TableSource& source);
/// How `top` may be sorted, as SQL; empty: not so.
[[nodiscard]] std::string_view order_of(std::string_view column) noexcept;

}  // namespace ashlar::pg::detail
