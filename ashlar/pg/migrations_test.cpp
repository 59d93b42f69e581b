#include <ashlar/pg/migrations.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include <ashlar/pg/detail/test_migrations.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using test::failure;
using Folder = test::MigrationFolder;
using test::migrate;
using test::sql;

TEST(Migrations, AreAppliedInOrderOnce) {
  const Folder folder;
  folder.write("0002_more.sql", "insert into a values (2);");
  folder.write("0001_start.sql", "create table a (n int); insert into a values (1);\n-- migrate:down\ndrop table a;");
  folder.write("notes.txt", "not a migration");
  const TestDatabase database(test::server(), "template1");
  migrate(database, folder);
  migrate(database, folder);
  EXPECT_EQ(sql(database, "select string_agg(n::text, ',' order by n) from a"), "1,2");
  EXPECT_EQ(sql(database, "select string_agg(version || name, ',' order by version) from ashlar_migrations"),
            "1start,2more");
}

TEST(Migrations, SeveralRunnersDoTheWorkOnce) {
  const Folder folder;
  folder.write("0001_start.sql", "create table a (n int); select pg_sleep(0.05); insert into a values (1);");
  const TestDatabase database(test::server(), "template1");
  std::vector<std::thread> programs;
  for (int i = 0; i < 4; ++i) programs.emplace_back([&] { migrate(database, folder); });
  for (auto& program : programs) program.join();
  EXPECT_EQ(sql(database, "select count(*) from a"), "1");
}

TEST(Migrations, OneThatFailsIsRolledBackAndNamesFileAndLine) {
  const Folder folder;
  folder.write("0001_good.sql", "create table a (n int);");
  folder.write("0002_bad.sql", "insert into a values (1);\n\ncreate table b (n itn);\n");
  const TestDatabase database(test::server(), "template1");
  EXPECT_THAT(failure(database, folder),
              AllOf(HasSubstr("0002_bad.sql:3"), HasSubstr("itn"), HasSubstr("rolled back")));
  EXPECT_EQ(sql(database, "select count(*) from a"), "0");
  EXPECT_EQ(sql(database, "select count(*) from ashlar_migrations"), "1");
}

TEST(Migrations, ChangedMissingAndLateFilesAreRefused) {
  const Folder folder;
  folder.write("0002_b.sql", "create table b (n int);");
  folder.write("0003_c.sql", "create table c (n int);");
  const TestDatabase database(test::server(), "template1");
  migrate(database, folder);
  folder.write("0002_b.sql", "create table b (n bigint);");
  EXPECT_THAT(failure(database, folder), AllOf(HasSubstr("0002_b was changed after"), HasSubstr("new migration")));
  folder.write("0002_b.sql", "create table b (n int);\n\n");
  EXPECT_EQ(failure(database, folder), "") << "white space at the end is no change";
  folder.write("0001_a.sql", "select 1");
  EXPECT_THAT(failure(database, folder), HasSubstr("0001_a is new but older than 0003"));
  folder.remove("0001_a.sql");
  folder.remove("0003_c.sql");
  EXPECT_THAT(failure(database, folder), HasSubstr("file is missing"));
}

TEST(Migrations, RunOutsideATransactionWhenAsked) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (n int);");
  folder.write("0002_index.sql", "-- migrate:no-transaction\ncreate index concurrently a_n on a (n);");
  const TestDatabase database(test::server(), "template1");
  migrate(database, folder);
  EXPECT_EQ(sql(database, "select count(*) from pg_indexes where indexname = 'a_n'"), "1");
}

TEST(Migrations, GoBackAndTellTheirStatus) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (n int);\n-- migrate:down\ndrop table a;");
  folder.write("0002_b.sql", "create table b (n int);");
  folder.write("0002_b.down.sql", "drop table b;");
  const TestDatabase database(test::server(), "template1");
  migrate(database, folder);
  const auto command = [&](std::vector<std::string> arguments) {
    return test::command(database, folder, std::move(arguments));
  };
  EXPECT_EQ(command({"down", "2"}), 0);
  EXPECT_EQ(sql(database, "select count(*) from pg_tables where tablename in ('a', 'b')"), "0");
  EXPECT_EQ(command({"status"}), 0);
  EXPECT_EQ(command({"--dry-run"}), 0);
  EXPECT_EQ(sql(database, "select count(*) from ashlar_migrations"), "0");
  EXPECT_EQ(command({}), 0);
  EXPECT_EQ(sql(database, "select count(*) from ashlar_migrations"), "2");
  folder.write("0002_b.sql", "select 'changed'");
  EXPECT_EQ(command({"status"}), 1);
  EXPECT_EQ(command({"nonsense"}), 1);
}

TEST(Migrations, BaselineRecordsWhatADatabaseHasAlready) {
  const Folder folder;
  folder.write("0001_a.sql", "create table a (n int);");
  folder.write("0002_b.sql", "create table b (n int);");
  folder.write("0003_c.sql", "create table c (n int);");
  const TestDatabase database(test::server(), "template1");
  sql(database, "create table a (n int); create table b (n int)");
  const auto command = [&](std::vector<std::string> arguments) {
    return test::command(database, folder, std::move(arguments));
  };
  EXPECT_EQ(command({"baseline"}), 1);
  EXPECT_EQ(command({"baseline", "4"}), 1) << "there is no such file";
  EXPECT_EQ(command({"baseline", "2"}), 0);
  EXPECT_EQ(sql(database, "select string_agg(version || name, ',' order by version) from ashlar_migrations"), "1a,2b");
  EXPECT_EQ(command({"baseline", "3"}), 1) << "it has migrations of its own now";
  EXPECT_EQ(failure(database, folder), "");
  EXPECT_EQ(sql(database, "select to_regclass('c') is not null"), "t");
}

TEST(Migrations, BadNamesAreRefused) {
  const Folder folder;
  folder.write("first.sql", "select 1");
  EXPECT_THROW(static_cast<void>(load_migrations(folder.path())), Invalid);
  folder.remove("first.sql");
  folder.write("1_a.sql", "select 1");
  folder.write("0001_b.sql", "select 1");
  EXPECT_THROW(static_cast<void>(load_migrations(folder.path())), Invalid);
  EXPECT_THROW(static_cast<void>(load_migrations("/nonexistent")), Invalid);
}

}  // namespace
}  // namespace ashlar::pg
