// The command `queries`.
#pragma once

#include <functional>
#include <vector>

#include <ashlar/async/component.hpp>
#include <ashlar/pg/query_snapshot.hpp>

namespace ashlar::pg::detail {

/// `take` asks the database of the program, and stops what it started for that.
[[nodiscard]] std::vector<async::Command> query_commands(std::function<Task<QuerySnapshot>()> take);

}  // namespace ashlar::pg::detail
