// A query's plan as EXPLAIN gives it, and how to ask for it without values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>

namespace ashlar::pg::detail {

/// One node. Texts are empty where the node has no such thing; numbers that were not asked for are below zero.
struct PlanNode {
  std::string type;       ///< "Index Scan"
  std::string operation;  ///< of a ModifyTable: Insert, Update, Delete, Merge
  std::string schema, relation, alias;
  std::string index;
  std::string index_condition, filter;
  std::string join_type;     ///< Inner, Left, Right, Full, Semi, Anti
  std::string relationship;  ///< to its parent: Outer, Inner, SubPlan, …
  std::vector<std::string> output;
  std::string join_condition;  ///< of a hash or merge join
  std::string join_filter;
  std::vector<std::string> sort_keys, presorted_keys;
  double startup_cost = 0, total_cost = 0, rows = 0;
  double actual_rows = -1, actual_loops = -1, actual_ms = -1, removed_rows = -1;
  double blocks = -1;   ///< read or found in memory, of this node and those below
  double disk_kb = -1;  ///< written by a sort or a hash that did not fit into work_mem
  std::vector<PlanNode> children;

  [[nodiscard]] bool is_sequential() const noexcept { return type == "Seq Scan"; }
  [[nodiscard]] bool is_index() const noexcept { return type == "Index Scan" || type == "Index Only Scan"; }
};

struct Plan {
  PlanNode root;
  double execution_ms = -1;
};

/// How the planner is to choose.
enum class PlanMode : std::uint8_t {
  normal,
  structural,  ///< as if reading a whole table were the last resort: what is read so has no index, however few rows
               ///< there are
};

/// Throws Invalid when the text is not what EXPLAIN (FORMAT JSON) gives, or nests deeper than 30 nodes.
[[nodiscard]] Plan parse_plan(std::string_view json);

/// The settings under which plan_statement asks; once for each connection, which is good for nothing else afterwards.
[[nodiscard]] Task<void> prepare_to_plan(Connection& connection);
/// The plan for any values: PREPARE and EXPLAIN EXECUTE with plan_cache_mode = force_generic_plan, which works before
/// PostgreSQL 16 (GENERIC_PLAN), too. Nothing is run. `parameters`: how many there are. Throws the server's error.
[[nodiscard]] Task<Plan> plan_statement(Connection& connection, std::string sql, std::size_t parameters, PlanMode mode);

/// Select, insert, update, delete, merge, values or with: what has a plan.
[[nodiscard]] bool has_plan(std::string_view sql);

/// Calls f for the node and all below, parents first.
template <class F>
void for_each_node(const PlanNode& node, F&& f) {
  f(node);
  for (const PlanNode& child : node.children) for_each_node(child, f);
}

}  // namespace ashlar::pg::detail
