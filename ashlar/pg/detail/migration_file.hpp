// A file of the folder of migrations that the program writes.
#pragma once

#include <filesystem>
#include <string_view>

namespace ashlar::pg::detail {

/// Whole or not at all: the next start would run half a one. Throws Invalid when it is there already, or cannot be
/// written.
void write_migration(const std::filesystem::path& path, std::string_view text);

}  // namespace ashlar::pg::detail
