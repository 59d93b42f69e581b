#include <ashlar/pg/detail/outer_joins.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg::detail {
namespace {

/// Columns are printed alike all the way up to where they leave the plan, so a child that gives the same text gives the
/// column.
bool comes_from_far_side(const PlanNode& node, const std::string& column) {
  for (const PlanNode& child : node.children) {
    const bool inner = child.relationship == "Inner";
    if (!inner && child.relationship != "Outer") continue;
    if (std::ranges::find(child.output, column) == child.output.end()) continue;
    if (node.join_type == "Full" || (node.join_type == "Left" && inner) || (node.join_type == "Right" && !inner))
      return true;
    return comes_from_far_side(child, column);
  }
  return false;
}

}  // namespace

bool has_outer_join(std::string_view sql) {
  const auto tokens = sql_tokens(sql);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (!tokens[i].is("left") && !tokens[i].is("right") && !tokens[i].is("full")) continue;
    if (tokens[i + 1].is("join") || tokens[i + 1].is("outer")) return true;
  }
  return false;
}

std::vector<bool> on_far_side(const PlanNode& root) {
  std::vector<bool> out;
  out.reserve(root.output.size());
  for (const std::string& column : root.output) out.push_back(comes_from_far_side(root, column));
  return out;
}

Task<std::optional<Plan>> plan_unseen(Connection& connection, std::string_view sql, std::size_t parameters) {
  static constexpr std::string_view kName = "ashlar_outer_joins";
  while (!sql.empty() && (sql.back() == ';' || sql.back() == ' ' || sql.back() == '\n')) sql.remove_suffix(1);
  std::string nulls;
  for (std::size_t i = 0; i < parameters; ++i) nulls += i == 0 ? "(null" : ", null";
  if (parameters != 0) nulls += ')';
  // The line break ends a comment in the SQL. As one message it runs in one session, also behind a pooler.
  const std::string text = fmt::format(
      "begin; set local plan_cache_mode = force_generic_plan; set local client_min_messages = error; "
      "set local max_parallel_workers_per_gather = 0; set local jit = off; prepare {0} as {1}\n; "
      "explain (verbose, format json) execute {0}{2}; deallocate {0}; rollback",
      kName, sql, nulls);
  bool undo = false;
  try {
    const auto rows = co_await TextQuery(connection, text);
    co_return parse_plan(rows.at(0).at(0).value_or(""));
  } catch (const ErrorFields& error) {
    log::debug("a query has no plan to see its outer joins in", {{"reason", error.text()}});
    undo = connection.open_now();
  }
  if (undo) {
    // A prepared statement outlives the transaction in which EXPLAIN failed.
    const std::string sweep = fmt::format("rollback; deallocate {}", kName);
    try {
      co_await TextQuery(connection, sweep);
    } catch (const ErrorFields&) {
      // it had not been prepared
    }
  }
  co_return std::nullopt;
}

}  // namespace ashlar::pg::detail
