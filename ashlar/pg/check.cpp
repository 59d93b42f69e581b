#include <ashlar/pg/check.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace ashlar::pg {
namespace {

struct Described {
  const Statement* statement;
  std::vector<Oid> parameters;
  std::vector<wire::Field> fields;
};

using Column = std::pair<std::uint32_t, std::int16_t>;

Task<std::map<Column, bool>> load_not_null(detail::Connection& connection, std::set<std::uint32_t> tables) {
  std::map<Column, bool> out;
  if (tables.empty()) co_return out;
  std::string list;
  for (const auto table : tables) list += fmt::format("{}{}", list.empty() ? "" : ",", table);
  const std::string sql = fmt::format(
      "select a.attrelid, a.attnum, a.attnotnull from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = "
      "a.attrelid "
      "where c.relkind in ('r', 'p', 'f') and a.attnum > 0 and a.attrelid in ({})",
      list);
  for (const auto& row : co_await detail::TextQuery(connection, sql)) {
    Column column{};
    std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), column.first);
    std::from_chars(row[1]->data(), row[1]->data() + row[1]->size(), column.second);
    out[column] = row[2] == "t";
  }
  co_return out;
}

}  // namespace

Task<std::vector<std::string>> check_queries(detail::Connection& connection) {
  std::vector<const Statement*> statements;
  Statement::for_each([&](const Statement& statement) { statements.push_back(&statement); });
  std::sort(statements.begin(), statements.end(), [](const Statement* a, const Statement* b) {
    const int files = std::string_view(a->file()).compare(b->file());
    return files != 0 ? files < 0 : a->line() < b->line();
  });

  std::vector<std::string> problems;
  std::vector<Described> described;
  std::set<std::uint32_t> tables;
  for (const Statement* statement : statements) {
    detail::Description description(connection, statement->sql());
    co_await description;
    if (description.error) {
      const ErrorFields& error = *description.error;
      std::string text = fmt::format("{} is not valid in this database:\n  - {} {}: {}", statement->describe(),
                                     error.severity, error.code, error.primary);
      if (error.position != 0) {
        const std::string_view rest =
            statement->sql().substr(std::min<std::size_t>(error.position - 1, statement->sql().size()));
        text += fmt::format("\n  - at: {}", rest.substr(0, std::min(rest.find('\n'), std::size_t{40})));
      }
      if (!error.hint.empty()) text += "\n  - hint: " + error.hint;
      problems.push_back(std::move(text));
      continue;
    }
    const auto unknown = detail::unknown_types(connection.types(), description.parameters, description.fields);
    if (!unknown.empty()) {
      const std::string sql = detail::type_lookup_sql(unknown);
      for (const auto& row : co_await detail::TextQuery(connection, sql)) detail::add_type(connection.types(), row);
    }
    for (const wire::Field& field : description.fields) {
      if (field.table != 0) tables.insert(field.table);
    }
    described.push_back({statement, std::move(description.parameters), std::move(description.fields)});
  }

  const auto not_null = co_await load_not_null(connection, std::move(tables));
  for (const Described& one : described) {
    std::vector<RowVerifier::Null> nulls;
    for (const wire::Field& field : one.fields) {
      const auto it = not_null.find({field.table, field.attribute});
      nulls.push_back(it == not_null.end() ? RowVerifier::Null::unknown
                      : it->second         ? RowVerifier::Null::never
                                           : RowVerifier::Null::possible);
    }
    const auto found = detail::verify(one.statement->spec(), connection.types(), one.parameters, one.fields, nulls);
    if (!found.empty()) problems.push_back(detail::mismatch_message(*one.statement, found));
  }
  co_return problems;
}

}  // namespace ashlar::pg
