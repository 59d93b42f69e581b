// Inside the lint of migrations: what a file and the files before it tell, and the rules of `alter table`.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/sql_statements.hpp>
#include <ashlar/pg/migration_lint.hpp>

namespace ashlar::pg::detail {

/// A constraint `check (column is not null)`: once it is valid, `set not null` need not look at the rows.
struct NotNullCheck {
  std::string column;
  bool valid = false;
};

class Linter {
 public:
  Linter(const LintOptions& options, std::vector<LintFinding>& out) : options_(options), out_(out) {}

  void file(const Migration& migration);

 private:
  using Name = std::pair<std::string, std::string>;  ///< of a table, and of what is its own

  void statement();
  void create(SqlCursor cursor);
  void create_index(SqlCursor cursor);
  void drop(SqlCursor cursor);
  void reindex(SqlCursor cursor);
  void truncate(SqlCursor cursor);
  void write(SqlCursor cursor, std::string_view verb);
  void refresh(SqlCursor cursor);
  void alter_type(SqlCursor cursor);
  void vacuum();
  void locks();
  void measured();

  void alter_table(SqlCursor cursor);
  void alter_action(const std::string& table, SqlTokens action);
  void add_column(const std::string& table, SqlCursor cursor);
  void add_constraint(const std::string& table, SqlCursor cursor);
  void alter_column(const std::string& table, SqlCursor cursor);
  void change_type(const std::string& table, const std::string& column, SqlTokens action);
  void set_not_null(const std::string& table, const std::string& column);
  void drop_column(const std::string& table, SqlCursor cursor);
  void rename(const std::string& table, SqlCursor cursor);
  void validate(const std::string& table, const std::string& constraint);

  /// No rows and no readers yet.
  [[nodiscard]] bool is_new(const std::string& table) const {
    return table.empty() || made_here_.contains(table) || (options_.together && made_.contains(table));
  }
  [[nodiscard]] bool spoken_of() const noexcept { return migration_->version > options_.after; }
  [[nodiscard]] const LintFact* fact() const noexcept;
  void report(std::string_view rule, std::string why, std::string safer);
  [[nodiscard]] std::vector<std::string> allowed();
  void exclusive(const std::string& table) {
    if (!is_new(table)) locked_.insert(table);
  }

  const LintOptions& options_;
  std::vector<LintFinding>& out_;
  std::set<std::string> made_;  ///< tables, by the files together
  std::map<Name, NotNullCheck> checks_;
  std::set<std::string> indexes_of_new_tables_;

  // Of the file:
  const Migration* migration_ = nullptr;
  std::vector<SqlStatement> statements_;
  std::size_t at_ = 0;
  std::set<std::string> made_here_;
  std::set<Name> added_here_;     ///< constraints
  std::set<std::string> locked_;  ///< against all others, of those that were there before
  bool told_of_locks_ = false;
};

/// ", and queries of the program use it: a, b"; empty: none does. Without a column: of the table.
[[nodiscard]] std::string used_by_queries(std::string_view table, std::string_view column);

/// A call in the tokens that may give another value for each row, so that every row is written; empty: none.
[[nodiscard]] std::string volatile_call(SqlTokens tokens);

}  // namespace ashlar::pg::detail
