// Files that are read whole: settings, secrets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ashlar {

/// Everything that is in a file. Blocks. Throws Invalid, "WHAT: cannot read PATH: why", when it cannot be read, is a
/// folder, or holds more than `limit` bytes.
[[nodiscard]] std::string read_small_file(const std::string& path, std::string_view what,
                                          std::size_t limit = std::size_t{1} << 20);

}  // namespace ashlar
