#include <ashlar/pg/migration_lint.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/lint.hpp>
#include <ashlar/pg/detail/scratch.hpp>
#include <ashlar/pg/detail/sql_statements.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg {
namespace {

constexpr std::array kRules = std::to_array<LintRule>({
    {"add-column-not-null", "a column without a default that may not be null: fails when there are rows"},
    {"add-column-rewrite", "a default that differs for each row, serial, identity, generated: writes the table anew"},
    {"allow-without-reason", "a rule is allowed, and nobody says why"},
    {"attach-partition", "reads the partition to check its rows"},
    {"check-without-not-valid", "reads the whole table to check its rows"},
    {"column-type-rewrite", "another type: writes the table and its indexes anew"},
    {"concurrently-in-transaction", "fails: it cannot be part of a transaction"},
    {"detach-partition-without-concurrently", "locks all partitions"},
    {"drop-column", "the program that still runs may use it"},
    {"drop-index-without-concurrently", "locks the table"},
    {"drop-schema", "the program that still runs may use what is in it"},
    {"drop-table", "the program that still runs may use it"},
    {"enum-value-in-transaction", "fails: a new value is used before the commit"},
    {"exclusion-constraint", "builds an index while nobody may use the table"},
    {"foreign-key-without-not-valid", "reads the whole table while nobody may write it or the one it refers to"},
    {"index-without-concurrently", "nobody writes to the table while the index is built"},
    {"refresh-without-concurrently", "nobody reads the view until it is made anew"},
    {"rename-column", "the program that still runs asks for the old name"},
    {"rename-enum-value", "the program that still runs writes the old value"},
    {"rename-table", "the program that still runs asks for the old name"},
    {"set-not-null", "reads the whole table, unless a valid check proves it"},
    {"several-locked-tables", "more than one table is locked against all others in one transaction"},
    {"several-statements", "outside a transaction: the file may be stuck half-way"},
    {"table-rewrite", "writes the whole table anew (found by running it)"},
    {"truncate", "all rows are lost"},
    {"unique-without-index", "builds an index while nobody may use the table"},
    {"unknown-rule", "a rule is allowed that does not exist"},
    {"vacuum-full", "writes the whole table anew"},
    {"validate-in-same-transaction", "the lock of `add constraint` is held while the rows are read"},
    {"write-all-rows", "locks every row until the end"},
});

/// The file of each table and of its indexes, by name, of each table.
using Files = std::map<std::string, std::map<std::string, std::string>>;

Task<Files> files_of_tables(detail::Connection& connection) {
  Files out;
  for (const auto& row : co_await detail::TextQuery(
           connection,
           "select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname, f.relname, "
           "pg_relation_filenode(f.oid) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = "
           "c.relnamespace join pg_catalog.pg_class f on f.oid = c.oid or f.oid in (select i.indexrelid from "
           "pg_catalog.pg_index i where i.indrelid = c.oid) where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and "
           "n.nspname <> 'information_schema' and c.relname <> 'ashlar_migrations'"))
    out[row.at(0).value_or("")][row.at(1).value_or("")] = row.at(2).value_or("");
  co_return out;
}

/// Whether anything that was there has another file; what was added or taken away since is no rewrite.
bool is_rewritten(const std::map<std::string, std::string>& before, const std::map<std::string, std::string>& after) {
  return std::ranges::any_of(before, [&after](const auto& one) {
    const auto it = after.find(one.first);
    return it != after.end() && it->second != one.second;
  });
}

Task<std::vector<std::string>> locked_tables(detail::Connection& connection) {
  std::vector<std::string> out;
  for (const auto& row : co_await detail::TextQuery(connection,
                                                    "select case n.nspname when 'public' then '' else n.nspname || '.' "
                                                    "end || c.relname from pg_catalog.pg_locks l join "
                                                    "pg_catalog.pg_class c on c.oid = l.relation join "
                                                    "pg_catalog.pg_namespace n on n.oid = c.relnamespace where l.pid = "
                                                    "pg_backend_pid() and l.mode = 'AccessExclusiveLock' and c.relkind "
                                                    "in ('r', 'p', 'm') and n.nspname !~ '^pg_'"))
    out.push_back(row.at(0).value_or(""));
  co_return out;
}

Task<void> measure(detail::Connection& connection, const Migration& migration, std::vector<LintFact>& out) {
  const Files at_start = co_await files_of_tables(connection);
  Files before = at_start;
  if (migration.transactional) co_await detail::TextQuery(connection, "begin");
  for (const detail::SqlStatement& statement : detail::sql_statements(migration.up)) {
    LintFact fact{.version = migration.version, .line = statement.line};
    const std::string sql(statement.text);
    try {
      co_await detail::TextQuery(connection, sql);
    } catch (const ErrorFields& error) {
      throw Invalid(fmt::format("migration {}:{} fails on a scratch database: {} {}: {}", migration.file.string(),
                                statement.line, error.severity, error.code, error.primary));
    }
    const Files after = co_await files_of_tables(connection);
    for (const auto& [table, files] : after) {
      const auto it = before.find(table);
      if (it != before.end() && at_start.contains(table) && is_rewritten(it->second, files))
        fact.rewritten.push_back(table);
    }
    before = after;
    if (migration.transactional) {
      for (std::string& table : co_await locked_tables(connection)) {
        if (at_start.contains(table)) fact.locked.push_back(std::move(table));
      }
    }
    out.push_back(std::move(fact));
  }
  if (migration.transactional) co_await detail::TextQuery(connection, "commit");
}

}  // namespace

std::span<const LintRule> lint_rules() noexcept { return kRules; }

std::vector<LintFinding> lint_migrations(std::span<const Migration> files, LintOptions options) {
  std::vector<LintFinding> out;
  detail::Linter linter(options, out);
  for (const Migration& file : files) linter.file(file);
  return out;
}

Task<std::vector<LintFact>> measure_migrations(Db& db, std::span<const Migration> files) {
  std::vector<LintFact> out;
  detail::Scratch scratch(db);
  co_await scratch.run([&](detail::Connection& connection) -> Task<void> {
    for (const Migration& file : files) co_await measure(connection, file, out);
  });
  co_return out;
}

std::string to_text(std::span<const LintFinding> findings) {
  std::string out;
  for (const LintFinding& finding : findings) {
    out += fmt::format("{}:{}: {}: {}\n", finding.file.string(), finding.line, finding.rule, finding.why);
    for (std::size_t from = 0; from < finding.safer.size();) {
      const std::size_t end = std::min(finding.safer.find('\n', from), finding.safer.size());
      out += fmt::format("    {}\n", finding.safer.substr(from, end - from));
      from = end + 1;
    }
  }
  return out;
}

}  // namespace ashlar::pg
