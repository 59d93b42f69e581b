// The code of docs/guide/around-routes.md.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/idempotency_keys.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/database.hpp>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

// sample: user
struct User {
  std::int64_t id;
};
User current_user(Bearer token) { return {std::stoll(std::string(token.token))}; }  // yours looks it up
// end of sample

struct Order {
  std::string product;
};
int g_orders = 0;
Created<Order> place_order(Order order) {
  ++g_orders;
  return {order, "/orders/1"};
}

TEST(AroundRoutesGuide, LimitsUsers) {
  App app;
  const auto make_report = [] { return Text{"…"}; };
  // sample: principal_limit
  PrincipalLimit reports{per<current_user, &User::id>, {.requests = 20, .per = 1h, .burst = 2, .name = "reports"}};

  app.post<"/reports">(make_report, {.principal_limits = {reports}});
  // end of sample
  ashlar::testing::Client client{app};
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.post("/reports").bearer("1").send().status, 200);
  EXPECT_EQ(client.post("/reports").bearer("1").send().status, 429);
  EXPECT_EQ(client.post("/reports").bearer("2").send().status, 200);
}

TEST(AroundRoutesGuide, DoesThingsOnce) {
  App app;
  // sample: idempotency
  app.post<"/orders">(place_order, {.idempotency = Idempotency{per<current_user, &User::id>}});
  // end of sample
  ashlar::testing::Client client{app};
  g_orders = 0;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client.post("/orders").bearer("1").header("Idempotency-Key", "\"7\"").json(Order{"tea"}).send().status,
              201);
  }
  EXPECT_EQ(g_orders, 1);
}

TEST(AroundRoutesGuide, KeepsKeysInPostgresql) {
  ashlar::testing::Database database;
  App app;
  pg::Db db{{.url = database.url(), .check_queries = false}};  // those of other tests are about other schemas
  // sample: idempotency_pg
  pg::IdempotencyKeys keys{db};
  app.provide(db).provide(keys);

  app.post<"/orders">(place_order, {.idempotency = Idempotency{per<current_user, &User::id>, keys, {.keep = 48h}}});
  // end of sample
  ashlar::testing::Client client{app};
  g_orders = 0;
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.post("/orders").bearer("1").header("Idempotency-Key", "7").json(Order{"tea"}).send();
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.header("Location"), "/orders/1");
    EXPECT_EQ(answer.header("Idempotency-Replayed").has_value(), i == 1);
  }
  EXPECT_EQ(g_orders, 1);
  EXPECT_EQ(client.post("/orders").bearer("1").header("Idempotency-Key", "7").json(Order{"milk"}).send().status, 422);
}

TEST(AroundRoutesGuide, KeepsAnswers) {
  App app;
  int made = 0;
  const auto show_article = [&](Path<"slug"> slug) { return Text{slug + std::to_string(++made)}; };
  const auto show_feed = [&](Depends<current_user> user) { return Text{std::to_string(user->id)}; };
  // sample: cache
  ResponseCache pages{{.memory = 64 * 1024 * 1024}};

  app.get<"/articles/{slug}">(show_article, {.cache = pages.keep({.ttl = 5min, .tags = {"article:{slug}"}})});
  app.get<"/feed">(show_feed, {.cache = pages.keep(per<current_user, &User::id>, {.ttl = 10s})});
  // end of sample
  const auto write = [](const std::string&) {};
  app.put<"/articles/{slug}">([&](Path<"slug"> slug) {
    // sample: invalidate
    write(slug);
    pages.invalidate_tag("article:" + slug);
    // end of sample
  });
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/articles/a").send().body, "a1");
  EXPECT_EQ(client.get("/articles/a").send().body, "a1");
  EXPECT_EQ(client.put("/articles/a").send().status, 204);
  EXPECT_EQ(client.get("/articles/a").send().body, "a2");
  EXPECT_EQ(client.get("/feed").bearer("3").send().body, "3");
  EXPECT_EQ(client.get("/feed").bearer("4").send().body, "4");
}

}  // namespace
