#include <ashlar/pg/db.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Item {
  std::int64_t id;
  std::string name;
  std::optional<std::string> note;
};

const Query<void()> create_items{
    "create table items (id bigint generated always as identity primary key, name text not null unique, note text)"};
const Query<Item(std::string, std::optional<std::string>)> insert_item{
    "insert into items (name, note) values ($1, $2) returning id, name, note", {.name = "insert_item"}};
const Query<Item(std::int64_t)> item_by_id{"select id, name, note from items where id = $1", {.name = "item_by_id"}};
const Query<Item(int, int)> items_page{"select id, name, note from items order by id limit $1 offset $2"};
const Query<std::int64_t()> count_items{"select count(*) from items"};
const Query<void(std::string)> delete_item{"delete from items where name = $1"};
const Query<int(int)> one_plus{"select $1::int4 + 1"};
const Query<int(int)> divide{"select 1 / $1::int4", {.name = "divide"}};
const Query<void(double)> nap{"select pg_sleep($1)"};

TEST(Db, RunsQueriesIntoStructs) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_items);
    const Item a = co_await db.one(insert_item, "stone", std::nullopt);
    EXPECT_EQ(a.id, 1);
    EXPECT_EQ(a.name, "stone");
    EXPECT_FALSE(a.note);
    const Item b = co_await db.one(insert_item, "mortar", "hardly any");
    EXPECT_EQ(b.note, "hardly any");
    EXPECT_EQ((co_await db.one(item_by_id, 2)).name, "mortar");
    EXPECT_FALSE(co_await db.maybe(item_by_id, 3));
    EXPECT_EQ((co_await db.all(items_page, 10, 0)).size(), 2U);
    EXPECT_EQ((co_await db.all(items_page, 10, 1)).size(), 1U);
    EXPECT_EQ(co_await db.one(count_items), 2);
    EXPECT_EQ(co_await db.exec(delete_item, "stone"), 1U);
    EXPECT_EQ(co_await db.exec(delete_item, "stone"), 0U);
  });
}

TEST(Db, OneWithoutARowIsNotFoundAndWithTwoAMistake) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_items);
    const auto missing = co_await test::caught<NoRow>(db.one(item_by_id, 1));
    EXPECT_EQ(missing->kind(), ErrorKind::not_found);
    co_await db.one(insert_item, "a", std::nullopt);
    co_await db.one(insert_item, "b", std::nullopt);
    const auto many = co_await test::caught<TooManyRows>(db.one(items_page, 10, 0));
    EXPECT_THAT(many->message(), HasSubstr("db_test.cpp"));
  });
}

TEST(Db, AFailingQueryInAPipelineLeavesItsNeighboursAlone) {
  test::with_db(
      [](Db& db) -> Task<void> {
        std::vector<Task<int>> tasks;
        std::vector<int> failed(64, 0);
        std::vector<int> results(64, 0);
        const auto run = [&](int i) -> Task<int> {
          try {
            results[static_cast<std::size_t>(i)] = co_await db.one(i == 31 ? divide : one_plus, i == 31 ? 0 : i);
          } catch (const DatabaseError& error) {
            EXPECT_EQ(error.code, "22012");
            EXPECT_EQ(error.query, "divide");
            EXPECT_THAT(error.message(), HasSubstr("db_test.cpp"));
            failed[static_cast<std::size_t>(i)] = 1;
          }
          co_return 0;
        };
        for (int i = 0; i < 64; ++i) tasks.push_back(run(i));
        co_await async::all(std::move(tasks));
        for (int i = 0; i < 64; ++i) {
          EXPECT_EQ(failed[static_cast<std::size_t>(i)], i == 31);
          if (i != 31) EXPECT_EQ(results[static_cast<std::size_t>(i)], i + 1);
        }
        EXPECT_EQ(db.stats().shared_open, 1U);
      },
      {.shared_connections = 1});
}

TEST(Db, TransactionsCommitOrLeaveNothing) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_items);
    const std::int64_t id = co_await db.transaction([](Tx& tx) -> Task<std::int64_t> {
      const Item item = co_await tx.one(insert_item, "kept", std::nullopt);
      co_return item.id;
    });
    EXPECT_EQ((co_await db.one(item_by_id, id)).name, "kept");
    const auto error = co_await test::caught<Conflict>(db.transaction([](Tx& tx) -> Task<void> {
      co_await tx.one(insert_item, "lost", std::nullopt);
      throw Conflict("no");
    }));
    EXPECT_EQ(error->message(), "no");
    EXPECT_EQ(co_await db.one(count_items), 1);
  });
}

TEST(Db, UniqueViolationsNameConstraintAndColumns) {
  test::with_db([](Db& db) -> Task<void> {
    co_await db.exec(create_items);
    co_await db.one(insert_item, "x", std::nullopt);
    const auto error = co_await test::caught<UniqueViolation>(db.one(insert_item, "x", std::nullopt));
    EXPECT_EQ(error->kind(), ErrorKind::conflict);
    EXPECT_EQ(error->constraint(), "items_name_key");
    EXPECT_EQ(error->table(), "items");
    EXPECT_THAT(error->columns(), ElementsAre("name"));
    EXPECT_EQ(error->message(), "this name is already taken");
    EXPECT_EQ(error->query, "insert_item");
  });
}

}  // namespace
}  // namespace ashlar::pg
