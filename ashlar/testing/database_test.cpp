#include <ashlar/testing/database.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>

namespace ashlar::testing {
namespace {

const pg::DynamicQuery<void(std::string)> kAdd{pg::unsafe_sql("insert into notes (text) values ($1)")};
const pg::DynamicQuery<std::int64_t()> kCount{pg::unsafe_sql("select count(*) from notes")};

class TestingDatabase : public ::testing::Test {
 protected:
  TestingDatabase() {
    std::string text = (std::filesystem::temp_directory_path() / "migrations-XXXXXX").string();
    folder_ = ::mkdtemp(text.data());
  }
  ~TestingDatabase() override { std::filesystem::remove_all(folder_); }
  void migration(const std::string& name, const std::string& sql) { std::ofstream(folder_ / name) << sql; }

  // Adds a note and gives how many there are.
  static std::int64_t add(const Database& database) {
    return async::run([](std::string url) -> Task<std::int64_t> {
      pg::Db db{{.url = std::move(url), .check_queries = false}};
      co_await db.start();
      co_await db.start_loop(async::Loop::current());
      co_await db.exec(kAdd, "hello");
      const auto count = co_await db.one(kCount);
      co_await db.stop_loop(async::Loop::current());
      co_await db.stop();
      co_return count;
    }(database.url()));
  }
  std::filesystem::path folder_;
};

TEST_F(TestingDatabase, IsMigratedAndSeesNothingOfItsNeighbours) {
  migration("0001_notes.sql", "create table notes (text text not null);");
  const Database one(folder_);
  const Database two(folder_);
  EXPECT_EQ(add(one), 1);
  EXPECT_EQ(add(one), 2);
  EXPECT_EQ(add(two), 1);
}

TEST_F(TestingDatabase, ThrowsWhatAMigrationFailsWith) {
  migration("0001_broken.sql", "create table;");
  for (int i = 0; i < 2; ++i) {
    try {
      const Database database(folder_);
      FAIL();
    } catch (const Error& error) {
      EXPECT_NE(error.message().find("0001_broken.sql"), std::string::npos) << error.message();
    }
  }
}

TEST_F(TestingDatabase, MayBeEmpty) {
  const Database database;
  EXPECT_EQ(Database::server().run_sql(database.name(), "select count(*) from pg_tables where schemaname = 'public'"),
            "0");
}

}  // namespace
}  // namespace ashlar::testing
