// The profiles of HttpArena with PostgreSQL: async-db and crud.
#pragma once

#include <cstdint>
#include <memory>

#include <ashlar/ashlar.hpp>

#include "arena.hpp"

namespace arena {

/// As DATABASE_URL and DATABASE_MAX_CONN say; with settings.rows a PostgreSQL of the program's own. Null: there is
/// none.
std::unique_ptr<pg::Db> make_database(const Settings& settings);

/// /async-db and, with a database, /crud. Without one /async-db is empty.
void add_database_routes(App& app, pg::Db* db);

/// Makes the table and so many rows, if it is not there.
Task<void> seed(pg::Db& db, std::int64_t rows);

}  // namespace arena
