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

}  // namespace ashlar::detail
