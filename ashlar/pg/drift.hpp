// Drift: where a database is not what its migrations make. Somebody has changed it by hand, or a migration did not do
// everywhere what it did here.
#pragma once

#include <string>
#include <vector>

#include <ashlar/async/task.hpp>

namespace ashlar::pg {

class Db;

struct SchemaDifference {
  std::string object;  ///< "column users.email", "index users_email_idx"
  std::string text;    ///< "is text; the migrations make it character varying(20)"
  std::string sql;     ///< that would mend it; empty: nothing short of a migration of your own would
};

/// Applies the migrations of Options::migrations in a scratch database on the same server (on a throwaway server, when
/// this user may not make databases) and compares: tables, columns, types, nullability, defaults, constraints, indexes,
/// enums, domains, sequences, views, functions, triggers, policies, extensions. Those that the database has recorded as
/// applied count, all of them when none is recorded. Changes nothing. Tables called `ashlar_…` that the library makes
/// by itself are no difference. Throws Invalid when there are no migrations or the files are not those that were
/// applied; the server's errors; ConnectionLost.
[[nodiscard]] Task<std::vector<SchemaDifference>> find_drift(Db& db);

/// For people at a terminal: one line each, and the SQL below it.
[[nodiscard]] std::string to_text(const std::vector<SchemaDifference>& differences);

}  // namespace ashlar::pg
