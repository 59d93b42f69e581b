// For tests of migrations: a folder of files, and sessions beside the program's.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg::test {

class MigrationFolder {
 public:
  MigrationFolder() {
    std::string pattern = "/tmp/ashlar-migrations-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~MigrationFolder() { std::filesystem::remove_all(path_); }
  MigrationFolder(const MigrationFolder&) = delete;
  MigrationFolder& operator=(const MigrationFolder&) = delete;
  void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
  void remove(const std::string& name) const { std::filesystem::remove(path_ / name); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline Task<void> start_once(Options options) {
  options.check_queries = false;
  Db db(std::move(options));
  co_await db.start();
  co_await db.stop();
}

inline void migrate(const TestDatabase& database, const MigrationFolder& folder) {
  async::run(start_once({.url = database.url(), .migrations = folder.path()}));
}

/// What the start says when it refuses.
inline std::string failure(Options options) {
  try {
    async::run(start_once(std::move(options)));
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}
inline std::string failure(const TestDatabase& database, const MigrationFolder& folder) {
  return failure({.url = database.url(), .migrations = folder.path()});
}

inline std::string sql(const TestDatabase& database, std::string_view text) {
  return server()->run_sql(database.name(), text);
}

/// `migrate …` of a program with these migrations; its exit code.
inline int command(const TestDatabase& database, const MigrationFolder& folder, std::vector<std::string> arguments) {
  Db db({.url = database.url(), .migrations = folder.path(), .check_queries = false});
  return async::run(db.commands().at(0).run(std::move(arguments)));
}

/// A session that stays open.
inline detail::BlockingClient session(const TestDatabase& database) {
  std::string socket;
  for (const auto& entry : std::filesystem::directory_iterator(server()->socket_folder())) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".s.PGSQL.") && !name.ends_with(".lock")) socket = entry.path().string();
  }
  return {socket, "ashlar", database.name()};
}

}  // namespace ashlar::pg::test
