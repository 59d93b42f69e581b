// What the command `deps` prints: which dependencies each route runs, what they need, and what they read.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/description.hpp>

namespace ashlar::detail {

/// A route and everything that runs before its handler. `operation` outlives the call that it is given to.
struct RouteGraph {
  std::string route;  ///< "GET /orders"
  const OperationInfo* operation = nullptr;
};

/// A tree a route, in the order in which the dependencies run; one that has run already is marked `again`.
[[nodiscard]] std::string graph_as_text(std::span<const RouteGraph> routes);

/// `[{"route":…,"needs":[…],"scopes":[…],"resources":[…],"dependencies":[{"name":…,"result":…,"takes":[…],"needs":[…],
/// "suspends":…,"cleaned_up":"before the answer"}]}]`
[[nodiscard]] std::string graph_as_json(std::span<const RouteGraph> routes);

/// For Graphviz: `./service deps --dot | dot -Tsvg`.
[[nodiscard]] std::string graph_as_dot(std::span<const RouteGraph> routes);

}  // namespace ashlar::detail
