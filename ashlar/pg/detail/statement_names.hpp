// From the texts that the server shows of statements, back to the queries of this program.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::pg::detail {

/// The queries that exist when it is made.
class StatementNames {
 public:
  StatementNames();

  /// The name of the query, or of those that differ in nothing but constants; empty: none of this program. The text may
  /// be that of pg_stat_activity, cut at track_activity_query_size, or of pg_stat_statements, which has parameters
  /// where the query has constants.
  [[nodiscard]] std::string find(std::string_view text) const;
  /// "take_stock (src/orders.cpp:12)", or the beginning of the text in one line.
  [[nodiscard]] std::string describe(std::string_view text, std::size_t longest = 100) const;

 private:
  struct Known {
    std::string name;
    std::string where;
  };
  [[nodiscard]] const Known* look_up(std::string_view text) const;

  std::map<std::string, Known, std::less<>> by_text_;
  std::map<std::string, Known, std::less<>> by_shape_;
};

/// The same for statements that differ in nothing but white space, comments, and the values of constants and
/// parameters.
[[nodiscard]] std::string shape_of(std::string_view sql);
/// White space as single spaces, with "…" where something was cut off.
[[nodiscard]] std::string in_one_line(std::string_view text, std::size_t longest);

}  // namespace ashlar::pg::detail
