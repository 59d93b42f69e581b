// The rules that say what is wrong in statistics.
#pragma once

#include <ashlar/pg/statistics.hpp>

namespace ashlar::pg::detail {

/// Throws Invalid when a rule in the options is none.
void check_rules(const StatisticsOptions& options);
/// Adds the alerts of its tables, the critical ones first.
void judge(Statistics& statistics, const StatisticsOptions& options);

}  // namespace ashlar::pg::detail
