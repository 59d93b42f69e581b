#include <ashlar/pg/old_program.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/scratch.hpp>
#include <ashlar/pg/detail/sql_statements.hpp>
#include <ashlar/pg/migrations.hpp>

namespace ashlar::pg {
namespace {

using detail::Connection;
using detail::TextQuery;

struct Column {
  std::uint32_t table = 0;
  std::int16_t attribute = 0;
  auto operator<=>(const Column&) const = default;
};

struct Schema {
  std::set<Column> not_null;
  /// Columns of a table that every INSERT must name.
  std::map<std::string, std::set<std::string>> required;
};

Task<Schema> load(Connection& connection) {
  Schema out;
  for (const auto& row : co_await TextQuery(
           connection,
           "select a.attrelid, a.attnum, case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname, "
           "a.attname, not a.atthasdef and a.attidentity = '' and t.typdefault is null from pg_catalog.pg_attribute a "
           "join "
           "pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace join "
           "pg_catalog.pg_type t on t.oid = a.atttypid where c.relkind in ('r', 'p', 'f') and a.attnum > 0 and not "
           "a.attisdropped and a.attnotnull and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'")) {
    Column column;
    const std::string table = row.at(0).value_or(""), attribute = row.at(1).value_or("");
    std::from_chars(table.data(), table.data() + table.size(), column.table);
    std::from_chars(attribute.data(), attribute.data() + attribute.size(), column.attribute);
    out.not_null.insert(column);
    if (row.at(4) == "t") out.required[row.at(2).value_or("")].insert(row.at(3).value_or(""));
  }
  co_return out;
}

/// "insert into orders (id, total) …": columns that it leaves out and must not.
std::vector<std::string> missing_columns(std::string_view sql, const Schema& schema) {
  std::vector<std::string> out;
  const auto tokens = detail::sql_tokens(sql);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (!tokens[i].is("insert") || !tokens[i + 1].is("into")) continue;
    detail::SqlCursor cursor(detail::SqlTokens(tokens).subspan(i + 2));
    const auto table = schema.required.find(cursor.name());
    if (table == schema.required.end()) continue;
    if (cursor.accept("as")) cursor.skip();
    std::set<std::string> left = table->second;
    detail::SqlCursor columns(cursor.parentheses());
    if (columns.done()) continue;  // all columns in order: the server has compared their number
    while (!columns.done()) left.erase(detail::SqlCursor(columns.item()).name());
    for (const std::string& column : left) out.push_back(table->first + "." + column);
  }
  return out;
}

/// Names as a snapshot has them: of two types with one name, the second is `mood#2`.
std::string_view plain(std::string_view type) { return type.substr(0, type.find('#')); }

class Check {
 public:
  explicit Check(Connection& connection) : connection_(connection) {}

  Task<std::vector<std::string>> run(const QuerySnapshot& old) {
    schema_ = co_await load(connection_);
    std::vector<std::string> out;
    for (const SnapshotQuery& query : old.queries) {
      const std::vector<std::string> problems = co_await problems_of(query);
      if (!problems.empty())
        out.push_back(fmt::format("the old program's query does not fit the new schema:\n  {}\n  - {}", query.sql,
                                  fmt::join(problems, "\n  - ")));
    }
    co_return out;
  }

 private:
  Task<std::vector<std::string>> problems_of(const SnapshotQuery& query) {
    std::vector<std::string> out;
    detail::Description description(connection_, query.sql);
    co_await description;
    if (description.error) {
      out.push_back(
          fmt::format("{} {}: {}", description.error->severity, description.error->code, description.error->primary));
      co_return out;
    }
    const auto unknown = detail::unknown_types(connection_.types(), description.parameters, description.fields);
    if (!unknown.empty()) {
      const std::string sql = detail::type_lookup_sql(unknown);
      for (const auto& row : co_await TextQuery(connection_, sql)) detail::add_type(connection_.types(), row);
    }
    compare(query, description.parameters, description.fields, out);
    for (const std::string& column : missing_columns(query.sql, schema_))
      out.push_back(fmt::format("it inserts no {}, which may not be null and has no default", column));
    co_return out;
  }

  void compare(const SnapshotQuery& query, const std::vector<Oid>& parameters, const std::vector<wire::Field>& fields,
               std::vector<std::string>& out) const {
    for (std::size_t i = 0; i < std::min(parameters.size(), query.parameters.size()); ++i) {
      const std::string type = connection_.types().name(parameters[i]);
      if (type != plain(query.parameters[i]))
        out.push_back(fmt::format("parameter ${} was {}, and is {}", i + 1, plain(query.parameters[i]), type));
    }
    if (fields.size() != query.columns.size())
      out.push_back(fmt::format("it gave {} columns, and gives {}", query.columns.size(), fields.size()));
    for (std::size_t i = 0; i < std::min(fields.size(), query.columns.size()); ++i) {
      const SnapshotColumn& before = query.columns[i];
      const std::string type = connection_.types().name(fields[i].type);
      if (fields[i].name != before.name)
        out.push_back(fmt::format("column {} was `{}`, and is `{}`", i + 1, before.name, fields[i].name));
      if (type != plain(before.type))
        out.push_back(fmt::format("column `{}` was {}, and is {}", before.name, plain(before.type), type));
      const bool never = fields[i].table != 0 && schema_.not_null.contains({fields[i].table, fields[i].attribute});
      if (before.null == "never" && !never)
        out.push_back(fmt::format("column `{}` may be NULL now, and its member has no room for that", before.name));
    }
  }

  Connection& connection_;
  Schema schema_;
};

}  // namespace

Task<std::vector<std::string>> check_old_program(Db& db, const QuerySnapshot& old) {
  if (db.options().migrations.empty())
    throw Invalid("this program has no migrations: give pg::Options a folder in .migrations");
  const std::vector<Migration> files = load_migrations(db.options().migrations);
  std::vector<std::string> out;
  detail::Scratch scratch(db);
  co_await scratch.run([&](Connection& connection) -> Task<void> {
    Migrator migrator(connection, files, {.announce = false});
    co_await migrator.up();
    Check check(connection);
    out = co_await check.run(old);
  });
  co_return out;
}

}  // namespace ashlar::pg
