// The rule of sharded tables: every statement of the program says on which shard it runs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar::pg::detail {

using ShardedTables = std::vector<std::pair<std::string, std::string>>;  // each with its key

/// The sharded tables that the SQL reads or writes without holding their key to the parameter `$key`; all that it names
/// when there is no such parameter. A table whose key is compared with that of one which is held, is held, too. What is
/// under an OR does not count. Told from the tokens of the SQL: what it does not understand, it names.
[[nodiscard]] std::vector<std::string> tables_without_key(std::string_view sql, const ShardedTables& tables,
                                                          std::optional<std::size_t> key);

/// The first of the tables that the SQL writes to; empty: none.
[[nodiscard]] std::string written_table(std::string_view sql, const std::vector<std::string>& tables);

/// Of all statements of the program, a message each.
[[nodiscard]] std::vector<std::string> shard_problems(const ShardedTables& tables,
                                                      const std::vector<std::string>& reference_tables);

}  // namespace ashlar::pg::detail
