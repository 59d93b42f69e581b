#include <ashlar/testing/database.hpp>

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::testing {
namespace {

const std::shared_ptr<pg::PrivateServer>& shared_server() {
  static const std::shared_ptr<pg::PrivateServer> server = pg::PrivateServer::start();
  return server;
}

Task<void> migrate(std::string url, std::filesystem::path migrations) {
  pg::Db db{{.url = std::move(url), .migrations = std::move(migrations)}};
  co_await db.start();
  co_await db.stop();
}

// The template's name, made when it is first asked for.
std::string template_for(const std::filesystem::path& migrations) {
  if (migrations.empty()) return "template1";
  static std::map<std::filesystem::path, std::string> made;
  static unsigned attempts = 0;
  auto& name = made[migrations];
  if (name.empty()) {
    auto& server = *shared_server();
    const std::string fresh = fmt::format("template_{}", ++attempts);  // one that failed stays behind
    server.create_database(fresh);
    async::run(migrate(server.url(fresh), migrations));
    name = fresh;
  }
  return name;
}

}  // namespace

Database::Database(const std::filesystem::path& migrations) : database_(shared_server(), template_for(migrations)) {}

// The server's side of a connection goes a moment after the client's. PostgreSQL waits for it in steps of 100 ms before
// it drops a database, so each is dropped when the next one goes.
Database::~Database() {
  static std::optional<pg::TestDatabase> previous;
  previous = std::move(database_);
}

pg::PrivateServer& Database::server() { return *shared_server(); }

}  // namespace ashlar::testing
