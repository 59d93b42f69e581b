// What the advisor knows of the tables: columns, indexes, foreign keys, sizes, and how old the statistics are.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>

namespace ashlar::pg::detail {

struct CatalogColumn {
  std::string name;
  std::string type;     ///< of its domain, if it is one: "text", "_text", "jsonb"
  char category = 'U';  ///< of the type: https://www.postgresql.org/docs/current/catalog-pg-type.html
  double distinct = 0;  ///< values, estimated; 0: not known
  /// Bytes that a value can have at most; 0: no limit. An index refuses rows that are too large for it.
  std::int64_t most_bytes = 0;
  double width = 0;        ///< bytes of the average value; 0: not known
  double correlation = 0;  ///< of its order with that of the rows on disk: 1, -1: the same; 0: none, or not known
};

struct CatalogIndex {
  std::string name;
  std::string method;                  ///< btree, gin, …
  std::vector<std::string> keys;       ///< columns and expressions in order, without those that are only included
  std::vector<std::string> full_keys;  ///< the same with collations, operator classes and directions
  std::vector<std::string> included;
  std::string predicate;   ///< of a partial one
  std::string definition;  ///< create index …
  std::string comment;
  bool unique = false;
  /// Something stands on it: a constraint, a foreign key of another table, an index of a whole partitioned table, how
  /// replicas know rows.
  bool constraint = false;
  bool valid = true;
  std::int64_t bytes = 0;
  std::int64_t scans = 0;  ///< since the server's counters began
};

struct CatalogTable {
  std::uint32_t id = 0;
  std::string schema, name;
  bool visible = true;  ///< to this user, by its name alone
  std::string comment;
  double rows = -1;        ///< as of the last ANALYZE or VACUUM; below zero: never
  double rows_found = -1;  ///< when the copy was analyzed
  std::int64_t pages_then = 0;
  std::int64_t pages_now = 0;
  std::int64_t changed_since_analyze = 0;
  std::int64_t inserts = 0, updates = 0, hot_updates = 0, deletes = 0;
  std::int64_t scans = 0;  ///< of the table and its indexes
  std::map<std::string, CatalogColumn> columns;
  std::vector<CatalogIndex> indexes;

  [[nodiscard]] std::string qualified() const;  ///< with the schema where it is not public, or another table hides it
  /// An index of it or statistics, by name, as SQL names it.
  [[nodiscard]] std::string beside(std::string_view index) const;
  /// Rows as the planner would count them now.
  [[nodiscard]] double rows_now() const noexcept;
  /// Too few rows for costs to say anything: every plan is cheap.
  [[nodiscard]] bool is_small() const noexcept;
};

struct CatalogForeignKey {
  std::string name;
  std::string comment;
  std::uint32_t table = 0;
  std::vector<std::string> columns;
  std::string referenced;
};

struct Catalog {
  std::map<std::pair<std::string, std::string>, CatalogTable> tables;  ///< by schema and name; none of the system's
  std::vector<CatalogForeignKey> foreign_keys;
  std::string counters_since;  ///< when the server began to count scans; empty: not known

  [[nodiscard]] const CatalogTable* find(const std::string& schema, const std::string& name) const;
  [[nodiscard]] const CatalogTable* find(std::uint32_t id) const;
};

/// The keys and the included columns of `CREATE INDEX …`, as pg_get_indexdef prints it.
void read_definition(CatalogIndex& index);

[[nodiscard]] Task<Catalog> load_catalog(Connection& connection);
/// The columns again, when their statistics are new.
[[nodiscard]] Task<void> load_columns(Connection& connection, Catalog& catalog);

}  // namespace ashlar::pg::detail
