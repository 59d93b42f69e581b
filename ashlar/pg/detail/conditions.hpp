// Conditions as EXPLAIN (VERBOSE) prints them, taken apart: which column, which operator, against what.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::pg::detail {

/// One of the conditions that AND joins.
struct Condition {
  enum class Kind : std::uint8_t {
    equal,     ///< column = value, = any (…), is null; a boolean column by itself
    range,     ///< column < value and its like
    contains,  ///< @> <@ && ? ?| ?& of arrays, jsonb, ranges
    match,     ///< @@ of tsvector
    pattern,   ///< like, ilike, ~, ~*, and % of pg_trgm
    either,    ///< several of one table, joined by OR
    other,     ///< anything else about the column; no index is proposed for it
  };
  Kind kind = Kind::other;
  std::string alias;       ///< of the table
  std::string column;      ///< empty: several, or none
  std::string expression;  ///< what stands in place of a column, when it is a function or a cast of one: "lower(email)"
  std::string operation;   ///< "=", "@>", "is null"; turned round when the column stood at the right
  std::string other_alias, other_column;  ///< of a join: the other side
  bool constant = false;                  ///< compared with a literal: may become the condition of a partial index
  bool parameter = false;                 ///< compared with a parameter as it is
  bool boolean = false;                   ///< the column itself, or NOT of it
  std::string predicate;                  ///< the whole without its alias; of constant ones only
  std::string text;                       ///< as it was printed
  /// Of `either`: those that OR joins, each of them some that AND joins.
  std::vector<std::vector<Condition>> alternatives;

  /// Of a join: the same from the other side.
  [[nodiscard]] Condition turned() const;
  [[nodiscard]] bool is_join() const noexcept { return !other_alias.empty(); }
};

/// Those that AND joins in `text`; empty for an empty text.
[[nodiscard]] std::vector<Condition> conditions_of(std::string_view text);

/// The columns of `alias` that the text names, and names without a table, which EXPLAIN prints where there is but one;
/// nullopt: its whole row.
[[nodiscard]] std::optional<std::vector<std::string>> columns_of(std::string_view text, std::string_view alias);

struct SortKey {
  std::string alias;   ///< empty: not a column of a table
  std::string column;  ///< empty: an expression
  bool descending = false;
  bool nulls_first = false;
};
[[nodiscard]] SortKey sort_key_of(std::string_view text);

}  // namespace ashlar::pg::detail
