#include <ashlar/pg/check.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/detail/test_session.hpp>

namespace ashlar::pg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct User {
  std::int64_t id;
  std::string name;
  std::optional<std::string> bio;
};
struct Post {
  std::int64_t id;
  User author;
  std::optional<User> editor;
};
struct Narrow {
  std::int32_t id;
  std::string nick;
};
struct Plain {
  std::string bio;
};

const Query<void()> schema_sql{"create table people (id bigint primary key, name text not null, bio text)"};

/// The problem that the check reports for the one query that mentions `marker`; "" if it finds none.
Task<std::string> problem_of(Db& db, std::string_view marker) {
  std::string found;
  for (const std::string& problem : co_await db.check()) {
    if (problem.find(marker) != std::string::npos) found += problem;
  }
  co_return found;
}

template <class Body>
void with_people(Body body) {
  test::with_db([&body](Db& db) -> Task<void> {
    co_await db.exec(schema_sql);
    co_await body(db);
  });
}

TEST(Check, AcceptsWhatFits) {
  with_people([](Db& db) -> Task<void> {
    const Query<User(std::int64_t)> simple{"select id, name, bio from people where id = $1", {.name = "fits_simple"}};
    const Query<Post(int, int)> nested{
        "select p.id, a.id as author_id, a.name as author_name, a.bio, e.id as editor_id, e.name, e.bio as editor_bio "
        "from people p "
        "join people a on a.id = p.id left join people e on e.id = p.id + 1 limit $1 offset $2",
        {.name = "fits_nested"}};
    const Query<Plain()> forced{"select bio as \"bio!\" from people where bio is not null", {.name = "fits_forced"}};
    const Query<Plain()> computed{"select coalesce(bio, '') as bio from people", {.name = "fits_computed"}};
    const Query<std::int64_t()> scalar{"select count(*) from people", {.name = "fits_scalar"}};
    EXPECT_EQ(co_await problem_of(db, "fits_"), "");
  });
}

TEST(Check, NamesQueryColumnBothTypesAndPlace) {
  with_people([](Db& db) -> Task<void> {
    const Query<Narrow()> wrong{"select id, name as nick from people", {.name = "too_narrow"}};
    EXPECT_THAT(
        co_await problem_of(db, "too_narrow"),
        AllOf(HasSubstr("query too_narrow"), HasSubstr("check_test.cpp:"),
              HasSubstr("column 1 `id` is int8 in PostgreSQL, but the member `id` is std::int32_t: use std::int64_t"),
              Not(HasSubstr("nick"))));
  });
}

TEST(Check, ComplainsAboutNamesCountsParametersAndNulls) {
  with_people([](Db& db) -> Task<void> {
    const Query<User()> order{"select id, bio as name, name as bio from people", {.name = "bad_null"}};
    EXPECT_THAT(co_await problem_of(db, "bad_null"), HasSubstr("column 2 `name` may be NULL"));
    const Query<User()> named{"select id, name as title, bio from people", {.name = "bad_name"}};
    EXPECT_THAT(co_await problem_of(db, "bad_name"),
                HasSubstr("column 2 is called `title`, but goes to the member `name`"));
    const Query<User()> few{"select id, name from people", {.name = "bad_count"}};
    EXPECT_THAT(co_await problem_of(db, "bad_count"),
                AllOf(HasSubstr("gives 2 columns (id, name)"), HasSubstr("takes 3")));
    const Query<User(std::string)> parameter{"select id, name, bio from people where id = $1",
                                             {.name = "bad_parameter"}};
    EXPECT_THAT(co_await problem_of(db, "bad_parameter"),
                HasSubstr("parameter $1 is int8 in PostgreSQL, but its argument is std::string"));
    const Query<User(std::int64_t)> arguments{"select id, name, bio from people", {.name = "bad_arguments"}};
    EXPECT_THAT(co_await problem_of(db, "bad_arguments"),
                HasSubstr("the SQL has 0 parameters, but the C++ type takes 1"));
    const Query<User()> syntax{"select id, name, bio form people", {.name = "bad_sql"}};
    EXPECT_THAT(co_await problem_of(db, "bad_sql"), AllOf(HasSubstr("42601"), HasSubstr("at: people")));
    const Query<User()> table{"select id, name, bio from nobody", {.name = "bad_table"}};
    EXPECT_THAT(co_await problem_of(db, "bad_table"), HasSubstr("relation \"nobody\" does not exist"));
  });
}

struct Copied {
  std::int32_t id;        // of a wider column
  std::string_view name;  // nothing could be read into it
  std::string bio;        // of a column that may be NULL
};
struct WrongCopy {
  std::string id;
  bool name;
};
struct CopyOfMore {
  std::int64_t id;
  int shoe_size;
};

TEST(Check, RowsThatAreCopiedNeedOnlyFitWhatTheyAreWrittenInto) {
  with_people([](Db& db) -> Task<void> {
    const CopyInto<Copied> fits{"people", {.name = "copy_fits"}};
    EXPECT_EQ(co_await problem_of(db, "copy_fits"), "");
    EXPECT_EQ(co_await db.copy_in(fits, std::vector<Copied>{{1, "Ann", "builds walls"}}), 1U);
    const CopyInto<WrongCopy> wrong{"people", {.name = "copy_of_wrong"}};
    EXPECT_THAT(
        co_await problem_of(db, "copy_of_wrong"),
        AllOf(HasSubstr("column 1 `id` is int8 in PostgreSQL, but the member `id` is std::string: use std::int64_t"),
              HasSubstr("column 2 `name` is text in PostgreSQL, but the member `name` is bool")));
    const CopyInto<CopyOfMore> more{"people", {.name = "copy_of_more"}};
    EXPECT_THAT(co_await problem_of(db, "copy_of_more"), HasSubstr("column \"shoe_size\" does not exist"));
  });
}

struct Names {
  std::string name;
  std::string other;
};
struct MaybeNames {
  std::string name;
  std::optional<std::string> other;
};

TEST(Check, TheFarSideOfAnOuterJoinMayBeNull) {
  with_people([](Db& db) -> Task<void> {
    const Query<Names()> left{"select a.name, b.name as other from people a left join people b on b.id = a.id + 1",
                              {.name = "outer_left"}};
    EXPECT_THAT(co_await problem_of(db, "outer_left"),
                AllOf(HasSubstr("column 2 `other` is on the far side of an outer join"), HasSubstr("member `other`"),
                      Not(HasSubstr("member `name`"))));
    const Query<Names(std::int64_t)> right{
        "select a.name as other, b.name from people b right outer join people a on b.id = a.id + $1 order by 1 limit 5",
        {.name = "outer_right"}};
    EXPECT_THAT(co_await problem_of(db, "outer_right"), HasSubstr("column 2"));
    const Query<Names()> full{"select a.name, b.name as other from people a full join people b using (id)",
                              {.name = "outer_full"}};
    EXPECT_THAT(co_await problem_of(db, "outer_full"), AllOf(HasSubstr("column 1"), HasSubstr("column 2")));
    const Query<Names()> deep{
        "select a.name, c.name as other from people a left join (people b join people c on c.id = b.id + 1) "
        "on b.id = a.id join people d on d.id = a.id",
        {.name = "outer_deep"}};
    EXPECT_THAT(co_await problem_of(db, "outer_deep"), HasSubstr("column 2"));
  });
}

TEST(Check, AnOuterJoinRaisesNoFalseAlarm) {
  with_people([](Db& db) -> Task<void> {
    const Query<MaybeNames()> optional{
        "select a.name, b.name as other from people a left join people b on b.id = a.id + 1",
        {.name = "calm_optional"}};
    const Query<Names()> forced{
        "select a.name, b.name as \"other!\" from people a left join people b on b.id = a.id + 1",
        {.name = "calm_forced"}};
    const Query<Names()> inner{"select a.name, b.name as other from people a join people b on b.id = a.id + 1",
                               {.name = "calm_inner"}};
    const Query<Names()> dropped{
        "select a.name, b.name as other from people a left join people b on b.id = a.id + 1 where b.name > 'a'",
        {.name = "calm_dropped"}};
    const Query<Names()> computed{
        "select a.name, coalesce(b.name, '') as other from people a left join people b on b.id = a.id + 1",
        {.name = "calm_computed"}};
    const Query<Post()> members{
        "select p.id, a.id as author_id, a.name as author_name, a.bio, e.id as editor_id, e.name, e.bio as editor_bio "
        "from people p join people a on a.id = p.id left join people e on e.id = p.id + 1",
        {.name = "calm_members"}};
    const Query<void()> inserted{
        "insert into people select a.id + 100, b.name from people a left join people b on b.id = a.id where false",
        {.name = "calm_inserted"}};
    EXPECT_EQ(co_await problem_of(db, "calm_"), "");
  });
}

TEST(Check, LeavesNothingBehindInItsSession) {
  with_people([](Db& db) -> Task<void> {
    const Query<MaybeNames()> joined{
        "select a.name, b.name as other from people a left join people b on b.id = a.id + 1", {.name = "tidy"}};
    co_await test::with_session(db.url(), [](detail::Connection& connection) -> Task<void> {
      static_cast<void>(co_await check_queries(connection));
      const auto rows = co_await detail::TextQuery(
          connection, "select count(*), current_setting('plan_cache_mode') from pg_prepared_statements");
      EXPECT_EQ(rows.at(0).at(0), "0");
      EXPECT_EQ(rows.at(0).at(1), "auto");
      EXPECT_EQ(connection.transaction_status(), 'I');
    });
  });
}

TEST(Check, StartRefusesToServeWithAQueryThatDoesNotFit) {
  const TestDatabase database(test::server(), "template1");
  const Query<std::int32_t()> wrong{"select 'text'::text", {.name = "refused_at_start"}};
  try {
    async::run([](std::string url) -> Task<void> {
      Db db({.url = url});
      co_await db.start();
    }(database.url()));
    FAIL() << "start did not refuse";
  } catch (const QueryMismatch& error) {
    EXPECT_THAT(error.message(), AllOf(HasSubstr("refused_at_start"), HasSubstr("text"), HasSubstr("std::int32_t"),
                                       HasSubstr("check_test.cpp")));
  }
}

TEST(Check, AStatementThatDoesNotFitIsRefusedWhenItRunsToo) {
  with_people([](Db& db) -> Task<void> {
    const Query<Narrow()> wrong{"select id, name as nick from people", {.name = "narrow_at_run"}};
    const auto error = co_await test::caught<QueryMismatch>(db.all(wrong));
    EXPECT_THAT(error->message(), HasSubstr("narrow_at_run"));
  });
}

}  // namespace
}  // namespace ashlar::pg
