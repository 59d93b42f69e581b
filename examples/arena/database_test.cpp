#include "database.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include <ashlar/testing/client.hpp>
#include <ashlar/testing/clock.hpp>
#include <ashlar/testing/database.hpp>

#include "item_cache.hpp"

namespace arena {
namespace {

class ArenaDatabase : public ::testing::Test {
 protected:
  ArenaDatabase() {
    app.provide(db);
    add_database_routes(app, &db);
    client.emplace(app);
    client->run(seed(db, 400));
  }
  static std::int64_t number(std::string_view body, std::string_view name) {
    return Json(std::string(body)).find(name)->as_integer().value();
  }
  std::string get(const std::string& path) { return client->get(path).send().body; }

  ashlar::testing::Database database;
  App app;
  pg::Db db{{.url = database.url(), .check_queries = false}};
  std::optional<ashlar::testing::Client> client;
};

TEST_F(ArenaDatabase, FindsItemsByPrice) {
  const auto answer = client->get("/async-db?min=10&max=50&limit=5").send();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Type"), "application/json; charset=utf-8");
  EXPECT_EQ(number(answer.body, "count"), 5);
  const Json items = Json(answer.body).find("items").value();
  for (std::size_t i = 0; i < 5; ++i) {
    const Json item = items.at(i).value();
    EXPECT_GE(item.find("price")->as_integer().value(), 10);
    EXPECT_LE(item.find("price")->as_integer().value(), 50);
    EXPECT_TRUE(item.find("rating")->find("score")->as_integer());
    EXPECT_TRUE(item.find("tags")->at(0)->as_string()) << item.text();
  }
  EXPECT_EQ(get("/async-db?min=900&max=901"), R"({"items":[],"count":0})");
  EXPECT_EQ(client->get("/async-db?limit=0").send().status, 422);
  EXPECT_EQ(client->get("/async-db?limit=51").send().status, 422);
}

TEST_F(ArenaDatabase, ListsACategoryByPages) {
  const std::string first = get("/crud/items?category=books&page=1&limit=10");
  EXPECT_EQ(number(first, "total"), 10);
  EXPECT_EQ(number(first, "page"), 1);
  EXPECT_EQ(number(first, "limit"), 10);
  const std::string last = get("/crud/items?category=books&page=10&limit=10");
  EXPECT_NE(Json(last).find("items")->at(0)->find("id")->as_integer(),
            Json(first).find("items")->at(0)->find("id")->as_integer());
  EXPECT_EQ(number(get("/crud/items?category=books&page=11&limit=10"), "total"), 0);
  EXPECT_EQ(number(get("/crud/items?category=none"), "total"), 0);
  EXPECT_EQ(client->get("/crud/items?category=books&limit=51").send().status, 422);
  EXPECT_EQ(client->get("/crud/items").send().status, 422);
}

TEST_F(ArenaDatabase, ReadsAnItemFromTheCacheFor200Milliseconds) {
  ashlar::testing::Clock clock(*client);
  const auto first = client->get("/crud/items/7").send();
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("X-Cache"), "MISS");
  const auto second = client->get("/crud/items/7").send();
  EXPECT_EQ(second.header("X-Cache"), "HIT");
  EXPECT_EQ(second.body, first.body);
  clock.advance(std::chrono::milliseconds{201});
  EXPECT_EQ(client->get("/crud/items/7").send().header("X-Cache"), "MISS");
  EXPECT_EQ(client->get("/crud/items/9999").send().status, 404);
  EXPECT_EQ(client->get("/crud/items/seven").send().status, 422);
}

TEST_F(ArenaDatabase, AnUpdateIsSeenAtOnce) {
  get("/crud/items/7");
  const auto changed = client->put("/crud/items/7").json(R"({"name":"Trowel","price":12})").send();
  EXPECT_EQ(changed.status, 200) << changed.body;
  const auto after = client->get("/crud/items/7").send();
  EXPECT_EQ(after.header("X-Cache"), "MISS");
  EXPECT_EQ(Json(after.body).find("name")->as_string(), "Trowel");
  EXPECT_EQ(number(after.body, "price"), 12);
  EXPECT_EQ(number(after.body, "quantity"), 7) << "it did not name it";
  EXPECT_EQ(client->put("/crud/items/9999").json(R"({"price":1})").send().status, 404);
  EXPECT_EQ(client->put("/crud/items/7").json(R"({"price":-1})").send().status, 422);
}

TEST_F(ArenaDatabase, CreatesAndReplaces) {
  const std::string body =
      R"({"id":5001,"name":"Level","category":"tools","price":30,"quantity":4,"active":true,"tags":["new"],)"
      R"("rating":{"score":5,"count":1}})";
  const auto made = client->post("/crud/items").json(body).send();
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.header("Location"), "/crud/items/5001");
  EXPECT_EQ(made.body, body);
  EXPECT_EQ(get("/crud/items/5001"), body);
  EXPECT_EQ(client->post("/crud/items")
                .json(R"({"id":5001,"name":"Plumb","category":"tools","price":1,"quantity":1})")
                .send()
                .status,
            201);
  EXPECT_EQ(Json(get("/crud/items/5001")).find("name")->as_string(), "Plumb");
  EXPECT_EQ(client->post("/crud/items").json(R"({"id":1})").send().status, 422);
}

TEST_F(ArenaDatabase, ItsQueriesFitItsTable) {
  for (const std::string& problem : client->run(db.check()))
    EXPECT_EQ(problem.find("item"), std::string::npos) << problem;
}

TEST(ArenaWithoutDatabase, FindsNothing) {
  App app;
  add_database_routes(app, nullptr);
  ashlar::testing::Client client(app);
  EXPECT_EQ(client.get("/async-db?min=10&max=50").send().body, R"({"items":[],"count":0})");
}

TEST(ItemCache, DoesNotKeepWhatWasReadBeforeAChange) {
  ItemCache<int> cache(std::chrono::hours{1});
  const auto miss = cache.get(1);
  cache.forget(1);
  cache.put(1, std::make_shared<const int>(1), miss.ticket);
  EXPECT_EQ(cache.get(1).value, nullptr);
  cache.put(1, std::make_shared<const int>(2), cache.get(1).ticket);
  EXPECT_EQ(*cache.get(1).value, 2);
}

TEST(ItemCache, HasALimit) {
  ItemCache<int, 64> cache(std::chrono::hours{1});  // one a part
  for (int id : {0, 64}) cache.put(id, std::make_shared<const int>(id), cache.get(id).ticket);
  EXPECT_EQ(cache.get(0).value, nullptr);
  EXPECT_EQ(*cache.get(64).value, 64);
}

}  // namespace
}  // namespace arena
