// The advisor: what the plans of all queries of the program say, which indexes and rewrites would make them cheaper,
// and the proof. It proposes; it never changes the database.
//
//   ./service explain                 how each query reads its tables
//   ./service advise                  what would be better, with costs before and after
//   ./service advise --write          the same, as migration files
//
// A query is planned without values (plan_cache_mode = force_generic_plan), and once more with enable_seqscan = off: a
// table that is still read as a whole has no index for its conditions, however few rows there are on this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>

namespace ashlar::pg {

/// How a proposal was tried.
enum class ProofKind : std::uint8_t {
  none,          ///< it was not: the finding says why
  structure,     ///< the table has too few rows for costs: the planner takes the index when whole tables are the last
                 ///< resort
  hypothetical,  ///< by hypopg: the planner was told of an index that is not there
  built,         ///< on a copy of the database
  planned,       ///< the query was planned as it is, and as it is proposed
};

struct Proof {
  ProofKind kind = ProofKind::none;
  double cost_before = 0;  ///< of the query that gains most, as the planner counts
  double cost_after = 0;
  std::int64_t bytes = 0;  ///< of the index
};

struct Finding {
  std::string rule;                  ///< "missing-index"; QueryOptions::allow names it to switch it off
  std::vector<std::string> queries;  ///< "articles_by_author (src/queries.hpp:12)"; those that gain most first
  std::string table;
  std::string message;
  std::string proposal;       ///< SQL: a statement for a migration, or how to write the query; empty: none
  bool is_migration = false;  ///< the proposal changes the schema
  std::string takes_back;     ///< what undoes it
  Proof proof = {};
};

/// How a query reads one of its tables when whole tables are the last resort.
struct TableRead {
  std::string table;
  std::string alias;
  std::string how;  ///< index, whole index, whole table
  std::vector<std::string> indexes;
  std::vector<std::string> served;    ///< conditions that the index serves
  std::vector<std::string> filtered;  ///< those for which rows are read and dropped
};

struct ExplainedQuery {
  std::string name;
  std::string where;  ///< file:line
  std::string sql;
  double cost = 0;  ///< as the planner counts
  std::vector<TableRead> reads;
  std::vector<std::string> flaws;  ///< tables that are read as a whole for want of an index
  std::string problem;             ///< why there is no plan
  // When it was run:
  std::vector<std::string> values;  ///< of its parameters, as SQL
  double milliseconds = -1;
  double pages = -1;  ///< of 8 kB, read or found in memory
};

/// What differs from an earlier explain.
struct PlanChange {
  std::string query;
  std::string text;
  bool is_loss = false;  ///< a table was read by an index, and is no more
};

/// What all proposals together do to one query.
struct Effect {
  std::string query;
  double cost_before = 0;
  double cost_after = 0;
};

struct Advice {
  std::vector<Finding> findings;
  std::vector<Effect> effects;     ///< of queries whose cost changes
  std::vector<std::string> notes;  ///< what could not be looked at or proved, and what is needed for it
  std::size_t queries = 0;         ///< that were looked at
};

class Db;

struct AdviseOptions {
  /// Copy the database to prove what hypopg cannot (GIN, GiST, trigrams; everything, where hypopg is not installed).
  bool copy = true;
  /// Larger databases are not copied.
  std::int64_t max_copy_bytes = std::int64_t{4} << 30;
};

enum class Explain : std::uint8_t {
  plan,  ///< runs nothing
  run,   ///< runs each query, with values out of the tables, on a copy of the database that is dropped at the end
};
/// Plans the queries of the program whose names contain `only`, twice. Throws ConnectionLost and the server's errors;
/// Invalid when they are to be run and there can be no copy.
[[nodiscard]] Task<std::vector<ExplainedQuery>> explain_queries(Db& db, Explain how = Explain::plan,
                                                                std::string only = {});

/// Looks at all queries of the program and at the schema. Changes nothing in the database: indexes are hypothetical
/// (hypopg, whose extension is made in a transaction that is rolled back, unless it is there) or are built in a copy of
/// the database on the same server, dropped at the end. A copy needs the right to make one, and that nobody else is
/// connected; else the notes say so. Throws ConnectionLost and the server's errors.
[[nodiscard]] Task<Advice> advise(Db& db, AdviseOptions options = {});

/// Queries are found again by the name in QueryOptions, else by their SQL. Throws Invalid when `earlier` is not what
/// plans_to_json gave.
[[nodiscard]] std::vector<PlanChange> compare_plans(std::string_view earlier, const std::vector<ExplainedQuery>& now);
/// For a file in the repository: one query a line, without costs, the same for the same plans.
[[nodiscard]] std::string plans_to_json(const std::vector<ExplainedQuery>& queries);

/// Writes each proposal that changes the schema as a migration after the newest one in `folder`; gives the files. An
/// index has a file of its own (`create index concurrently` takes no transaction). Throws Invalid when the folder
/// cannot be written; what was written before stays.
std::vector<std::filesystem::path> write_migrations(const std::filesystem::path& folder, const Advice& advice);

/// For people at a terminal.
[[nodiscard]] std::string to_text(const Advice& advice);
[[nodiscard]] std::string to_text(const std::vector<ExplainedQuery>& queries);

}  // namespace ashlar::pg
