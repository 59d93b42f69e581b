// The databases of a private server.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/pg/private_server.hpp>

namespace ashlar::pg {
namespace {

std::string first_of(const std::vector<detail::BlockingClient::Row>& rows) {
  if (rows.empty() || rows[0].empty() || !rows[0][0]) return {};
  return *rows[0][0];
}

}  // namespace

std::string PrivateServer::run_sql(std::string_view database, std::string_view sql) {
  return first_of(detail::BlockingClient(socket_path(), kUser, database).query(sql));
}

// Tests make and drop many databases: to connect takes a third of the time.
std::string PrivateServer::administer(std::string_view sql) {
  if (!throwaway_) return run_sql("postgres", sql);
  const std::lock_guard lock(administering_);
  for (bool kept = administrator_ != nullptr;; kept = false) {
    if (!kept) administrator_ = std::make_unique<detail::BlockingClient>(socket_path(), kUser, "postgres");
    try {
      return first_of(administrator_->query(sql));
    } catch (const Unavailable&) {
      administrator_.reset();
      if (!kept) throw;  // else the server has been started again since
    }
  }
}

bool PrivateServer::database_exists(std::string_view name) {
  return !administer("select 1 from pg_database where datname = " + detail::quote_literal(name)).empty();
}

void PrivateServer::create_database(std::string_view name, std::string_view from_template) {
  std::string sql = "create database " + detail::quote_identifier(name);
  if (!from_template.empty()) sql += " template " + detail::quote_identifier(from_template);
  // Copying files needs a checkpoint, which costs nothing without fsync; then it is faster than writing them to the
  // log.
  int version = 0;
  if (throwaway_ && std::ifstream(data_ / "PG_VERSION") >> version && version >= 15) sql += " strategy file_copy";
  administer(sql);
}

void PrivateServer::drop_database(std::string_view name) {
  administer("drop database if exists " + detail::quote_identifier(name) + " with (force)");
}

TestDatabase::TestDatabase(std::shared_ptr<PrivateServer> server, std::string_view from_template)
    : server_(std::move(server)) {
  static std::atomic<unsigned> counter{0};
  name_ = fmt::format("test_{}_{}", ::getpid(), ++counter);
  server_->create_database(name_, from_template);
}

TestDatabase::~TestDatabase() {
  if (!server_) return;
  try {
    server_->drop_database(name_);
  } catch (...) {
    // the server is gone, and the database with it
  }
}

}  // namespace ashlar::pg
