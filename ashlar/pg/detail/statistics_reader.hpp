// Reads statistics over sessions of its own.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/detail/statement_names.hpp>
#include <ashlar/pg/detail/statistics_views.hpp>
#include <ashlar/pg/statistics.hpp>

namespace ashlar::pg {
class Db;
}

namespace ashlar::pg::detail {

class Connection;

class StatisticsReader {
 public:
  /// Throws Invalid for options that are wrong.
  StatisticsReader(Db& db, StatisticsOptions options);

  Task<Statistics> read(std::string view);

  /// For who holds a session: makes it fit for what follows (short timeouts, a safe search_path).
  static Task<void> prepare(Connection& connection, std::string_view program);
  /// Adds the tables of a view, or of all views for `check`, and the notes.
  Task<void> read_on(Connection& connection, std::string_view view, bool with_heavy, Statistics& out);
  /// pg_stat_statements as it is called on this connection; empty: it is not there.
  static Task<std::string> find_statements(Connection& connection);
  /// Adds what statements cost, over a session of its own.
  Task<void> read_statements(Statistics& out);
  /// Instead of texts only names of the program's own queries, and nothing for others.
  void use_names_only() noexcept { names_only_ = true; }

 private:
  Task<void> read_table(Connection& connection, const TableSource& source, Statistics& out);
  Task<void> note_hidden(Connection& connection, std::string_view view, Statistics& out);

  Db& db_;
  StatisticsOptions options_;
  StatementNames names_;
  std::string database_;
  std::string statements_;
  bool names_only_ = false;
};

/// Puts each session below the one that it waits for, the oldest first, and writes down how deep.
void arrange_waits(StatisticsTable& table);

}  // namespace ashlar::pg::detail
