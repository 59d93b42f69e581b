#include <ashlar/pg/detail/plan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/detail/sql_tokens.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar::pg::detail {
namespace {

using schema::Tree;

double number_of(const Tree& node, std::string_view name, double otherwise = -1) {
  const Tree* value = node.find(name);
  return value != nullptr && value->kind == Tree::Kind::number ? static_cast<double>(value->number()) : otherwise;
}

std::vector<std::string> texts_of(const Tree& node, std::string_view name) {
  std::vector<std::string> out;
  if (const Tree* list = node.find(name)) {
    for (const Tree& item : list->items) out.push_back(item.text);
  }
  return out;
}

// Names as in ExplainNode of src/backend/commands/explain.c, which has kept them since 9.0.
PlanNode node_of(const Tree& json) {
  PlanNode node;
  node.type = json.text_of("Node Type");
  node.operation = json.text_of("Operation");
  node.schema = json.text_of("Schema");
  node.relation = json.text_of("Relation Name");
  node.alias = json.text_of("Alias");
  node.index = json.text_of("Index Name");
  node.index_condition = json.text_of("Index Cond");
  node.filter = json.text_of("Filter");
  node.join_type = json.text_of("Join Type");
  node.relationship = json.text_of("Parent Relationship");
  node.output = texts_of(json, "Output");
  node.join_condition = json.text_of(json.find("Hash Cond") != nullptr ? "Hash Cond" : "Merge Cond");
  node.join_filter = json.text_of("Join Filter");
  node.sort_keys = texts_of(json, "Sort Key");
  node.presorted_keys = texts_of(json, "Presorted Key");
  node.startup_cost = number_of(json, "Startup Cost", 0);
  node.total_cost = number_of(json, "Total Cost", 0);
  node.rows = number_of(json, "Plan Rows", 0);
  node.actual_rows = number_of(json, "Actual Rows");
  node.actual_loops = number_of(json, "Actual Loops");
  node.actual_ms = number_of(json, "Actual Total Time");
  node.removed_rows = number_of(json, "Rows Removed by Filter");
  if (json.find("Shared Hit Blocks") != nullptr)
    node.blocks = number_of(json, "Shared Hit Blocks", 0) + number_of(json, "Shared Read Blocks", 0);
  if (json.text_of("Sort Space Type") == "Disk") node.disk_kb = number_of(json, "Sort Space Used", 0);
  if (number_of(json, "Hash Batches", 1) > 1) node.disk_kb = number_of(json, "Peak Memory Usage", 0);
  if (number_of(json, "Disk Usage", 0) > 0) node.disk_kb = number_of(json, "Disk Usage", 0);
  if (const Tree* children = json.find("Plans")) {
    for (const Tree& child : children->items) node.children.push_back(node_of(child));
  }
  return node;
}

}  // namespace

Plan parse_plan(std::string_view json) {
  const std::optional<Tree> tree = schema::parse_tree(json);
  if (!tree || tree->kind != Tree::Kind::list || tree->items.empty())
    throw Invalid("what EXPLAIN gave is no plan in JSON, or is nested too deep");
  const Tree* root = tree->items.front().find("Plan");
  if (root == nullptr) throw Invalid("what EXPLAIN gave has no plan in it");
  Plan plan;
  plan.root = node_of(*root);
  plan.execution_ms = number_of(tree->items.front(), "Execution Time");
  return plan;
}

Task<void> prepare_to_plan(Connection& connection) {
  // Parallel plans say the same about indexes, and hide it behind Gather nodes.
  co_await TextQuery(
      connection,
      "set plan_cache_mode = force_generic_plan; set max_parallel_workers_per_gather = 0; set jit = off; "
      "set client_min_messages = error");
}

Task<Plan> plan_statement(Connection& connection, std::string sql, std::size_t parameters, PlanMode mode) {
  while (!sql.empty() && (sql.back() == ';' || sql.back() == ' ' || sql.back() == '\n')) sql.pop_back();
  std::string nulls;
  for (std::size_t i = 0; i < parameters; ++i) nulls += i == 0 ? "(null" : ", null";
  if (parameters != 0) nulls += ')';
  // Prepared anew each time: a kept plan does not see a hypothetical index. The line break ends a comment in the SQL.
  const std::string text = fmt::format(
      "set enable_seqscan = {}; prepare ashlar_plan as {}\n; explain (verbose, format json) execute ashlar_plan{}; "
      "deallocate ashlar_plan",
      mode == PlanMode::structural ? "off" : "on", sql, nulls);
  std::exception_ptr error;
  try {
    const auto rows = co_await TextQuery(connection, text);
    co_return parse_plan(rows.at(0).at(0).value_or(""));
  } catch (...) {
    error = std::current_exception();
  }
  // A prepared statement outlives the transaction in which EXPLAIN failed.
  if (connection.open_now() && connection.transaction_status() == 'I')
    co_await async::shield(
        [](Connection& session) -> Task<void> { co_await TextQuery(session, "deallocate all"); }(connection));
  std::rethrow_exception(error);
}

bool has_plan(std::string_view sql) {
  const auto tokens = sql_tokens(sql);
  const auto first =
      std::ranges::find_if(tokens, [](const SqlToken& token) { return token.kind != SqlToken::Kind::open; });
  if (first == tokens.end()) return false;
  for (const std::string_view word : {"select", "insert", "update", "delete", "with", "values", "merge", "table"}) {
    if (first->is(word)) return true;
  }
  return false;
}

}  // namespace ashlar::pg::detail
