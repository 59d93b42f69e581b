#include <ashlar/testing/database.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>

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

// More of them than are made ahead and dropped behind; each leaves all it can to the next.
TEST_F(TestingDatabase, IsAsTheMigrationsLeftItWhateverEarlierOnesDid) {
  migration("0001_notes.sql",
            "create table notes (id bigint generated always as identity, text text not null);"
            "create table kept (n int); insert into kept values (7);");
  for (int i = 0; i < 32; ++i) {
    const Database database(folder_);
    const auto sql = [&](const char* text) { return Database::server().run_sql(database.name(), text); };
    EXPECT_EQ(sql("select string_agg(relname, ' ' order by relname) from pg_class c join pg_namespace n on n.oid = "
                  "relnamespace where nspname = 'public' and relkind = 'r'"),
              "ashlar_migrations kept notes");
    EXPECT_EQ(sql("select count(*) || ' ' || sum(n) from kept"), "1 7");
    EXPECT_EQ(sql("select current_setting('work_mem')"), "4MB");
    EXPECT_EQ(sql("insert into notes (text) values ('x') returning id"), "1");
    EXPECT_EQ(sql("select count(*) from notes"), "1");
    sql("insert into notes (text) select 'x' from generate_series(1, 1000); delete from kept; create table mine ();"
        "drop table kept; create schema other");
    sql(("alter database \"" + database.name() + "\" set work_mem = '8MB'").c_str());
  }
}

// Which one it is, whatever its name.
std::string number_of(const Database& database) {
  return Database::server().run_sql(database.name(), "select oid from pg_database where datname = current_database()");
}

TEST_F(TestingDatabase, IsUsedAgainWhenOnlyRowsHaveChanged) {
  migration("0001_notes.sql",
            "create table notes (id bigint generated always as identity, text text not null);"
            "create table kept (n int); insert into kept values (7);");
  std::set<std::string> numbers, names;
  for (int i = 0; i < 24; ++i) {
    const Database database(folder_);
    const auto sql = [&](const char* text) { return Database::server().run_sql(database.name(), text); };
    EXPECT_EQ(sql("select count(*) from notes"), "0");
    EXPECT_EQ(sql("insert into notes (text) values ('x') returning id"), "1");
    sql("insert into notes (text) select 'x' from generate_series(1, 1000); select count(*) from kept");
    numbers.insert(number_of(database));
    names.insert(database.name());
  }
  EXPECT_LT(numbers.size(), 20U);
  EXPECT_EQ(names.size(), 24U);
}

TEST_F(TestingDatabase, IsUsedOnceWhenAnythingElseHasChanged) {
  migration("0001_notes.sql",
            "create table notes (text text not null); create table kept (n int); insert into kept values (7);");
  std::set<std::string> numbers;
  const std::vector<std::string> changes{"create table mine (n int)",       "alter table notes add column n int",
                                         "update kept set n = 8",           "comment on table notes is 'x'",
                                         "grant select on notes to public", "truncate notes"};
  for (const std::string& change : changes) {
    const Database database(folder_);
    Database::server().run_sql(database.name(), change);
    numbers.insert(number_of(database));
  }
  const Database last(folder_);
  numbers.insert(number_of(last));
  EXPECT_EQ(numbers.size(), changes.size() + 1);
}

TEST_F(TestingDatabase, IsUsedOnceWhenASessionIsLeft) {
  migration("0001_notes.sql", "create table notes (text text not null);");
  auto database = std::make_unique<Database>(folder_);
  pg::detail::BlockingClient left(Database::server().socket_folder() + "/.s.PGSQL.5432", "ashlar", database->name());
  left.query("begin; insert into notes values ('x')");
  const std::string number = number_of(*database);
  database.reset();
  for (int i = 0; i < 6; ++i) {
    const Database later(folder_);
    EXPECT_NE(number_of(later), number);
    EXPECT_EQ(add(later), 1);
  }
}

TEST_F(TestingDatabase, MayBeOfOneTestAlone) {
  migration("0001_notes.sql", "create table notes (text text not null);");
  std::set<std::string> numbers;
  for (int i = 0; i < 4; ++i) {
    const Database database(folder_, {.fresh = true});
    EXPECT_EQ(Database::server().run_sql(database.name(),
                                         "select count(*) from pg_stat_activity where datname = current_database() "
                                         "and pid <> pg_backend_pid()"),
              "0");
    numbers.insert(number_of(database));
  }
  EXPECT_EQ(numbers.size(), 4U);
}

TEST_F(TestingDatabase, IsThereAgainAfterAStopOfTheServer) {
  migration("0001_notes.sql", "create table notes (text text not null);");
  const Database before(folder_);
  EXPECT_EQ(add(before), 1);
  Database::server().stop();
  EXPECT_ANY_THROW(for (int i = 0; i < 20; ++i) const Database none(folder_));
  Database::server().restart();
  for (int i = 0; i < 6; ++i) {
    const Database after(folder_);
    EXPECT_EQ(add(after), 1);
  }
  EXPECT_EQ(add(before), 2);
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

TEST_F(TestingDatabase, MayBeTakenBySeveralThreadsAtOnce) {
  migration("0001_notes.sql", "create table notes (text text not null);");
  std::vector<std::jthread> threads;
  std::atomic<int> alone{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const Database database(folder_);
      Database::server().run_sql(database.name(), "insert into notes values ('x')");
      if (Database::server().run_sql(database.name(), "select count(*) from notes") == "1") ++alone;
    });
  }
  threads.clear();
  EXPECT_EQ(alone, 4);
}

TEST_F(TestingDatabase, MayBeEmpty) {
  const Database database;
  EXPECT_EQ(Database::server().run_sql(database.name(), "select count(*) from pg_tables where schemaname = 'public'"),
            "0");
}

}  // namespace
}  // namespace ashlar::testing
