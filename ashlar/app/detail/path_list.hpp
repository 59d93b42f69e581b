// Lists of paths that middleware lets through, or looks at: "/hooks/stripe", and all below "/hooks/".
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::detail {

[[nodiscard]] inline bool is_among(const std::vector<std::string>& paths, std::string_view path) noexcept {
  return std::ranges::any_of(
      paths, [&](const std::string& one) { return one.ends_with('/') ? path.starts_with(one) : path == one; });
}

}  // namespace ashlar::detail
