// Database: a PostgreSQL database of a test's own, with the schema already in it.
#pragma once

#include <filesystem>
#include <string>

#include <ashlar/pg/private_server.hpp>

namespace ashlar::testing {

/// `testing::Database database{"migrations"}; pg::Db db{{.url = database.url()}};` A copy of a template that was
/// migrated, and whose queries were checked, once in this process. The first one starts a throw-away server (0.1 … 1 s,
/// see pg::PrivateServerOptions::data); from the second on, copies are made ahead by a thread while the tests run, and
/// one is there at once or in 10 … 40 ms. Used ones are dropped by that thread, some behind. Not from several threads
/// at once. Throws what pg::Db::start() throws: no PostgreSQL installed, a migration that fails, a query that does not
/// fit.
class Database {
 public:
  /// No migrations: an empty database.
  explicit Database(const std::filesystem::path& migrations = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] std::string url() const { return server().url(name_); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The process's server, to stop and start it under load.
  [[nodiscard]] static pg::PrivateServer& server();

 private:
  std::string name_;
};

}  // namespace ashlar::testing
