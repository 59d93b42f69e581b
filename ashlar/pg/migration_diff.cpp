#include <ashlar/pg/migration_diff.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/migration_file.hpp>
#include <ashlar/pg/detail/propose.hpp>
#include <ashlar/pg/detail/schema_image.hpp>
#include <ashlar/pg/detail/scratch.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/migrations.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg {
namespace {

using detail::Connection;
using detail::TextQuery;

/// The types of the columns that are there, for the codecs of the members.
Task<void> learn_types(Connection& connection, const detail::Image& image) {
  std::vector<Oid> unknown;
  for (const auto& [name, table] : image.tables) {
    for (const detail::ImageColumn& column : table.columns) {
      if (connection.types().find(column.type_id) == nullptr) unknown.push_back(column.type_id);
    }
  }
  if (unknown.empty()) co_return;
  const std::string sql = detail::type_lookup_sql(unknown);
  for (const auto& row : co_await TextQuery(connection, sql)) detail::add_type(connection.types(), row);
}

Task<void> declare(Connection& connection, const TableDeclaration& table, std::string sql) {
  try {
    co_await TextQuery(connection, sql);
  } catch (const ErrorFields& error) {
    throw Invalid(fmt::format("the declaration of table {} ({}:{}) is refused: {} {}: {}{}\n{}", table.spec().name,
                              table.file(), table.line(), error.severity, error.code, error.primary,
                              error.hint.empty() ? "" : "; hint: " + error.hint, sql));
  }
}

/// In place of the tables of the migrations, those of the declarations.
Task<std::vector<detail::DeclaredTable>> make_declared(Connection& connection,
                                                       std::vector<const TableDeclaration*> tables) {
  std::vector<detail::DeclaredTable> out;
  for (const TableDeclaration* table : tables) {
    const std::string_view name = table->spec().name;
    if (const std::size_t dot = name.find('.'); dot != std::string_view::npos) {
      const std::string schema =
          fmt::format("create schema if not exists {}", detail::quote_identifier(name.substr(0, dot)));
      co_await declare(connection, *table, schema);
    }
    std::string parts = detail::quote_identifier(name);
    if (const std::size_t dot = name.find('.'); dot != std::string_view::npos)
      parts = detail::quote_identifier(name.substr(0, dot)) + "." + detail::quote_identifier(name.substr(dot + 1));
    co_await declare(connection, *table, fmt::format("drop table if exists {} cascade", parts));
    co_await declare(connection, *table, detail::create_sql(table->spec()));
    const std::string ask = fmt::format(
        "select case n.nspname when 'public' then '' else quote_ident(n.nspname) || '.' end || quote_ident(c.relname) "
        "from "
        "pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = {}::regclass",
        detail::quote_literal(parts));
    const auto rows = co_await TextQuery(connection, ask);
    out.push_back({table, rows.at(0).at(0).value_or("")});
  }
  for (const TableDeclaration* table : tables) {
    for (const std::string& sql : detail::later_sql(table->spec())) co_await declare(connection, *table, sql);
  }
  co_return out;
}

}  // namespace

std::vector<const TableDeclaration*> declared_tables(const std::vector<std::string>& names) {
  std::vector<const TableDeclaration*> out;
  TableDeclaration::for_each([&](const TableDeclaration& table) {
    if (names.empty() || std::ranges::find(names, table.spec().name) != names.end()) out.push_back(&table);
  });
  for (const std::string& name : names) {
    if (std::ranges::none_of(out, [&](const TableDeclaration* table) { return table->spec().name == name; }))
      throw Invalid(fmt::format("no pg::Table of this program is called {}", name));
  }
  std::ranges::sort(out, {}, [](const TableDeclaration* table) { return table->spec().name; });
  const auto twice =
      std::ranges::adjacent_find(out, {}, [](const TableDeclaration* table) { return table->spec().name; });
  if (twice != out.end())
    throw Invalid(fmt::format("table {} is declared twice: {}:{} and {}:{}", (*twice)->spec().name, (*twice)->file(),
                              (*twice)->line(), (*std::next(twice))->file(), (*std::next(twice))->line()));
  return out;
}

Task<MigrationProposal> propose_migrations(Db& db, std::vector<const TableDeclaration*> tables) {
  if (db.options().migrations.empty())
    throw Invalid("this program has no migrations: give pg::Options a folder in .migrations");
  const std::vector<Migration> files = load_migrations(db.options().migrations);
  MigrationProposal out;
  if (tables.empty()) co_return out;
  detail::Scratch scratch(db);
  co_await scratch.run([&](Connection& connection) -> Task<void> {
    Migrator migrator(connection, files, {.announce = false});
    co_await migrator.up();
    const detail::Image now = co_await detail::load_image(connection);
    co_await learn_types(connection, now);
    const auto declared = co_await make_declared(connection, tables);
    const detail::Image wanted = co_await detail::load_image(connection);
    out = detail::propose(declared, now, wanted, connection.types());
  });
  co_return out;
}

std::vector<fs::path> write_migrations(const fs::path& folder, const MigrationProposal& proposal) {
  std::uint64_t version = 0;
  for (const Migration& migration : load_migrations(folder)) version = std::max(version, migration.version);
  std::vector<fs::path> out;
  for (const ProposedMigration& file : proposal.files) {
    const fs::path path = folder / fmt::format("{:04}_{}.sql", ++version, file.name.substr(0, 100));
    detail::write_migration(path, file.text);
    out.push_back(path);
  }
  return out;
}

}  // namespace ashlar::pg
