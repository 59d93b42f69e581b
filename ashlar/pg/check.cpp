#include <ashlar/pg/check.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <ashlar/pg/detail/outer_joins.hpp>

namespace ashlar::pg {
namespace {

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

/// Columns that their table knows to be there, but that an outer join may leave empty.
Task<void> look_at_outer_joins(detail::Connection& connection, DescribedQuery& query) {
  const std::string_view sql = query.statement->sql();
  if (std::ranges::find(query.nulls, RowVerifier::Null::never) == query.nulls.end() || !detail::has_outer_join(sql))
    co_return;
  const auto plan = co_await detail::plan_unseen(connection, sql, query.parameters.size());
  if (!plan) co_return;
  const std::vector<bool> far = detail::on_far_side(plan->root);
  for (std::size_t i = 0; i < std::min(far.size(), query.nulls.size()); ++i) {
    if (far[i] && query.nulls[i] == RowVerifier::Null::never) query.nulls[i] = RowVerifier::Null::outer;
  }
}

std::string problem_of(const Statement& statement, const ErrorFields& error) {
  std::string text = fmt::format("{} is not valid in this database:\n  - {} {}: {}", statement.describe(),
                                 error.severity, error.code, error.primary);
  if (error.position != 0) {
    const std::string_view rest =
        statement.sql().substr(std::min<std::size_t>(error.position - 1, statement.sql().size()));
    text += fmt::format("\n  - at: {}", rest.substr(0, std::min(rest.find('\n'), std::size_t{40})));
  }
  if (!error.hint.empty()) text += "\n  - hint: " + error.hint;
  return text;
}

}  // namespace

std::vector<const Statement*> statements_in_order() {
  std::vector<const Statement*> out;
  Statement::for_each([&](const Statement& statement) { out.push_back(&statement); });
  std::ranges::sort(out, [](const Statement* a, const Statement* b) {
    const int files = std::string_view(a->file()).compare(b->file());
    return files != 0 ? files < 0 : a->line() < b->line();
  });
  return out;
}

Task<std::vector<DescribedQuery>> describe_queries(detail::Connection& connection) {
  std::vector<DescribedQuery> queries;
  for (const Statement* statement : statements_in_order()) queries.push_back({.statement = statement});

  std::set<std::uint32_t> tables;
  for (DescribedQuery& query : queries) {
    detail::Description description(connection, query.statement->sql());
    co_await description;
    if (description.error) {
      query.problem = problem_of(*query.statement, *description.error);
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
    query.parameters = std::move(description.parameters);
    query.fields = std::move(description.fields);
  }

  const auto not_null = co_await load_not_null(connection, std::move(tables));
  for (DescribedQuery& query : queries) {
    for (const wire::Field& field : query.fields) {
      const auto it = not_null.find({field.table, field.attribute});
      query.nulls.push_back(it == not_null.end() ? RowVerifier::Null::unknown
                            : it->second         ? RowVerifier::Null::never
                                                 : RowVerifier::Null::possible);
    }
    co_await look_at_outer_joins(connection, query);
  }
  co_return queries;
}

Task<std::vector<std::string>> check_queries(detail::Connection& connection) {
  std::vector<std::string> problems;
  std::vector<std::string> misfits;
  for (const DescribedQuery& query : co_await describe_queries(connection)) {
    if (!query.problem.empty()) {
      problems.push_back(query.problem);
      continue;
    }
    auto found =
        detail::verify(query.statement->spec(), connection.types(), query.parameters, query.fields, query.nulls);
    if (detail::is_copy(query.statement->sql())) found.emplace_back(detail::kCopyProblem);
    if (!found.empty()) misfits.push_back(detail::mismatch_message(*query.statement, found));
  }
  problems.insert(problems.end(), misfits.begin(), misfits.end());
  co_return problems;
}

}  // namespace ashlar::pg
