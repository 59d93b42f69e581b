// From two images of the tables that a program declares to the migrations between them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/schema_image.hpp>
#include <ashlar/pg/migration_diff.hpp>
#include <ashlar/pg/table.hpp>
#include <ashlar/pg/type_map.hpp>

namespace ashlar::pg::detail {

/// A declared table, and its name as the images have it.
struct DeclaredTable {
  const TableDeclaration* declaration = nullptr;
  std::string name;
};

/// The SQL that makes the table without its foreign keys and indexes; and those.
[[nodiscard]] std::string create_sql(const TableSpec& spec);
[[nodiscard]] std::vector<std::string> later_sql(const TableSpec& spec);

/// `types` knows the types of the columns of `now`.
[[nodiscard]] MigrationProposal propose(const std::vector<DeclaredTable>& tables, const Image& now, const Image& wanted,
                                        const TypeMap& types);

}  // namespace ashlar::pg::detail
