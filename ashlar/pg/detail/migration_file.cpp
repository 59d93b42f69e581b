#include <ashlar/pg/detail/migration_file.hpp>

#include <fmt/format.h>

#include <fstream>
#include <system_error>

#include <ashlar/base/error.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {

void write_migration(const fs::path& path, std::string_view text) {
  std::error_code error;
  if (fs::exists(path, error)) throw Invalid(fmt::format("{} is there already", path.string()));
  const fs::path fresh = path.string() + ".new";
  std::ofstream out(fresh, std::ios::binary);
  out << text;
  out.close();
  const bool written = out.good();
  if (written) fs::rename(fresh, path, error);
  if (written && !error) return;
  fs::remove(fresh, error);
  throw Invalid(fmt::format("cannot write {}", path.string()));
}

}  // namespace ashlar::pg::detail
