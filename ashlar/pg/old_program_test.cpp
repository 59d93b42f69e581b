#include <ashlar/pg/old_program.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_migrations.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/query_snapshot.hpp>

namespace ashlar::pg {
namespace {

using Folder = test::MigrationFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kOld = R"json({"format": 1,
  "types": [{"name": "mood", "kind": "enumeration", "element": "", "attributes": []}], "queries": [
  {"sql": "select id, name, mood from users where id = $1", "parameters": ["int8"], "columns": [
    {"name": "id", "type": "int8", "null": "never"}, {"name": "name", "type": "text", "null": "never"},
    {"name": "mood", "type": "mood", "null": "possible"}]},
  {"sql": "insert into users (id, name) values ($1, $2)", "parameters": ["int8", "text"], "columns": []},
  {"sql": "select * from users", "parameters": [], "columns": [{"name": "id", "type": "int8", "null": "never"},
    {"name": "name", "type": "text", "null": "never"}, {"name": "mood", "type": "mood", "null": "possible"}]}]})json";
constexpr const char* kUsers =
    "create type mood as enum ('calm'); create table users (id bigint primary key, name text not null, mood mood);";

std::vector<std::string> problems_after(const std::string& change) {
  const Folder folder;
  folder.write("0001_users.sql", kUsers);
  folder.write("0002_change.sql", change);
  std::vector<std::string> out;
  const TestDatabase database(test::server(), "template1");
  Db db({.url = database.url(), .migrations = folder.path()});
  async::run([](Db& of, std::vector<std::string>& problems) -> Task<void> {
    problems = co_await check_old_program(of, snapshot_from_json(kOld));
  }(db, out));
  return out;
}

std::string joined(const std::vector<std::string>& problems) {
  std::string out;
  for (const std::string& problem : problems) out += problem + "\n";
  return out;
}

TEST(OldProgram, FitsASchemaThatWasOnlyExtended) {
  EXPECT_EQ(
      joined(problems_after("create table more (n int); alter table users alter column name set default 'x'; create "
                            "index on users (name); alter type mood add value 'busy'")),
      "");
}

TEST(OldProgram, NamesWhatItsQueriesWouldMiss) {
  EXPECT_THAT(joined(problems_after("alter table users rename column name to full_name")),
              AllOf(HasSubstr("select id, name, mood"), HasSubstr("42703")));
  EXPECT_THAT(joined(problems_after("alter table users alter column name drop not null")),
              HasSubstr("column `name` may be NULL now"));
  EXPECT_THAT(joined(problems_after("alter table users alter column id type int")),
              AllOf(HasSubstr("parameter $1 was int8, and is int4"), HasSubstr("column `id` was int8, and is int4")));
  EXPECT_THAT(joined(problems_after("alter table users add column age int")),
              HasSubstr("it gave 3 columns, and gives 4"));
}

TEST(OldProgram, InsertsWhatTheNewSchemaAsksFor) {
  EXPECT_THAT(
      joined(problems_after("alter table users add column age int not null; alter table users add column n int not "
                            "null default 3")),
      AllOf(HasSubstr("insert into users (id, name)"), HasSubstr("it inserts no users.age"),
            ::testing::Not(HasSubstr("users.n,"))));
}

TEST(OldProgram, IsACommand) {
  const Folder folder;
  folder.write("0001_users.sql", kUsers);
  const TestDatabase database(test::server(), "template1");
  const std::string file = (folder.path() / "queries.json").string();
  EXPECT_EQ(test::command(database, folder, {"check-old"}), 1);
  EXPECT_EQ(test::command(database, folder, {"check-old", file}), 1) << "there is no such file";
  std::ofstream(file) << "{}";
  EXPECT_EQ(test::command(database, folder, {"check-old", file}), 1) << "no snapshot";
  std::ofstream(file) << kOld;
  EXPECT_EQ(test::command(database, folder, {"check-old", file}), 0);
  folder.write("0002_drop.sql", "alter table users drop column name;");
  EXPECT_EQ(test::command(database, folder, {"check-old", file}), 1);
}

}  // namespace
}  // namespace ashlar::pg
