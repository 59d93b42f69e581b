// How routes and members are called in an OpenAPI document.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ashlar::detail {

struct Pattern {
  std::string path;                // "/files/{rest}" for "/files/{rest:path}"
  std::string shape;               // "/files/{}": equal for paths that OpenAPI takes for the same
  std::vector<std::string> names;  // of the parameters, in order
};

Pattern read_pattern(std::string_view pattern);

// Of a request that the service sends: "post_orders" and "delivered" → "post_orders_delivered".
std::string operation_id_of_sent(std::string_view within, std::string_view name);

}  // namespace ashlar::detail
