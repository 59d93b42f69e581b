// The profiles of HttpArena, a public benchmark of HTTP frameworks, that need no database; for the others see
// database.hpp.
#pragma once

#include <cstdint>
#include <string>

#include <ashlar/ashlar.hpp>

namespace arena {

using namespace ashlar;

struct Settings {
  std::string items = "data/items.json";  // the data set: a JSON array of Item
  std::string files = "data/static";      // the folder below /static
  std::int64_t rows = 0;                  // without DATABASE_URL: items of a PostgreSQL of the program's own; 0: none
};

/// Start-up refuses when the data set cannot be read or does not fit, or the folder is not there.
void add_routes(App& app, const Settings& settings);

}  // namespace arena
