#include <ashlar/pg/migration_lint.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/sql_statements.hpp>
#include <ashlar/pg/detail/test_migrations.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/query.hpp>

namespace ashlar::pg {
namespace {

using Folder = test::MigrationFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kTables =
    "create table users (id bigint primary key, name varchar(20), email text, note text);\n"
    "create table orders (id bigint primary key, user_id bigint, total numeric(10,2));\n"
    "create index users_email on users (email);\n"
    "create materialized view totals as select user_id, count(*) from orders group by user_id;\n"
    "create type mood as enum ('calm');\n"
    "create table events (day date) partition by range (day);\n"
    "create table events_old partition of events for values from ('2020-01-01') to ('2021-01-01');\n";

inline const Query<std::string(std::int64_t)> note_of_user{"select note from users where id = $1",
                                                           {.name = "note_of_user"}};

std::vector<LintFinding> findings(std::string_view up, LintOptions options = {.after = 1}) {
  const Folder folder;
  folder.write("0001_tables.sql", std::string(kTables));
  folder.write("0002_change.sql", std::string(up));
  return lint_migrations(load_migrations(folder.path()), std::move(options));
}
std::vector<std::string> rules(std::string_view up) {
  std::vector<std::string> out;
  for (const LintFinding& finding : findings(up)) out.push_back(finding.rule);
  return out;
}

TEST(MigrationLint, ReadsStatements) {
  const auto statements = detail::sql_statements(
      "-- of a\ncreate table a (n int); -- and of a\n\nselect ';', $$;$$;\ncreate function f() returns int begin "
      "atomic "
      "select case when true then 1 end; end;\nselect 2");
  ASSERT_EQ(statements.size(), 4);
  EXPECT_THAT(statements[0].comments, ElementsAre(" of a", " and of a"));
  EXPECT_EQ(statements[1].text, "select ';', $$;$$");
  EXPECT_EQ(statements[1].line, 4);
  EXPECT_THAT(statements[1].comments, IsEmpty());
  EXPECT_EQ(statements[3].text, "select 2");
}

TEST(MigrationLint, SaysNothingOfWhatIsHarmless) {
  for (const std::string_view up : {
           "alter table users add column age int",
           "alter table users add column age int not null default 3",
           "alter table users add column at timestamptz not null default now()",
           "alter table users alter column name set default 'x'",
           "alter table users alter column name drop not null",
           "alter table orders add constraint orders_user foreign key (user_id) references users (id) not valid",
           "alter table orders validate constraint orders_user",
           "alter table users rename constraint users_pkey to users_key",
           "-- migrate:no-transaction\ncreate index concurrently users_name on users (name)",
           "-- migrate:no-transaction\ndrop index concurrently users_email",
           "-- migrate:no-transaction\nset statement_timeout = 0; create index concurrently users_name on users (name)",
           "refresh materialized view concurrently totals",
           "update users set name = 'x' where id = 3",
           "alter type mood add value 'busy'",
           "create view names as select name from users",
       })
    EXPECT_THAT(rules(up), IsEmpty()) << up;
}

struct Unsafe {
  std::string_view up, rule;
};
constexpr Unsafe kUnsafe[] = {
    {"alter table users add column key uuid default gen_random_uuid()", "add-column-rewrite"},
    {"alter table users add key bigserial", "add-column-rewrite"},
    {"alter table users add column n int generated always as (id + 1) stored", "add-column-rewrite"},
    {"alter table users add column age int not null", "add-column-not-null"},
    {"alter table users add column age int check (age > 0)", "check-without-not-valid"},
    {"alter table users add column age int unique", "unique-without-index"},
    {"alter table users alter column name type int using name::int", "column-type-rewrite"},
    {"alter table users alter name set data type text", "column-type-rewrite"},
    {"alter table users alter column name set not null", "set-not-null"},
    {"alter table users add constraint users_name check (name <> '')", "check-without-not-valid"},
    {"alter table users add check (name <> '')", "check-without-not-valid"},
    {"alter table orders add constraint o foreign key (user_id) references users", "foreign-key-without-not-valid"},
    {"alter table orders add foreign key (user_id) references users", "foreign-key-without-not-valid"},
    {"alter table users add constraint users_name_key unique (name)", "unique-without-index"},
    {"alter table users add unique (name)", "unique-without-index"},
    {"alter table users add exclude using gist (id with =)", "exclusion-constraint"},
    {"alter table users drop column note", "drop-column"},
    {"alter table users drop note", "drop-column"},
    {"alter table users rename to people", "rename-table"},
    {"alter table users rename column note to notes", "rename-column"},
    {"alter table users set unlogged", "table-rewrite"},
    {"alter table events attach partition events_new for values from ('2021-01-01') to ('2022-01-01')",
     "attach-partition"},
    {"alter table events detach partition events_old", "detach-partition-without-concurrently"},
    {"alter type mood rename value 'calm' to 'quiet'", "rename-enum-value"},
    {"alter type mood add value 'busy'; insert into users (id, note) values (1, 'busy')", "enum-value-in-transaction"},
    {"create index users_name on users (name)", "index-without-concurrently"},
    {"create unique index on public.users (name)", "index-without-concurrently"},
    {"reindex table users", "index-without-concurrently"},
    {"drop index users_email", "drop-index-without-concurrently"},
    {"drop table orders", "drop-table"},
    {"drop schema stock cascade", "drop-schema"},
    {"drop schema if exists stock", "drop-schema"},
    {"truncate orders", "truncate"},
    {"update users set note = ''", "write-all-rows"},
    {"delete from users", "write-all-rows"},
    {"refresh materialized view totals", "refresh-without-concurrently"},
    {"create index concurrently users_name on users (name)", "concurrently-in-transaction"},
    {"-- migrate:no-transaction\nvacuum full users", "vacuum-full"},
    {"-- migrate:no-transaction\nvacuum (full, analyze) users", "vacuum-full"},
    {"-- migrate:no-transaction\ncluster users using users_pkey", "vacuum-full"},
    {"-- migrate:no-transaction\ncreate index concurrently a on users (name); create index concurrently b on "
     "users "
     "(note)",
     "several-statements"},
    {"alter table users add column a int; alter table orders add column b int", "several-locked-tables"},
    {"alter table users add constraint c check (name <> '') not valid; alter table users validate constraint c",
     "validate-in-same-transaction"},
};

TEST(MigrationLint, NamesWhatStopsAService) {
  for (const auto& [up, rule] : kUnsafe) EXPECT_THAT(rules(up), ElementsAre(rule)) << up;
}

TEST(MigrationLint, HasATestForEachRule) {
  EXPECT_TRUE(std::ranges::is_sorted(lint_rules(), {}, &LintRule::name));
  for (const LintRule& rule : lint_rules()) {
    if (rule.name == "allow-without-reason" || rule.name == "unknown-rule") continue;  // below
    EXPECT_NE(std::ranges::find(kUnsafe, rule.name, &Unsafe::rule), std::end(kUnsafe)) << rule.name;
  }
}

TEST(MigrationLint, TablesOfTheSameFileAreFree) {
  EXPECT_THAT(
      rules("create table people (id int, name text);\ncreate index on people (name);\nalter table people add "
            "constraint p check (id > 0);\nalter table people alter column name set not null;\nupdate people set "
            "id = 2;\ndrop table people"),
      IsEmpty());
  EXPECT_THAT(rules("create schema a;\ncreate schema if not exists b;\ndrop schema a, b"), IsEmpty());
}

TEST(MigrationLint, CanBeATestOfTheProgram) {
  const Folder folder;
  folder.write("0013_index.sql", "-- migrate:no-transaction\ncreate index concurrently users_name on users (name);");
  const auto& migrations = folder.path();
  // sample: lint
  const auto findings = pg::lint_migrations(pg::load_migrations(migrations), {.after = 12});
  EXPECT_EQ(pg::to_text(findings), "");
  // end of sample
}

TEST(MigrationLint, FilesThatRunTogetherShareTheirNewTables) {
  const Folder folder;
  folder.write("0001_tables.sql", std::string(kTables));
  folder.write("0002_people.sql", "create table people (id int, name text);");
  folder.write("0003_index.sql", "create index on people (name); ");
  folder.write("0004_index.sql", "create index on users (name);");
  const auto files = load_migrations(folder.path());
  EXPECT_EQ(lint_migrations(files, {.after = 1}).size(), 2);
  const auto together = lint_migrations(files, {.after = 1, .together = true});
  ASSERT_EQ(together.size(), 1);
  EXPECT_EQ(together[0].file.filename(), "0004_index.sql");
}

TEST(MigrationLint, AValidCheckOfAnEarlierFileProvesNotNull) {
  const Folder folder;
  folder.write("0001_tables.sql", std::string(kTables));
  folder.write("0002_check.sql", "alter table users add constraint n check (name is not null) not valid;");
  folder.write("0003_validate.sql", "alter table users validate constraint n;");
  folder.write("0004_not_null.sql", "alter table users alter column name set not null;");
  EXPECT_THAT(lint_migrations(load_migrations(folder.path()), {.after = 1}), IsEmpty());
  folder.write("0003_validate.sql", "select 1;");
  EXPECT_EQ(lint_migrations(load_migrations(folder.path()), {.after = 1}).size(), 1);
}

TEST(MigrationLint, NamesTheQueriesThatUseWhatIsDropped) {
  const auto dropped = findings("alter table users drop column note");
  ASSERT_EQ(dropped.size(), 1);
  EXPECT_THAT(dropped[0].why, HasSubstr("this program uses it in note_of_user"));
  EXPECT_THAT(findings("alter table users drop column email")[0].why, Not(HasSubstr("this program uses it")));
}

TEST(MigrationLint, GivesFileLineAndTheSaferSql) {
  const auto found =
      findings("\n\nalter table orders\n  add constraint o foreign key (user_id) references users (id);");
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].line, 3);
  EXPECT_THAT(
      to_text(found),
      AllOf(
          HasSubstr("0002_change.sql:3: foreign-key-without-not-valid: reads all of orders"),
          HasSubstr("    alter table orders add constraint o foreign key (user_id) references users (id) not valid;\n"),
          HasSubstr("    alter table orders validate constraint o;\n")));
}

TEST(MigrationLint, AReasonBesideTheSqlAllowsARule) {
  EXPECT_THAT(rules("-- ashlar: allow drop-table nobody has read it since 2.4\ndrop table orders"), IsEmpty());
  EXPECT_THAT(rules("drop table orders; -- ashlar: allow drop-table: nobody reads it"), IsEmpty());
  EXPECT_THAT(rules("-- ashlar: allow drop-table nobody reads it\ndrop table orders;\ndrop table users"),
              ElementsAre("drop-table", "several-locked-tables"))
      << "of one statement alone";
  EXPECT_THAT(rules("-- ashlar: allow drop-table\ndrop table orders"),
              ElementsAre("allow-without-reason", "drop-table"));
  EXPECT_THAT(rules("-- ashlar: allow drop-tables they are old\ndrop table orders"),
              ElementsAre("unknown-rule", "drop-table"));
}

// What the rules say of a statement is what the server does.
TEST(MigrationLint, SaysOfARewriteWhatTheServerDoes) {
  const std::vector<std::pair<std::string, bool>> changes{
      {"alter table users add column a int default 3", false},
      {"alter table users add column b timestamptz default now()", false},
      {"alter table users add column c uuid default gen_random_uuid()", true},
      {"alter table users add column d double precision default random()", true},
      {"alter table users add column e serial", true},
      {"alter table users add column f bigint generated always as identity", true},
      {"alter table users add column g bigint generated always as (id + 1) stored", true},
      {"alter table users alter column name type varchar(40)", false},
      {"alter table users alter column name type text", false},
      {"alter table users alter column name type varchar(10)", true},
      {"alter table orders alter column total type numeric(12,2)", false},
      {"alter table orders alter column id type int", true},
      {"alter table orders set unlogged", true},
      {"create index on users (name)", false},
      {"alter table users alter column email type varchar collate \"C\"", true},  // its index
  };
  const Folder folder;
  folder.write("0001_tables.sql", std::string(kTables));
  for (std::size_t i = 0; i < changes.size(); ++i)
    folder.write(std::to_string(i + 2) + "_change.sql", changes[i].first);
  const auto files = load_migrations(folder.path());
  std::vector<LintFact> facts;
  test::with_db([&](Db& db) -> Task<void> { facts = co_await measure_migrations(db, files); });
  const auto found = lint_migrations(files, {.after = 1, .facts = facts});
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const std::uint64_t version = i + 2;
    const auto& [up, rewrites] = changes[i];
    EXPECT_EQ(std::ranges::any_of(
                  facts, [&](const LintFact& one) { return one.version == version && !one.rewritten.empty(); }),
              rewrites)
        << up;
    EXPECT_EQ(std::ranges::any_of(found,
                                  [&](const LintFinding& one) {
                                    return one.rule.ends_with("rewrite") && one.file == files[i + 1].file;
                                  }),
              rewrites)
        << up;
  }
}

TEST(MigrationLint, FindsBySeeingWhatNoRuleKnows) {
  const Folder folder;
  folder.write("0001_tables.sql",
               std::string(kTables) +
                   "create function anything() returns int volatile language plpgsql as 'begin return 1; end';\n"
                   "alter table orders add foreign key (user_id) references users;");
  folder.write("0002_column.sql", "alter table users add column c int default anything();");
  folder.write("0003_drop.sql", "-- ashlar: allow drop-table it was never used\ndrop table orders cascade;");
  const auto files = load_migrations(folder.path());
  std::vector<LintFact> facts;
  test::with_db([&](Db& db) -> Task<void> { facts = co_await measure_migrations(db, files); });
  const auto found = lint_migrations(files, {.after = 1, .facts = std::move(facts)});
  std::vector<std::string> names;
  for (const LintFinding& finding : found) names.push_back(finding.rule);
  EXPECT_THAT(names, ElementsAre("table-rewrite", "several-locked-tables"))
      << "the table that orders refers to is locked, too\n"
      << to_text(found);
}

TEST(MigrationLint, IsACommandThatFailsWhenThereIsAFinding) {
  const Folder folder;
  folder.write("0001_tables.sql", std::string(kTables));
  const TestDatabase database(test::server(), "template1");
  const auto lint = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "lint");
    return test::command(database, folder, std::move(words));
  };
  EXPECT_EQ(lint({}), 0);
  test::migrate(database, folder);
  folder.write("0002_index.sql", "create index users_name on users (name);");
  EXPECT_EQ(lint({}), 1);
  EXPECT_EQ(lint({"--since", "2"}), 0);
  EXPECT_EQ(lint({"--all", "--json"}), 1);
  EXPECT_EQ(lint({"--all", "--since", "1"}), 1) << "not both";
  EXPECT_EQ(lint({"--everything"}), 1);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(test::command(database, folder, {"--dry-run"}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("0002_index.sql:1: index-without-concurrently"));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(test::command(database, folder, {"up"}), 0) << "it warns, and does what it was told";
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("index-without-concurrently"));
  test::migrate(database, folder);
  EXPECT_EQ(lint({}), 0) << "nothing is pending";
  EXPECT_EQ(test::sql(database, "select count(*) from pg_database where datname like 'ashlar\\_scratch%'"), "0");
}

}  // namespace
}  // namespace ashlar::pg
