// Which columns of a query may be NULL because an outer join finds nothing, by the query's plan: the planner has made
// an inner join of each outer one whose missing rows a condition drops anyway.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/plan.hpp>

namespace ashlar::pg::detail {

/// Whether `left`, `right` or `full` joins anything in it. Views may hide more: their columns are not known to be NOT
/// NULL.
[[nodiscard]] bool has_outer_join(std::string_view sql);

/// For each column of the result, whether it is, as it is, a column of a table on the far side of an outer join. What
/// is computed, or comes out of a subquery or a CTE that was not taken apart, counts as not.
[[nodiscard]] std::vector<bool> on_far_side(const PlanNode& root);

/// The plan for any values. Leaves neither settings nor statements behind, as a pooler needs it; nothing is run. An
/// error of the server, such as a missing privilege, gives no plan.
[[nodiscard]] Task<std::optional<Plan>> plan_unseen(Connection& connection, std::string_view sql,
                                                    std::size_t parameters);

}  // namespace ashlar::pg::detail
