// Migrations beside programs that run: locks, several runners, statements outside transactions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/test_migrations.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using Folder = test::MigrationFolder;
using test::sql;
using ::testing::AllOf;
using ::testing::HasSubstr;

Task<std::int64_t> start_and_count(Options options) {
  Db db(std::move(options));
  co_await db.start();
  co_await db.start_loop(async::Loop::current());
  const DynamicQuery<std::int64_t()> count{unsafe_sql("select count(*) from a")};
  const std::int64_t rows = co_await db.one(count);
  co_await db.stop_loop(async::Loop::current());
  co_await db.stop();
  co_return rows;
}

TEST(MigrationLocks, TwentyProgramsThatStartAtOnceMigrateOnceAndAllServe) {
  const Folder folder;
  folder.write("0001_start.sql", "create table a (n int); insert into a values (1);");
  folder.write("0002_index.sql", "-- migrate:no-transaction\ncreate index concurrently a_n on a (n);");
  folder.write("0003_more.sql", "alter table a add column m int not null default 3;");
  const TestDatabase database(test::server(), "template1");
  std::atomic<int> served{0};
  std::vector<std::thread> programs;
  for (int i = 0; i < 20; ++i) {
    programs.emplace_back([&] {
      const std::int64_t rows = async::run(start_and_count(
          {.url = database.url(), .migrations = folder.path(), .shared_connections = 1, .check_queries = false}));
      if (rows == 1) ++served;
    });
  }
  for (auto& program : programs) program.join();
  EXPECT_EQ(served, 20);
  EXPECT_EQ(sql(database, "select count(*) from ashlar_migrations"), "3");
  EXPECT_EQ(sql(database, "select indisvalid from pg_index where indexrelid = 'a_n'::regclass"), "t");
}

// With no limit the `alter table` would wait for the reader, and all readers after it for the `alter table`.
TEST(MigrationLocks, OneThatWaitsForAReaderLetsOtherReadersGoFirst) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (n int);");
  const TestDatabase database(test::server(), "template1");
  test::migrate(database, folder);
  folder.write("0002_more.sql", "alter table a add column m int;");
  auto reader = test::session(database);
  reader.query("begin; select * from a");
  std::thread program([&] {
    async::run(test::start_once({.url = database.url(),
                                 .migrations = folder.path(),
                                 .migration_lock_timeout = 200ms,
                                 .migration_retry_for = 10min}));
  });
  auto other = test::session(database);
  const auto waits = [&] {
    return other.query(
               "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = "
               "'Lock' and query like 'alter table a add%'")[0][0] == "1";
  };
  while (!waits()) std::this_thread::yield();
  other.query("select count(*) from a");
  while (!waits()) std::this_thread::yield();  // it is tried again
  reader.query("commit");
  program.join();
  EXPECT_EQ(sql(database, "select count(m) from a"), "0");
}

TEST(MigrationLocks, OneThatNeverGetsItsLockSaysWhoseTransactionsAreOpen) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (n int);");
  const TestDatabase database(test::server(), "template1");
  test::migrate(database, folder);
  folder.write("0002_more.sql", "create table b (n int);\n\nalter table a add column m int;");
  auto reader = test::session(database);
  reader.query("set application_name = 'report'; begin; select * from a");
  const std::string said = test::failure(
      {.url = database.url(), .migrations = folder.path(), .migration_lock_timeout = 50ms, .migration_retry_for = 1ms});
  EXPECT_THAT(said, AllOf(HasSubstr("0002_more.sql"), HasSubstr("rolled back"), HasSubstr("lock timeout"),
                          HasSubstr("by report (idle in transaction) has a transaction open")));
  EXPECT_EQ(sql(database, "select to_regclass('b') is null"), "t");
  reader.query("commit");
  EXPECT_EQ(test::failure(database, folder), "");
}

TEST(MigrationLocks, TheirOwnLimitDoesNotOutliveThem) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (timeout text);\ninsert into a select current_setting('lock_timeout');");
  folder.write("0002_b.sql", "-- migrate:no-transaction\ninsert into a select current_setting('lock_timeout');");
  const TestDatabase database(test::server(), "template1");
  test::migrate(database, folder);
  EXPECT_EQ(sql(database, "select string_agg(timeout, ',') from a"), "2s,2s");
}

TEST(MigrationLocks, OutsideATransactionStatementsRunOneByOne) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (n int, m int);");
  folder.write("0002_index.sql",
               "-- migrate:no-transaction\ncreate index concurrently a_n on a (n);\ncreate index concurrently a_m on a "
               "(m); -- both; really\n\n-- migrate:down\ndrop index concurrently a_n;\ndrop index concurrently a_m;\n");
  const TestDatabase database(test::server(), "template1");
  test::migrate(database, folder);
  EXPECT_EQ(sql(database, "select count(*) from pg_indexes where tablename = 'a'"), "2");
  EXPECT_EQ(test::command(database, folder, {"down"}), 0);
  EXPECT_EQ(sql(database, "select count(*) from pg_indexes where tablename = 'a'"), "0");
}

TEST(MigrationLocks, AnErrorOutsideATransactionNamesTheLineOfItsStatement) {
  const Folder folder;
  folder.write("0001_a.sql", "-- migrate:no-transaction\n\ncreate table a (n int);\n\ncreate table b\n  (n itn);\n");
  const TestDatabase database(test::server(), "template1");
  EXPECT_THAT(test::failure(database, folder), AllOf(HasSubstr("0001_a.sql:6"), HasSubstr("what it did before stays")));
}

TEST(MigrationLocks, AnIndexThatAnEarlierRunLeftInvalidIsBuiltAnew) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (n int); insert into a values (1), (1);");
  folder.write("0002_index.sql", "-- migrate:no-transaction\ncreate unique index concurrently a_n on a (n);");
  const TestDatabase database(test::server(), "template1");
  EXPECT_THAT(test::failure(database, folder), HasSubstr("could not create unique index"));
  ASSERT_EQ(sql(database, "select indisvalid from pg_index where indexrelid = 'a_n'::regclass"), "f");
  sql(database, "delete from a where ctid = (select ctid from a limit 1)");
  EXPECT_EQ(test::failure(database, folder), "");
  EXPECT_EQ(sql(database, "select indisvalid from pg_index where indexrelid = 'a_n'::regclass"), "t");
}

}  // namespace
}  // namespace ashlar::pg
