// QuerySnapshot: what the database says of every query, kept in a file, so that queries can be checked where there is
// no database: `queries --write queries.json` in front of one, `queries --check queries.json` anywhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/check.hpp>
#include <ashlar/pg/statement.hpp>
#include <ashlar/pg/type_map.hpp>

namespace ashlar::pg {

/// A type that is not built in; those it is made of are in the list, too, or built in.
struct SnapshotType {
  std::string name;  ///< of two with the same name, in two schemas, the second is `mood#2`
  std::string kind;  ///< base, composite, domain, enumeration, range, multirange, array
  std::string element;
  std::vector<std::string> attributes;
};
struct SnapshotColumn {
  std::string name;
  std::string type;
  std::string null;  ///< unknown, never, possible, outer: see RowVerifier::Null
};
struct SnapshotQuery {
  std::string sql;
  std::vector<std::string> parameters;  ///< types
  std::vector<SnapshotColumn> columns;
};
struct QuerySnapshot {
  std::int32_t format = 1;
  std::vector<SnapshotType> types;     ///< by name
  std::vector<SnapshotQuery> queries;  ///< by SQL, each once
};

/// Throws QueryMismatch with all that is wrong when a query does not fit the database: what is kept is right.
[[nodiscard]] QuerySnapshot snapshot_of(std::span<const DescribedQuery> queries, const TypeMap& types);

/// The same text for the same snapshot, with a line for each thing that may change.
[[nodiscard]] std::string to_json(const QuerySnapshot& snapshot);
/// Throws Invalid when it is no snapshot, or one of another format.
[[nodiscard]] QuerySnapshot snapshot_from_json(std::string_view json);

/// One message for each statement that is not in the snapshot or does not fit it, and for each query of the snapshot
/// that is none of them. `file` is what the messages call it.
[[nodiscard]] std::vector<std::string> check_snapshot(const QuerySnapshot& snapshot, std::string_view file,
                                                      std::span<const Statement* const> statements);

}  // namespace ashlar::pg
