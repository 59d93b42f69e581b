// Statements: the SQL that ran while a test did something, to be counted, and compared with what it was.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/statement_observer.hpp>

namespace ashlar::testing {

/// `testing::Statements statements; client.get("/feed").send(); EXPECT_EQ(text_snapshot("feed.sql", statements.text()),
/// "");` Notes every statement that the loops of this thread send, of any Db: what the application of a Client on this
/// thread does. A query for each row of another (N + 1) shows as a number that grows with the data. What the driver
/// asks for itself (types) and migrations are not noted. One at a time on a thread.
class Statements final : private pg::StatementObserver {
 public:
  /// Throws Invalid when another one on this thread takes notes.
  Statements();
  ~Statements();
  Statements(const Statements&) = delete;
  Statements& operator=(const Statements&) = delete;

  struct Statement {
    std::string name;  ///< of the query: its QueryOptions::name, or its place, "queries.hpp:12"; empty: it is no query
    std::string sql;
    std::size_t times = 0;
  };
  /// In the order in which each ran first.
  [[nodiscard]] const std::vector<Statement>& all() const noexcept { return all_; }
  /// How many ran, repetitions counted.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// For a snapshot: each with its name and how often it ran, in the order in which each ran first, without the limits
  /// of time that a transaction has from its request. Names of queries that are places are left out, so that a line
  /// more above a query changes nothing.
  [[nodiscard]] std::string text() const;
  void clear() noexcept;

 private:
  void on_statement(const pg::Statement* statement, std::string_view sql) noexcept override;

  std::vector<Statement> all_;
  std::size_t count_ = 0;
};

}  // namespace ashlar::testing
