// The profiles of HttpArena, a public benchmark of HTTP frameworks, that need no database.
#pragma once

#include <string>

#include <ashlar/ashlar.hpp>

namespace arena {

using namespace ashlar;

struct Settings {
  std::string items = "data/items.json";  // the data set: a JSON array of Item
  std::string files = "data/static";      // the folder below /static
};

/// Start-up refuses when the data set cannot be read or does not fit, or the folder is not there.
void add_routes(App& app, const Settings& settings);

}  // namespace arena
