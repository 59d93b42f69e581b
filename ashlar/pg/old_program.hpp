// The program that still runs while the new one migrates: do its queries do in the new schema what they did?
//
//   old program:  ./service queries --write queries.json          # kept with the release
//   new program:  ./service migrate check-old queries.json
#pragma once

#include <string>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/query_snapshot.hpp>

namespace ashlar::pg {

class Db;

/// One message for each query of the old program that is not valid after all migrations, or has other parameters or
/// columns than the old program was compiled for, or columns that may be NULL now and were not; and for each INSERT
/// that leaves out a column which has no default and may not be NULL. Looks in a scratch database. Throws what
/// find_drift throws.
[[nodiscard]] Task<std::vector<std::string>> check_old_program(Db& db, const QuerySnapshot& old);

}  // namespace ashlar::pg
