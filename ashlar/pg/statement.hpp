// Statement: one SQL text of the program with the C++ types around it, and the list of all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/row.hpp>
#include <ashlar/pg/type_map.hpp>

namespace ashlar::pg {

/// SQL that stands as a literal in the source. Text built at run time does not compile here, so nothing can be
/// injected; the way around it is `pg::unsafe_sql`, which a review can search for.
class SqlLiteral {
 public:
  template <std::size_t N>
  consteval SqlLiteral(const char (&text)[N]) noexcept : text_(text, N - 1) {}  // NOLINT: that is its use
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

struct QueryOptions {
  /// For metrics, traces and messages; default: file and line. Static storage.
  const char* name = nullptr;
  /// Takes a connection of its own, so that it does not hold up the short ones that share theirs.
  bool slow = false;
  /// Rules of the advisor that do not count for this query, each with the reason: "offset-pagination: ten pages; …".
  /// Static storage.
  const char* allow = "";
};

struct ParameterSpec {
  bool (*accepts)(const TypeMap&, Oid);
  std::string (*cpp_type)();
};
struct StatementSpec {
  void (*verify_row)(RowVerifier&);  ///< null: rows are ignored
  std::span<const ParameterSpec> parameters;
};

class Statement {
 public:
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  [[nodiscard]] std::string_view sql() const noexcept { return sql_; }
  [[nodiscard]] const StatementSpec& spec() const noexcept { return *spec_; }
  [[nodiscard]] const QueryOptions& options() const noexcept { return options_; }
  [[nodiscard]] const char* file() const noexcept { return where_.file_name(); }
  [[nodiscard]] std::uint32_t line() const noexcept { return where_.line(); }
  [[nodiscard]] std::source_location where() const noexcept { return where_; }
  /// The given name, or "queries.hpp:12".
  [[nodiscard]] std::string name() const;
  /// "query article_by_slug (src/queries.hpp:12)" for messages.
  [[nodiscard]] std::string describe() const;
  /// Small and dense: equal for equal SQL and types. 0: not registered, made at run time.
  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }

  /// Calls f for every statement that exists now. Holds the registry's lock.
  static void for_each(const std::function<void(const Statement&)>& f);

 protected:
  enum class Registered : bool { no, yes };
  Statement(std::string_view sql, const StatementSpec& spec, QueryOptions options, std::source_location where,
            Registered registered);
  ~Statement();

 private:
  std::string_view sql_;
  const StatementSpec* spec_;
  QueryOptions options_;
  std::source_location where_;
  std::uint32_t id_ = 0;
  Statement* next_ = nullptr;
  Statement** link_ = nullptr;
};

namespace detail {
/// Compares what the server described with the C++ types. Empty: all is well.
std::vector<std::string> verify(const StatementSpec& spec, const TypeMap& types, std::span<const Oid> parameters,
                                std::span<const wire::Field> fields, std::span<const RowVerifier::Null> nulls);
/// A COPY answers, or asks, with data that a query has no place for.
[[nodiscard]] bool is_copy(std::string_view sql);
inline constexpr std::string_view kCopyProblem = "it is a COPY: run it by copy_in or copy_out";
/// The text of a QueryMismatch: all problems, one a line.
std::string mismatch_message(const Statement& statement, std::span<const std::string> problems);
}  // namespace detail

}  // namespace ashlar::pg
