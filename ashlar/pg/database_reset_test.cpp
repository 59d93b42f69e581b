#include <ashlar/pg/database_reset.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

constexpr std::string_view kSchema = R"(
create schema "Odd ""schema";
create type mood as enum ('good', 'bad');
create table countries (code text primary key, name text not null, mood mood);
insert into countries values ('fr', 'France', 'good'), ('de', 'Germany', 'bad');
create table users (id bigint generated always as identity primary key, email text not null unique,
  country text references countries, friend bigint references users);
create table posts (id bigserial primary key, author bigint not null references users on delete cascade, body text);
create table "Odd ""schema"."Odd, ""table" (n int);
create table a (id int primary key, b int);
create table b (id int primary key, a int references a deferrable initially deferred);
alter table a add foreign key (b) references b deferrable initially deferred;
create unlogged table visits (at timestamptz default now());
create table events (id int, day date, primary key (id, day)) partition by range (day);
create table events_2020 partition of events for values from ('2020-01-01') to ('2021-01-01');
create table events_2021 partition of events for values from ('2021-01-01') to ('2022-01-01');
create table notes (event int, day date, foreign key (event, day) references events);
create table measures (id int, of int, primary key (id, of)) partition by hash (of);
create table measures_0 partition of measures for values with (modulus 1, remainder 0);
create table marks (id int, of int, foreign key (id, of) references measures) partition by hash (id);
create table marks_0 partition of marks for values with (modulus 1, remainder 0);
create materialized view totals as select count(*) as n from users;
create materialized view names as select email from users;
create unique index on names (email);
create view emails as select email from users;
create sequence invoices start 1000;
select nextval('invoices'), nextval('invoices');
create sequence untouched start 7;
create function log_it() returns trigger language plpgsql as $$ begin insert into a values (1, null); return null; end $$;
create trigger on_truncate after truncate on posts for each statement execute function log_it();
)";

class DatabaseResetTest : public ::testing::Test {
 protected:
  struct Template {
    std::string name;
    std::uint64_t since = 0;
    std::shared_ptr<const TemplateFacts> facts;
  };
  static Template make_template(std::string_view schema) {
    static int count = 0;
    Template made{.name = fmt::format("reset_template_{}", ++count)};
    test::server()->create_database(made.name);
    test::server()->run_sql(made.name, schema);
    made.facts = TemplateFacts::read(*test::server(), made.name);
    made.since = std::stoull(test::server()->run_sql("postgres", "select pg_current_xact_id()"));
    return made;
  }
  static const Template& original() {
    static const Template made = make_template(kSchema);
    return made;
  }

  // A copy, as a test of a service would have it.
  class Copy {
   public:
    explicit Copy(const Template& of = original())
        : of_(of), database_(test::server(), of.name), reset_(*test::server(), database_.name(), of.since) {}
    std::string sql(std::string_view text) { return test::server()->run_sql(name(), text); }
    [[nodiscard]] const std::string& name() const { return database_.name(); }
    DatabaseReset& reset() { return reset_; }
    std::optional<std::string> restore() {
      while (reset_.others() != 0) std::this_thread::yield();
      return reset_.restore(*of_.facts);
    }

   private:
    const Template& of_;
    TestDatabase database_;
    DatabaseReset reset_;
  };

  // All that pg_dump finds, which knows nothing of how a change is found here.
  static std::string dump(const std::string& database) {
    const std::string command =
        fmt::format("{} -h {} -U ashlar {}", (PrivateServer::find_binaries() / "pg_dump").string(),
                    test::server()->socket_folder(), database);
    std::unique_ptr<FILE, int (*)(FILE*)> out(::popen(command.c_str(), "r"), ::pclose);
    std::string text;
    std::array<char, 4096> line{};
    while (out != nullptr && std::fgets(line.data(), line.size(), out.get()) != nullptr) {
      const std::string_view read(line.data());
      if (!read.starts_with("\\restrict") && !read.starts_with("\\unrestrict")) text += read;  // with a random word
    }
    return text;
  }
};

TEST_F(DatabaseResetTest, BringsBackWhateverRowsATestLeaves) {
  const std::string before = dump(original().name);
  ASSERT_NE(before.find("Germany"), std::string::npos);
  Copy copy;
  for (const char* const change : {
           "select 1",
           "insert into users (email) values ('a'), ('b')",
           "insert into users (email, country) values ('a', 'fr'); insert into posts (author, body) select id, "
           "repeat(md5(id::text), 1000) from users; delete from users",
           "insert into posts (author, body) values (-1, 'x')",  // refused; its number is taken
           "select nextval('invoices')",
           "select setval('invoices', 1001, false)",
           "select setval('untouched', 7, true)",
           "begin; insert into a values (1, 2); insert into b values (2, 1); commit",
           "insert into visits select from generate_series(1, 10000)",
           "insert into events values (1, '2020-05-05'), (2, '2021-05-05'); insert into notes values (1, '2020-05-05')",
           "insert into measures values (1, 1); insert into marks values (1, 1)",
           "insert into \"Odd \"\"schema\".\"Odd, \"\"table\" values (1)",
           "begin; insert into users (email) values ('a'); update countries set name = 'x'; rollback",
           "select * from countries for update",
           "create temp table mine (n int); insert into mine values (1)",
           "set track_counts = off; insert into users (email) values ('a')",
           "select lo_unlink(1)",
           "listen news; notify news; select pg_advisory_lock(1)",
       }) {
    try {
      copy.sql(change);
    } catch (const Error&) {  // some are refused
    }
    ASSERT_EQ(copy.restore(), std::nullopt) << change;
    if (std::string_view(change).find("insert") != std::string_view::npos)
      ASSERT_EQ(
          copy.sql("select (select count(*) from users) + (select count(*) from a) + (select count(*) from visits)"),
          "0");
  }
  EXPECT_EQ(dump(copy.name()), before);
  EXPECT_EQ(copy.sql("insert into users (email) values ('a') returning id"), "1");
  EXPECT_EQ(copy.sql("select nextval('invoices')"), "1002");
  EXPECT_EQ(copy.sql("select nextval('untouched')"), "7");
}

// To the planner and to statistics a table is as it was, too.
TEST_F(DatabaseResetTest, LeavesNoTraceInSizesAndCounters) {
  const auto traces = [](Copy& copy) {
    return copy.sql(
        "select concat_ws(' ', pg_total_relation_size('users'), pg_total_relation_size('posts'), (select "
        "string_agg(concat_ws(' ', relpages, reltuples, relallvisible), ',' order by oid) from pg_class where oid >= "
        "16384), "
        "(select sum(n_tup_ins + n_tup_del + coalesce(idx_scan, 0) + seq_scan) from pg_stat_user_tables))");
  };
  Copy fresh;
  Copy used;
  used.sql(
      "insert into users (email) select i::text from generate_series(1, 1000) i; insert into posts (author, body) "
      "select id, email from users; delete from users where id > 5; select count(*) from posts");
  ASSERT_EQ(used.restore(), std::nullopt);
  while (used.reset().others() + fresh.reset().others() != 0) std::this_thread::yield();
  EXPECT_EQ(traces(used), traces(fresh));
}

TEST_F(DatabaseResetTest, FindsEveryOtherChange) {
  using Case = std::pair<const char*, const char*>;
  for (const auto& [change, named] : {
           Case{"insert into countries values ('it', 'Italy')", "public.countries"},
           Case{"delete from countries where code = 'fr'", "public.countries"},
           Case{"update countries set name = 'x' where code = 'fr'", "public.countries"},
           Case{"update countries set name = name", "public.countries"},
           Case{
               "delete from countries; insert into countries values ('fr', 'France', 'good'), ('de', 'Germany', 'bad')",
               "public.countries"},
           Case{"truncate countries cascade", "pg_class"},
           Case{"truncate users cascade", "pg_class"},
           Case{"truncate visits", "pg_class"},
           Case{"alter table users add column x int", "pg_"},
           Case{"alter table users alter column email set statistics 5", "pg_attribute"},
           Case{"alter table users disable trigger all", "pg_"},
           Case{"create table mine (n int)", "pg_"},
           Case{"drop table notes", "pg_"},
           Case{"create type other as enum ('x')", "pg_type"},
           Case{"alter type mood add value 'better'", "pg_"},
           Case{"create or replace function log_it() returns trigger language plpgsql as $$ begin return null; end $$",
                "pg_proc"},
           Case{"create or replace view emails as select email from users where id > 0", "pg_"},
           Case{"refresh materialized view totals", "pg_class"},
           Case{"insert into users (email) values ('a'); refresh materialized view concurrently names", "pg_"},
           Case{"create index on users (country)", "pg_"},
           Case{"reindex table users", "pg_class"},
           Case{"cluster users using users_pkey", "pg_"},
           Case{"analyze countries", "pg_"},
           Case{"vacuum countries", "size"},
           Case{"alter sequence invoices increment 5", "pg_"},
           Case{"comment on table users is 'x'", "pg_description"},
           Case{"comment on function now() is 'x'", "pg_description"},
           Case{"grant select on users to public", "pg_class"},
           Case{"grant select (email) on users to public", "pg_attribute"},
           Case{"revoke execute on function now() from public", "pg_"},
           Case{"grant create on schema public to public", "pg_namespace"},
           Case{"alter default privileges grant select on tables to public", "pg_"},
           Case{"create schema other", "pg_namespace"},
           Case{"create extension pageinspect", "pg_"},
           Case{"create publication p", "pg_"},
           Case{"create function e() returns event_trigger language plpgsql as 'begin end'; create event trigger t on "
                "ddl_command_end execute function e()",
                "pg_"},
           Case{"create collation c (locale = 'C')", "pg_"},
           Case{"select lo_create(0)", "pg_largeobject"},
           Case{"update pg_class set reltuples = 5 where relname = 'users'", "pg_class"},
           Case{"delete from pg_description where objoid = 'now'::regproc", "pg_description"},
           Case{"set track_counts = off; set session_replication_role = replica; comment on table users is 'x'",
                "pg_description"},
       }) {
    Copy copy;
    copy.sql(change);
    const auto different = copy.restore();
    EXPECT_TRUE(different && different->find(named) != std::string::npos) << change << ": " << different.value_or("-");
  }
}

TEST_F(DatabaseResetTest, FindsWhatIsKeptOutsideOfTheDatabase) {
  using Case = std::pair<const char*, const char*>;
  for (const auto& [change, named] : {
           Case{"alter database {} set work_mem = '8MB'", "settings"},
           Case{"alter role ashlar in database {} set work_mem = '8MB'", "settings"},
           Case{"comment on database {} is 'x'", "comment"},
           Case{"grant connect on database {} to public", "pg_database"},
           Case{"alter database {} connection limit 50", "pg_database"},
           Case{"alter database {} is_template true", "pg_database"},
       }) {
    Copy copy;
    copy.sql(fmt::format(fmt::runtime(change), copy.name()));
    const auto different = copy.restore();
    EXPECT_TRUE(different && different->find(named) != std::string::npos) << change << ": " << different.value_or("-");
    copy.sql(fmt::format("alter database {} is_template false", copy.name()));
  }
}

TEST_F(DatabaseResetTest, CountsTheSessionsThatAreLeft) {
  Copy copy;
  EXPECT_EQ(copy.reset().others(), 0U);
  {
    detail::BlockingClient left(test::server()->socket_folder() + "/.s.PGSQL.5432", "ashlar", copy.name());
    left.query("begin; insert into users (email) values ('a')");
    EXPECT_EQ(copy.reset().others(), 1U);
    left.query("rollback");
    left.finish();
  }
  EXPECT_EQ(copy.reset().others(), 0U);
}

TEST_F(DatabaseResetTest, ShutsOutWhoComesByTheOldName) {
  const std::string name = fmt::format("renamed_{}", ::getpid());
  test::server()->create_database(name, original().name);
  DatabaseReset reset(*test::server(), name, original().since);
  reset.rename(name + "_2");
  EXPECT_THROW(test::server()->run_sql(name, "select 1"), Error);
  EXPECT_EQ(test::server()->run_sql(name + "_2", "select current_database()"), name + "_2");
  while (reset.others() != 0) std::this_thread::yield();
  EXPECT_EQ(reset.restore(*original().facts), std::nullopt);
  test::server()->drop_database(name + "_2");
}

TEST_F(DatabaseResetTest, SaysWhyATemplateIsNotForIt) {
  EXPECT_EQ(original().facts->obstacle(), "");
  const auto much = make_template("create table t as select md5(i::text) from generate_series(1, 50000) i");
  EXPECT_NE(much.facts->obstacle().find("KiB of rows"), std::string::npos) << much.facts->obstacle();
  const auto trigger = make_template(
      "create table t (); create function f() returns trigger language plpgsql as 'begin return null; end';"
      "create trigger audit after truncate on t for each statement execute function f();"
      "alter table t enable always trigger audit");
  EXPECT_NE(trigger.facts->obstacle().find("audit"), std::string::npos) << trigger.facts->obstacle();
}

}  // namespace
}  // namespace ashlar::pg
