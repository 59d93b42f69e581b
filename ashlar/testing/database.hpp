// Database: a PostgreSQL database of a test's own, with the schema already in it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <ashlar/pg/private_server.hpp>

namespace ashlar::testing {

namespace detail {
struct Copy;
}

struct DatabaseOptions {
  /// A copy that no other test has had, and which no session of the kit is in: for a test that copies or renames its
  /// database, counts sessions, or looks at what a reused one does not hide (see below). Costs 10 … 40 ms.
  bool fresh = false;
};

/// `testing::Database database{"migrations"}; pg::Db db{{.url = database.url()}};` A copy of a template that was
/// migrated, and whose queries were checked, once in this process. The first one starts a throw-away server (0.1 … 1 s,
/// see pg::PrivateServerOptions::data); from the second on, a thread has one ready while the tests run.
///
/// A copy that a test is done with is given to a later one, by another name, when only rows have changed in tables that
/// are empty in the template: these are emptied, sequences wound back, and all else is compared (pg::DatabaseReset).
/// Any other change (a column, a grant, a comment, a setting, a row that migrations inserted), a session that is left,
/// or a kill of the server, and it is dropped. What still tells a reused copy: `ctid`s and sizes of catalogs,
/// transaction numbers, the time in pg_stat_database.stats_reset.
///
/// Not from several threads at once. Throws what pg::Db::start() throws: no PostgreSQL installed, a migration that
/// fails, a query that does not fit.
class Database {
 public:
  /// No migrations: an empty database.
  explicit Database(const std::filesystem::path& migrations = {}, DatabaseOptions options = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] std::string url() const { return server().url(name()); }
  [[nodiscard]] const std::string& name() const noexcept;
  /// The process's server, to stop and start it under load.
  [[nodiscard]] static pg::PrivateServer& server();

 private:
  std::unique_ptr<detail::Copy> copy_;
};

}  // namespace ashlar::testing
