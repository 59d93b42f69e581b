// Citus: a shard may be a whole cluster of it. Then sharded tables are distributed over its nodes by their key.
#pragma once

#include <string>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/detail/shard_rules.hpp>

namespace ashlar::pg::detail {

class Connection;

/// What is still to be done in this database so that the tables are what the program says they are, in order: reference
/// tables first, for others may refer to them. Empty: nothing, or there is no Citus. Throws Invalid when a table is
/// distributed in another way. (Citus 10 or later: https://docs.citusdata.com/en/stable/develop/api_udf.html)
Task<std::vector<std::string>> citus_steps(Connection& connection, const ShardedTables& tables,
                                           const std::vector<std::string>& reference_tables);
/// Does them, in one transaction; of several programs that start at once, one. When it throws, close the session.
Task<void> distribute_by_citus(Connection& connection, const ShardedTables& tables,
                               const std::vector<std::string>& reference_tables);

}  // namespace ashlar::pg::detail
