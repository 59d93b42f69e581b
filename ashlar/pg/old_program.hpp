// The program that still runs while the new one migrates: do its queries do in the new schema what they did?
//
//   old program:  ./service queries --write queries.json          # kept with the release
//   new program:  ./service migrate check-old queries.json
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/async/task.hpp>

namespace ashlar::pg {

class Db;

/// What a database said of a query when the old program was built.
struct OldColumn {
  std::string name;
  std::string type;
  std::string null;  ///< "never": its member has no room for NULL
};
struct OldQuery {
  std::string sql;
  std::vector<std::string> parameters;  ///< types
  std::vector<OldColumn> columns;
};
struct OldProgram {
  std::int32_t format = 0;
  std::vector<OldQuery> queries;
};
/// Reads what `queries --write` wrote. Throws Invalid when it is something else, or of another format than 1.
[[nodiscard]] OldProgram old_program_from_json(std::string_view json);

/// One message for each query of the old program that is not valid after all migrations, or has other parameters or
/// columns than the old program was compiled for, or columns that may be NULL now and were not; and for each INSERT
/// that leaves out a column which has no default and may not be NULL. Looks in a scratch database. Throws what
/// find_drift throws.
[[nodiscard]] Task<std::vector<std::string>> check_old_program(Db& db, const OldProgram& old);

}  // namespace ashlar::pg
