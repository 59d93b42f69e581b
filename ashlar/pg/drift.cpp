#include <ashlar/pg/drift.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/schema_image.hpp>
#include <ashlar/pg/detail/scratch.hpp>
#include <ashlar/pg/migrations.hpp>

namespace ashlar::pg {

Task<std::vector<SchemaDifference>> find_drift(Db& db) {
  if (db.options().migrations.empty())
    throw Invalid("this program has no migrations: give pg::Options a folder in .migrations");
  const std::vector<Migration> files = load_migrations(db.options().migrations);
  detail::Image live;
  std::optional<std::uint64_t> newest;
  co_await detail::Scratch::session(db, [&](detail::Connection& connection) -> Task<void> {
    Migrator migrator(connection, files);
    static_cast<void>(co_await migrator.pending());  // refuses files that are not those that were applied
    for (const MigrationStatus& migration : co_await migrator.status()) {
      if (migration.state == MigrationState::applied) newest = std::max(newest.value_or(0), migration.version);
    }
    live = co_await detail::load_image(connection);
  });
  detail::Image wanted;
  detail::Scratch scratch(db);
  co_await scratch.run([&](detail::Connection& connection) -> Task<void> {
    Migrator migrator(connection, files, {.announce = false});
    co_await migrator.up(newest);
    wanted = co_await detail::load_image(connection);
  });
  co_return detail::compare_images(live, wanted);
}

std::string to_text(const std::vector<SchemaDifference>& differences) {
  std::string out;
  for (const SchemaDifference& difference : differences) {
    out += fmt::format("{} {}\n", difference.object, difference.text);
    std::size_t from = 0;
    while (from < difference.sql.size()) {
      const std::size_t end = std::min(difference.sql.find('\n', from), difference.sql.size());
      out += fmt::format("    {}\n", difference.sql.substr(from, end - from));
      from = end + 1;
    }
  }
  return out;
}

}  // namespace ashlar::pg
