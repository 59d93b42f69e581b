// A file of SQL, statement by statement, with the comments that stand beside each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg::detail {

struct SqlStatement {
  std::string_view text;         ///< from its first token to its last, without the semicolon
  std::vector<SqlToken> tokens;  ///< `at` counts from the beginning of the file
  std::uint32_t line = 1;        ///< of its first token
  /// Texts of the `--` comments before it, within it, and after it on its last line.
  std::vector<std::string_view> comments;
};

/// Statements end at semicolons, except those in the body of `begin atomic … end`. The text must outlive them.
[[nodiscard]] std::vector<SqlStatement> sql_statements(std::string_view sql);

/// Reads a statement from left to right.
class SqlCursor {
 public:
  explicit SqlCursor(SqlTokens tokens) : rest_(tokens) {}

  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }
  [[nodiscard]] SqlTokens rest() const noexcept { return rest_; }
  [[nodiscard]] bool at(std::string_view word) const noexcept { return !rest_.empty() && rest_.front().is(word); }
  /// Moves past the words, in any case, if they come next; else stays. "if not exists".
  bool accept(std::string_view words) noexcept;
  void skip() noexcept { rest_ = rest_.subspan(rest_.empty() ? 0 : 1); }
  /// Past the parenthesis that closes the one that comes next; what is inside. Empty: there is none.
  SqlTokens parentheses() noexcept;
  /// A name, perhaps after its schema and a dot; "public." is left out. Empty: there is none.
  std::string name();
  /// Up to the comma that is not in parentheses, which is passed.
  SqlTokens item() noexcept;

 private:
  SqlTokens rest_;
};

/// Whether the words follow one another somewhere in the tokens.
[[nodiscard]] bool contains_words(SqlTokens tokens, std::string_view words) noexcept;

/// Of `create [unique] index concurrently [if not exists] name on …`: the name.
[[nodiscard]] std::optional<std::string> concurrent_index(SqlTokens statement);

}  // namespace ashlar::pg::detail
