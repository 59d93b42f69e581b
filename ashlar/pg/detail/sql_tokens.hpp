// What SQL is made of: enough to recognise shapes, in the texts of queries and in conditions as EXPLAIN prints them.
// (https://www.postgresql.org/docs/current/sql-syntax-lexical.html)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::pg::detail {

struct SqlToken {
  enum class Kind : std::uint8_t { word, quoted, string, number, parameter, symbol, open, close, comma, dot, cast };
  Kind kind = Kind::word;
  std::string_view text;    ///< of the SQL it was read from
  std::size_t at = 0;       ///< where it begins in it
  std::uint32_t depth = 0;  ///< of parentheses and brackets around it; a pair has the depth of what is around the pair

  /// A keyword or a name without quotes, in any case.
  [[nodiscard]] bool is(std::string_view word) const noexcept;
  [[nodiscard]] bool is_name() const noexcept { return kind == Kind::word || kind == Kind::quoted; }
  [[nodiscard]] std::size_t end() const noexcept { return at + text.size(); }
};
using SqlTokens = std::span<const SqlToken>;

/// Without white space and comments. What is no SQL becomes symbols: it never fails. The text must outlive the tokens.
[[nodiscard]] std::vector<SqlToken> sql_tokens(std::string_view sql);

/// The position of the parenthesis that closes the one at `open`; the size when there is none.
[[nodiscard]] std::size_t closing(SqlTokens tokens, std::size_t open) noexcept;
/// Without parentheses around the whole.
[[nodiscard]] SqlTokens without_parentheses(SqlTokens tokens) noexcept;
/// The text they were read from, from the first to the last, as it stands.
[[nodiscard]] std::string_view text_of(SqlTokens tokens) noexcept;
/// "name" without its quotes; a name without quotes in lower case.
[[nodiscard]] std::string name_of(const SqlToken& token);
/// With quotes where PostgreSQL wants them: capitals, odd characters, words it keeps for itself.
[[nodiscard]] std::string identifier(std::string_view name);
/// The same of a table, "orders", or "shop.orders" with its schema.
[[nodiscard]] std::string identifier_of_table(std::string_view name);

}  // namespace ashlar::pg::detail
