#include <ashlar/pg/detail/statistics_reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/statistics_rules.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg::detail {
namespace {

constexpr std::string_view kHowToCount =
    "pg_stat_statements is not there: add it to shared_preload_libraries, start the server again, and run `create "
    "extension pg_stat_statements`";

void replace(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

std::string why(const ErrorFields& error) {
  if (error.code == "55P03") return "a table is locked, and its size must wait; see `db locks`";
  if (error.code == "57014") return "it took longer than 15 seconds";
  return error.primary;
}

std::size_t index_of(const StatisticsTable& table, std::string_view column) {
  const auto it = std::ranges::find(table.columns, column, &StatisticsColumn::name);
  return static_cast<std::size_t>(it - table.columns.begin());
}

}  // namespace

StatisticsReader::StatisticsReader(Db& db, StatisticsOptions options) : db_(db), options_(std::move(options)) {
  if (order_of(options_.order).empty())
    throw Invalid(fmt::format("`{}` is no order: total, mean, max, calls, rows or read", options_.order));
  if (options_.rows == 0) throw Invalid("statistics of no rows: ask for one at least");
  check_rules(options_);
}

Task<void> StatisticsReader::prepare(Connection& connection, std::string_view program) {
  const std::string sql = fmt::format(
      "set search_path = pg_catalog; set statement_timeout = '15s'; set lock_timeout = '500ms'; set jit = off; set "
      "application_name = {}",
      quote_literal(program));
  co_await Execution(connection, sql);
}

Task<std::string> StatisticsReader::find_statements(Connection& connection) {
  const auto rows =
      co_await TextQuery(connection,
                         "select quote_ident(n.nspname) || '.pg_stat_statements' from pg_extension e join "
                         "pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'");
  co_return rows.empty() ? std::string() : rows.at(0).at(0).value_or("");
}

Task<Statistics> StatisticsReader::read(std::string view) {
  const bool is_check = view == "check";
  if (!is_check && std::ranges::find(table_sources(), view, &TableSource::view) == table_sources().end())
    throw Invalid(fmt::format("`{}` is no view of the database", view));
  Statistics out;
  co_await db_.with_session([&](Connection& connection) -> Task<void> {
    co_await prepare(connection, "ashlar db");
    co_await read_on(connection, view, true, out);
    // The overview shows what is wrong, wherever.
    if (view == "overview") {
      Statistics rest;
      co_await read_on(connection, "check", true, rest);
      judge(rest, options_);
      out.alerts = std::move(rest.alerts);
      for (std::string& note : rest.notes) {
        if (std::ranges::find(out.notes, note) == out.notes.end()) out.notes.push_back(std::move(note));
      }
    }
  });
  if (is_check || view == "top") co_await read_statements(out);
  if (view != "overview") judge(out, options_);
  if (is_check) out.tables.clear();
  out.view = std::move(view);
  co_return out;
}

Task<void> StatisticsReader::read_on(Connection& connection, std::string_view view, bool with_heavy, Statistics& out) {
  const auto rows = co_await TextQuery(connection, "select current_database()");
  database_ = rows.at(0).at(0).value_or("");
  statements_ = co_await find_statements(connection);
  for (const TableSource& source : table_sources()) {
    if ((source.view != view && view != "check") || source.view == "top" || (source.is_heavy && !with_heavy)) continue;
    co_await read_table(connection, source, out);
  }
  co_await note_hidden(connection, view, out);
}

Task<void> StatisticsReader::read_table(Connection& connection, const TableSource& source, Statistics& out) {
  StatisticsTable table{.view = std::string(source.view),
                        .name = std::string(source.name),
                        .title = std::string(source.title),
                        .columns = columns_of(source),
                        .is_list = source.is_list};
  std::string sql(source.sql);
  replace(sql, "{rows}", fmt::format("{}", options_.rows));
  replace(sql, "{order}", order_of(options_.order));
  replace(sql, "{statements}", statements_);
  replace(sql, "{database}", quote_literal(database_));
  try {
    table.rows = co_await TextQuery(connection, sql);
  } catch (const ErrorFields& error) {
    out.notes.push_back(fmt::format("{}: {}", source.title, why(error)));
    co_return;
  }
  for (auto& row : table.rows) row.resize(table.columns.size());
  if (!source.statements.empty()) {
    const std::size_t column = index_of(table, source.statements);
    for (auto& row : table.rows) {
      if (row[column]) row[column] = names_only_ ? names_.find(*row[column]) : names_.describe(*row[column], 200);
    }
  }
  if (source.view == "locks") arrange_waits(table);
  out.tables.push_back(std::move(table));
}

/// What each statement costs is counted for the whole server. On a private one it is looked at from the database
/// `postgres`, so that the program's own stays as its migrations made it.
Task<void> StatisticsReader::read_statements(Statistics& out) {
  const TableSource& source = *std::ranges::find(table_sources(), "top", &TableSource::view);
  const bool is_private = db_.private_server() != nullptr;
  try {
    co_await db_.with_session(
        [&](Connection& connection) -> Task<void> {
          co_await prepare(connection, "ashlar db");
          if (is_private)
            co_await Execution(connection, "create extension if not exists pg_stat_statements schema public");
          statements_ = co_await find_statements(connection);
          if (statements_.empty()) {
            out.notes.emplace_back(kHowToCount);
          } else {
            co_await read_table(connection, source, out);
          }
        },
        is_private ? "postgres" : "");
  } catch (const ErrorFields& error) {
    out.notes.push_back(fmt::format("{}: {}", source.title, why(error)));
  }
}

Task<void> StatisticsReader::note_hidden(Connection& connection, std::string_view view, Statistics& out) {
  try {
    const auto rows = co_await TextQuery(
        connection,
        "select quote_ident(current_user), pg_has_role(current_user, 'pg_read_all_stats', 'usage'), (select count(*) "
        "from "
        "pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'm') and n.nspname not in "
        "('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)' and not has_table_privilege(c.oid, "
        "'select'))");
    const auto& row = rows.at(0);
    if (row.at(1) != "t")
      out.notes.push_back(
          fmt::format("statements, states and addresses of other users, and replicas, are hidden from "
                      "this role: `grant pg_monitor to {}`",
                      row.at(0).value_or("")));
    if ((view == "bloat" || view == "check") && row.at(2) != "0")
      out.notes.push_back(
          fmt::format("bloat of {} tables is not estimated, as this role may not read them: `grant "
                      "pg_read_all_data to {}`",
                      row.at(2).value_or(""), row.at(0).value_or("")));
  } catch (const ErrorFields& error) {
    out.notes.push_back(fmt::format("what this role may see: {}", why(error)));
  }
}

void arrange_waits(StatisticsTable& table) {
  const std::size_t depth = index_of(table, "depth");
  const std::size_t session = index_of(table, "session");
  const std::size_t blockers = index_of(table, "blocked_by");
  table.columns[depth].is_hidden = table.columns[blockers].is_hidden = true;
  std::vector<std::vector<std::optional<std::string>>> arranged;
  std::set<std::string> placed;
  const auto place = [&](const auto& self, std::size_t row, std::size_t level) -> void {
    const std::string pid = table.rows[row][session].value_or("");
    if (!placed.insert(pid).second) return;
    arranged.push_back(table.rows[row]);
    arranged.back()[depth] = fmt::format("{}", level);
    for (std::size_t other = 0; other < table.rows.size(); ++other) {
      const std::string list = fmt::format(" {} ", table.rows[other][blockers].value_or(""));
      if (list.contains(fmt::format(" {} ", pid))) self(self, other, level + 1);
    }
  };
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (table.rows[row][blockers].value_or("").empty()) place(place, row, 0);
  }
  // A circle: a deadlock that the server has not found yet.
  for (std::size_t row = 0; row < table.rows.size(); ++row) place(place, row, 0);
  table.rows = std::move(arranged);
}

}  // namespace ashlar::pg::detail
