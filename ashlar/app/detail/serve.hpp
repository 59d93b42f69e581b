// Serving: from a prepared application to a drained one.
#pragma once

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/serve.hpp>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 calls itself so
class App;
}

namespace ashlar::detail {

/// Starts, serves until SIGINT or SIGTERM, drains, stops. Gives the exit code; throws what refuses to start.
int serve(Core& core, const ServeSettings& settings);

/// The environment over the defaults. Throws ValidationError naming the variables.
void load_serve_settings(ServeSettings& settings);
void add_serve_flags(CLI::App& cli, ServeSettings& settings);

}  // namespace ashlar::detail
