// A schema with planted faults: all are found, each proposal makes its query cheaper, and nothing is said of the schema
// that is mended. ASHLAR_ADVISOR_ROWS=1000000 runs the same on tables of that size.
#include <ashlar/pg/advisor.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/plan.hpp>
#include <ashlar/pg/detail/test_advisor_schema.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/migrations.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar::pg {
namespace {

namespace fs = std::filesystem;
using test::advise_on;
using test::Folder;
using test::Schema;
using test::with;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::int64_t rows() {
  const char* const given = std::getenv("ASHLAR_ADVISOR_ROWS");
  return given == nullptr ? 20'000 : std::strtoll(given, nullptr, 10);
}

// NOLINTBEGIN(bugprone-suspicious-missing-comma): long statements are several literals
/// The schema, without a single index but those of keys; a statement each.
std::vector<std::string> planted_schema(std::int64_t n) {
  return {
      "create table authors (id bigint primary key, email text not null, name text not null, region int not null)",
      "create table articles (id bigint primary key, author_id bigint not null, title text not null, tags text[] not "
      "null, "
      "region int not null, created_at timestamptz not null)",
      "create table comments (id bigint primary key, article_id bigint not null references articles, body text not "
      "null)",
      "create table jobs (id bigint primary key, state text not null, run_at timestamptz not null, payload text not "
      "null)",
      "create table suspensions (author_id bigint not null, region int not null, primary key (region, author_id))",
      "create table events (id bigint primary key, article_id bigint not null, day int not null) with "
      "(autovacuum_enabled = off)",
      fmt::format("insert into authors select i, 'Author' || i || '@example.org', 'Author ' || i, i % 50 from "
                  "generate_series(1, {} / 4) i",
                  n),
      fmt::format("insert into articles select i, 1 + i % ({0} / 40), 'About ' || md5(i::text), array['tag' || i % "
                  "500, 'all'], "
                  "i % 50, timestamptz '2024-01-01' + i * interval '1 minute' from generate_series(1, {0}) i",
                  n),
      fmt::format("insert into comments select i, 1 + (i * 7) % {0}, 'Indeed ' || i from generate_series(1, {0}) i", n),
      fmt::format(
          "insert into jobs select i, case when i % 200 = 0 then 'waiting' else 'done' end, timestamptz '2024-01-01' + "
          "(i * 37 % {0}) * interval '1 minute', repeat('x', 60) from generate_series(1, {0}) i",
          n),
      "insert into suspensions select i, i % 50 from generate_series(1, 5000) i",
      "insert into events select i, i, i from generate_series(1, 10) i",
      "analyze",
      "delete from events",
      fmt::format("insert into events select i, i, 3 from generate_series(1, {}) i", n),
  };
}
// NOLINTEND(bugprone-suspicious-missing-comma)

struct Title {
  std::int64_t id;
  std::string title;
};

/// Queries register themselves while they live. These need indexes alone.
struct IndexedQueries {
  Query<Title(std::int64_t)> composite{
      "select id, title from articles where author_id = $1 order by created_at desc limit 20",
      {.name = "articles_of_author"}};
  Query<std::int64_t(std::vector<std::string>)> gin{"select id from articles where tags @> $1",
                                                    {.name = "articles_tagged"}};
  Query<std::int64_t(std::string)> trigram{"select id from articles where title ilike $1", {.name = "articles_like"}};
  Query<std::int64_t()> partial{"select id from jobs where state = 'waiting' order by run_at limit 10",
                                {.name = "jobs_waiting"}};
  Query<std::int64_t(std::string)> function{"select id from authors where lower(email) = $1",
                                            {.name = "author_by_email"}};
};

struct FaultyQueries : IndexedQueries {
  Query<std::int64_t()> not_in{
      "select a.id from authors a where a.id not in (select s.author_id from suspensions s where s.region <> a.region)",
      {.name = "authors_elsewhere"}};
  Query<Title(std::int64_t, std::int64_t)> offset{
      "select id, title from articles order by created_at desc, id desc limit $1 offset $2", {.name = "articles_page"}};
  Query<std::int64_t(std::int32_t)> stale{
      "select a.id from events e join articles a on a.id = e.article_id where e.day = $1", {.name = "articles_of_day"}};
};

/// The same wishes, as the advice says.
struct MendedQueries : IndexedQueries {
  Query<std::int64_t()> not_exists{
      "select a.id from authors a where not exists (select from suspensions s where s.region <> a.region and "
      "s.author_id = a.id)",
      {.name = "authors_elsewhere"}};
  Query<Title(std::int64_t, DateTime, std::int64_t)> keyset{
      "select id, title from articles where (created_at, id) < ($2, $3) order by created_at desc, id desc limit $1",
      {.name = "articles_page"}};
  Query<std::int64_t(std::int32_t)> stale{
      "select a.id from events e join articles a on a.id = e.article_id where e.day = $1", {.name = "articles_of_day"}};
};

/// Once for all tests: making it takes longest.
const std::string& planted() {
  static const std::string name = [] {
    const std::string database = "advisor_planted";
    test::server()->create_database(database, "template1");
    const auto plant = [](Db& db) -> Task<std::size_t> {
      co_await db.start_loop(async::Loop::current());
      const auto statements = planted_schema(rows());
      for (const std::string& sql : statements) {
        const DynamicQuery<void()> statement{unsafe_sql(sql)};
        co_await db.exec(statement);
      }
      co_await db.stop_loop(async::Loop::current());
      co_return statements.size();
    };
    with(test::server()->url(database), plant, {.statement_timeout = std::chrono::milliseconds{0}});
    return database;
  }();
  return name;
}

std::vector<std::string> rules_of(const Advice& advice) {
  std::vector<std::string> out;
  for (const Finding& finding : advice.findings) out.push_back(finding.rule);
  std::ranges::sort(out);
  return out;
}
const Finding* find(const Advice& advice, std::string_view rule, std::string_view of = {}) {
  for (const Finding& finding : advice.findings) {
    const bool fits =
        of.empty() || finding.table == of ||
        std::ranges::any_of(finding.queries, [&](const std::string& query) { return query.starts_with(of); });
    if (finding.rule == rule && fits) return &finding;
  }
  return nullptr;
}

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Pages that a query reads: unlike times, the same each time.
double pages(const std::string& url, const std::string& sql) {
  const auto ask = [&sql](Db& db) -> Task<double> {
    co_await db.start_loop(async::Loop::current());
    const DynamicQuery<Json()> explain{unsafe_sql("explain (analyze, buffers, timing off, format json) " + sql)};
    const Json plan = co_await db.one(explain);
    co_await db.stop_loop(async::Loop::current());
    co_return detail::parse_plan(plan.text()).root.blocks;
  };
  return with(url, ask, {.statement_timeout = std::chrono::milliseconds{0}});
}

// What is run with values, by the name of its fault: as it was, and as it is proposed.
struct Probe {
  std::string before, after;
};
std::map<std::string, Probe> probes(std::int64_t n) {
  const std::string composite = "select id, title from articles where author_id = 7 order by created_at desc limit 20";
  const std::string gin = "select id from articles where tags @> array['tag7']";
  const std::string trigram = "select id from articles where title ilike '%c4ca4238a0b9%'";
  const std::string partial = "select id from jobs where state = 'waiting' order by run_at limit 10";
  const std::string key = "select 1 from only comments x where article_id = 7 for key share of x";
  const std::string function = "select id from authors where lower(email) = 'author7@example.org'";
  const std::string stale = "select a.id from events e join articles a on a.id = e.article_id where e.day = 3";
  return {{"composite", {composite, composite}},
          {"gin", {gin, gin}},
          {"trigram", {trigram, trigram}},
          {"partial", {partial, partial}},
          {"foreign key", {key, key}},
          {"function", {function, function}},
          {"not in",
           {"select a.id from authors a where a.id < 500 and a.id not in (select s.author_id from suspensions s where "
            "s.region <> a.region)",
            "select a.id from authors a where a.id < 500 and not exists (select from suspensions s where s.region <> "
            "a.region and "
            "s.author_id = a.id)"}},
          {"offset",
           {fmt::format("select id, title from articles order by created_at desc, id desc limit 20 offset {}", n / 2),
            fmt::format("select id, title from articles where (created_at, id) < (timestamptz '2024-01-01' + {} * "
                        "interval '1 minute', {}) "
                        "order by created_at desc, id desc limit 20",
                        n / 2, n / 2)}},
          {"stale", {stale, stale}}};
}

TEST(Advisor, FindsEveryPlantedFaultProvesItAndIsSilentOnTheMendedSchema) {
  const TestDatabase database(test::server(), planted());
  const auto probe = probes(rows());
  std::map<std::string, double> before;
  for (const auto& [fault, sql] : probe) before[fault] = pages(database.url(), sql.before);
  Folder folder;
  {
    const FaultyQueries queries;
    const Advice advice = advise_on(database.url());
    SCOPED_TRACE(to_text(advice));
    const auto proposes = [&](std::string_view rule, std::string_view of, const std::string& proposal) {
      const Finding* const finding = find(advice, rule, of);
      ASSERT_NE(finding, nullptr) << rule << " of " << of;
      EXPECT_THAT(finding->proposal, HasSubstr(proposal));
      EXPECT_NE(finding->proof.kind, ProofKind::none);
      EXPECT_LT(finding->proof.cost_after, finding->proof.cost_before);
    };
    proposes("missing-index", "articles_of_author", "on articles (author_id, created_at)");
    proposes("missing-gin-index", "articles_tagged", "on articles using gin (tags)");
    proposes("missing-trigram-index", "articles_like", "on articles using gin (title gin_trgm_ops)");
    proposes("partial-index", "jobs_waiting", "on jobs (run_at) where state = 'waiting'");
    proposes("foreign-key-without-index", "comments", "on comments (article_id)");
    proposes("function-on-column", "author_by_email", "on authors ((lower(email)))");
    proposes("not-in-subquery", "authors_elsewhere",
             "where not exists (select from suspensions s where (s.region <> a.region) and s.author_id = a.id)");
    proposes("offset-pagination", "articles_page",
             "where (created_at, id) < ($2, $3) order by created_at desc, id desc limit $1");
    proposes("sort-without-index", "articles_page", "on articles (created_at, id)");
    const Finding* const stale = find(advice, "stale-statistics", "events");
    ASSERT_NE(stale, nullptr);
    EXPECT_EQ(stale->proposal, "analyze events");
    EXPECT_EQ(advice.findings.size(), 10U);

    const auto files = write_migrations(folder.path(), advice);
    EXPECT_EQ(files.size(), 9U);  // seven indexes, an extension, statistics; rewrites are not for the schema
    with(database.url(),
         [&](Db& db) -> Task<int> {
           co_await db.start();
           co_return 0;
         },
         {.migrations = folder.path()});
  }
  for (const auto& [fault, sql] : probe) EXPECT_LT(pages(database.url(), sql.after), before[fault]) << fault;
  const MendedQueries queries;
  const Advice again = advise_on(database.url());
  EXPECT_THAT(again.findings, IsEmpty()) << to_text(again);
}

TEST(Advisor, ChangesNothingInTheDatabaseAndLeavesNoCopyBehind) {
  const TestDatabase database(test::server(), planted());
  const auto state = [&] {
    return test::server()->run_sql(
        database.name(),
        "select string_agg(relname || relfilenode, ',' order by relname) || (select string_agg(extname, ',') "
        "from pg_extension) from pg_class where relnamespace = 'public'::regnamespace");
  };
  const std::string before = state();
  {
    const FaultyQueries queries;
    EXPECT_THAT(advise_on(database.url()).findings, Not(IsEmpty()));
  }
  EXPECT_EQ(state(), before);
  EXPECT_EQ(test::server()->run_sql("postgres", "select count(*) from pg_database where datname like 'ashlar_advise%'"),
            "0");
}

TEST(Advisor, DoesWithoutACopyWhenOthersAreConnectedAndSaysSo) {
  const TestDatabase database(test::server(), planted());
  const FaultyQueries queries;
  const Advice advice = with(database.url(), [](Db& db) -> Task<Advice> {
    co_await db.start_loop(async::Loop::current());
    std::optional<Advice> out = co_await advise(db);
    co_await db.stop_loop(async::Loop::current());
    co_return std::move(*out);
  });
  EXPECT_THAT(advice.notes, Contains(HasSubstr("other programs are connected to it")));
  const Finding* const gin = find(advice, "missing-gin-index", "articles_tagged");
  ASSERT_NE(gin, nullptr) << to_text(advice);
  EXPECT_EQ(gin->proof.kind, ProofKind::none);
  EXPECT_FALSE(gin->is_migration);
}

TEST(Advisor, DoesNotCopyADatabaseThatIsLargerThanAllowed) {
  const TestDatabase database(test::server(), planted());
  const Advice advice = advise_on(database.url(), {.max_copy_bytes = 1 << 20});
  EXPECT_THAT(advice.notes, Contains(HasSubstr("more than the 1 MB that are allowed")));
}

TEST(Advisor, ProvesByHypopgAloneWithoutACopy) {
  const TestDatabase database(test::server(), planted());
  if (test::server()->run_sql(database.name(), "select 1 from pg_available_extensions where name = 'hypopg'").empty())
    GTEST_SKIP() << "hypopg is not installed: postgresql-15-hypopg";
  const FaultyQueries queries;
  const Advice advice = advise_on(database.url(), {.copy = false});
  const Finding* const composite = find(advice, "missing-index", "articles_of_author");
  ASSERT_NE(composite, nullptr) << to_text(advice);
  EXPECT_EQ(composite->proof.kind, ProofKind::hypothetical);
  EXPECT_LT(composite->proof.cost_after, composite->proof.cost_before);
  EXPECT_TRUE(composite->is_migration);
  EXPECT_EQ(test::server()->run_sql(database.name(), "select count(*) from pg_extension where extname = 'hypopg'"),
            "0");
}

TEST(Advisor, DropsCopiesThatAKilledOneLeftBehind) {
  const TestDatabase database(test::server(), "template1");
  test::server()->create_database("ashlar_advise_left", "template1");
  test::server()->run_sql("postgres",
                          "comment on database ashlar_advise_left is 'a copy that `advise` made and will drop'");
  test::server()->create_database("ashlar_advise_not_ours", "template1");
  (void)advise_on(database.url());
  EXPECT_FALSE(test::server()->database_exists("ashlar_advise_left"));
  EXPECT_TRUE(test::server()->database_exists("ashlar_advise_not_ours"));
  test::server()->drop_database("ashlar_advise_not_ours");
}

// -- smaller schemas

TEST(Advisor, SeesAMissingIndexOnAnEmptyTable) {
  const Schema schema("create table people (id bigint primary key, email text not null)");
  const Query<std::int64_t(std::string)> query{"select id from people where email = $1", {.name = "empty_by_email"}};
  const Advice advice = schema.advise();
  const Finding* const finding = find(advice, "missing-index", "empty_by_email");
  ASSERT_NE(finding, nullptr) << to_text(advice);
  EXPECT_EQ(finding->proposal, "create index people_email_idx on people (email)");
  EXPECT_EQ(finding->proof.kind, ProofKind::structure);
}

TEST(Advisor, SaysNothingOfWhatAnIndexWouldNotServe) {
  const Schema schema(
      "create table people (id bigint primary key, active bool not null, name text not null, born date);"
      "create table notes (id bigint primary key, person_id bigint not null references people, text text not null);"
      "create index on notes (person_id)");
  const Query<std::int64_t()> all{"select id from people", {.name = "quiet_all"}};
  const Query<std::int64_t()> flag{"select id from people where active", {.name = "quiet_flag"}};
  const Query<std::int64_t()> unequal{"select id from people where name <> 'x' and born is not null",
                                      {.name = "quiet_unequal"}};
  const Query<std::int64_t()> join{"select n.id from notes n join people p on p.id = n.person_id",
                                   {.name = "quiet_join"}};
  const Query<std::int64_t(std::int64_t)> by_key{
      "select n.id from notes n join people p on p.id = n.person_id where p.id = $1", {.name = "quiet_by_key"}};
  const Query<std::int64_t(std::int64_t)> page{"select id from people where id > $1 order by id limit 10",
                                               {.name = "quiet_page"}};
  const Query<void(std::int64_t, std::string)> write{"insert into people (id, active, name) values ($1, true, $2)",
                                                     {.name = "quiet_write"}};
  const Advice advice = schema.advise();
  EXPECT_THAT(advice.findings, IsEmpty()) << to_text(advice);
}

TEST(Advisor, IsSwitchedOffBesideTheSql) {
  const Schema schema(
      "create table people (id bigint primary key, email text not null, parent bigint constraint people_parent "
      "references people);"
      "comment on constraint people_parent on people is 'allow foreign-key-without-index: nobody is ever deleted'");
  const Query<std::int64_t(std::string)> query{"select id from people where email = $1",
                                               {.name = "allowed_by_email", .allow = "missing-index: a dozen people"}};
  EXPECT_THAT(schema.advise().findings, IsEmpty());
}

TEST(Advisor, NamesARuleThatIsSwitchedOffButDoesNotExist) {
  const Schema schema("create table people (id bigint primary key)");
  const Query<std::int64_t()> query{"select id from people", {.name = "allows_a_typo", .allow = "mising-index: oh"}};
  const Advice advice = schema.advise();
  ASSERT_THAT(rules_of(advice), ElementsAre("unknown-rule"));
  EXPECT_THAT(advice.findings[0].message, HasSubstr("mising-index"));
}

TEST(Advisor, FindsDuplicateBeginningAndInvalidIndexes) {
  const Schema schema(
      "create table people (id bigint primary key, email text not null, name text not null);"
      "create index by_email on people (email); create index by_email_again on people (email);"
      "create index by_email_name on people (email, name);"
      "create index by_id on people (id)");
  try {
    schema.run("insert into people values (1, 'a', 'a'), (2, 'b', 'a')");
    schema.run("create unique index concurrently broken on people (name)");
    FAIL() << "the index is unique";
  } catch (const UniqueViolation&) {
  }
  const Advice advice = schema.advise();
  std::map<std::string, std::string> proposals;
  for (const Finding& finding : advice.findings) proposals[finding.proposal] = finding.rule;
  EXPECT_EQ(proposals, (std::map<std::string, std::string>{{"drop index by_email", "duplicate-index"},
                                                           {"drop index by_email_again", "duplicate-index"},
                                                           {"drop index by_id", "duplicate-index"},
                                                           {"drop index broken", "invalid-index"}}))
      << to_text(advice);
}

TEST(Advisor, ProposesStatisticsWhereColumnsDependOnEachOther) {
  const Schema schema(
      "create table cars (id bigint primary key, maker int not null, model int not null);"
      "insert into cars select i, i % 400 / 4, i % 400 from generate_series(1, 20000) i;"
      "create index on cars (model); analyze");
  const Query<std::int64_t(int, int)> query{"select id from cars where maker = $1 and model = $2",
                                            {.name = "cars_of_model"}};
  const Advice advice = schema.advise();
  const Finding* const finding = find(advice, "extended-statistics", "cars_of_model");
  ASSERT_NE(finding, nullptr) << to_text(advice);
  EXPECT_EQ(finding->proposal,
            "create statistics cars_maker_model_stat (dependencies) on maker, model from cars;\nanalyze cars");
}

TEST(Advisor, WarnsOfNotInWhereANullWouldEmptyIt) {
  const Schema schema(
      "create table people (id bigint primary key); create table banned (person_id bigint, why text not null)");
  const Query<std::int64_t()> query{"select id from people where id not in (select person_id from banned)",
                                    {.name = "not_banned"}};
  const Query<std::int64_t()> other{"select id from people where id::text not in (select why from banned)",
                                    {.name = "no_nulls"}};
  const Query<std::int64_t()> more{"select id from people where 1 + id not in (select person_id from banned)",
                                   {.name = "not_a_name"}};
  const Advice advice = schema.advise();
  const Finding* const finding = find(advice, "not-in-subquery", "not_banned");
  ASSERT_NE(finding, nullptr) << to_text(advice);
  EXPECT_EQ(finding->proposal,
            "select id from people where not exists (select from (select person_id from banned) as listed (value) "
            "where listed.value = id)");
  EXPECT_EQ(find(advice, "not-in-subquery", "no_nulls"), nullptr);
  EXPECT_EQ(find(advice, "not-in-subquery", "not_a_name"), nullptr);
}

TEST(Advisor, ProposesARangeWhereACastCannotBeIndexed) {
  const Schema schema("create table visits (id bigint primary key, at timestamptz not null)");
  const Query<std::int64_t(Date)> query{"select id from visits where at::date = $1", {.name = "visits_of_day"}};
  const Advice advice = schema.advise();
  const Finding* const finding = find(advice, "function-on-column", "visits_of_day");
  ASSERT_NE(finding, nullptr) << to_text(advice);
  EXPECT_THAT(finding->proposal, HasSubstr("at >= $1::date and at < $1::date + 1"));
  EXPECT_FALSE(finding->is_migration);
}

TEST(Advisor, KnowsWhatIsNotValidHere) {
  const Schema schema("create table people (id bigint primary key)");
  const Query<std::int64_t()> query{"select id from nowhere", {.name = "reads_nowhere"}};
  EXPECT_THAT(schema.advise().notes, Contains(AllOf(HasSubstr("reads_nowhere"), HasSubstr("nowhere"))));
}

TEST(Advisor, WritesMigrationsThatGoUpAndDownAgain) {
  const Schema schema(
      "create table people (id bigint primary key, email text not null, tags text[] not null, bio text not null)");
  const Query<std::int64_t(std::string)> query{"select id from people where email = $1", {.name = "written_by_email"}};
  Folder folder;
  std::ofstream(folder.path() / "0007_before.sql") << "select 1";
  const auto files = write_migrations(folder.path(), schema.advise());
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].filename(), "0008_missing_index_people.sql");
  EXPECT_THAT(text_of(files[0]), AllOf(HasSubstr("-- migrate:no-transaction\n"),
                                       HasSubstr("create index concurrently people_email_idx on people (email);"),
                                       HasSubstr("-- migrate:down\ndrop index concurrently people_email_idx;")));
  with(schema.url(),
       [&](Db& db) -> Task<int> {
         co_await db.start();
         auto commands = db.commands();
         const auto migrate = std::ranges::find(commands, std::string("migrate"), &async::Command::name);
         ::testing::internal::CaptureStdout();
         const int code = co_await migrate->run({"down", "1"});
         EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("took back 0008_missing_index_people"));
         co_return code;
       },
       {.migrations = folder.path()});
  EXPECT_NE(find(schema.advise(), "missing-index", "written_by_email"), nullptr);
}

}  // namespace
}  // namespace ashlar::pg
