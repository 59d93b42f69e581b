// The service from outside.
#include "orders_test.hpp"

namespace orders {
namespace {

using Answer = ashlar::testing::Answer;

class Api : public OrdersTest {
 protected:
  Answer open() { return client->post("/orders").json(R"({"customer":"ann"})"); }
  Answer put(const std::string& path, int quantity, const std::string& tag = {}) {
    auto request = client->put(path + "/lines/brick").json(R"({"quantity":)" + std::to_string(quantity) + "}");
    if (!tag.empty()) request.header("If-Match", tag);
    return request;
  }
  static std::string text(const Answer& answer, std::string_view name) {
    const auto found = ashlar::Json(answer.body).find(name);
    return found ? found->as_string().value_or(std::string(found->text())) : "";
  }
};

TEST_F(Api, AnOrderGoesFromOpenToConfirmed) {
  const Answer made = open();
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.header("ETag"), "\"1\"");
  const std::string path = *made.header("Location");
  EXPECT_EQ(path, "/orders/" + text(made, "id"));
  const Answer filled = put(path, 3);
  EXPECT_EQ(filled.status, 200) << filled.body;
  EXPECT_EQ(text(filled, "total_cents"), "600");
  EXPECT_EQ(text(client->post(path + "/place").send(), "state"), "placed");
  run(outbox.deliver());
  EXPECT_EQ(text(client->get(path).send(), "state"), "confirmed");
  const Answer list = client->get("/orders?customer=ann").send();
  EXPECT_EQ(ashlar::Json(list.body).at(0)->find("state")->as_string(), "confirmed");
}

TEST_F(Api, AChangeOfAnotherVersionFailsWith412) {
  const std::string path = *open().header("Location");
  const Answer first = put(path, 1, "\"1\"");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("ETag"), "\"2\"");
  const Answer late = put(path, 2, "\"1\"");
  EXPECT_EQ(late.status, 412) << late.body;
  EXPECT_EQ(late.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(put(path, 2, "W/\"2\"").status, 412) << "weak tags match no change";
  EXPECT_EQ(put(path, 2, "\"two\"").status, 412);
  EXPECT_EQ(put(path, 2, "\"1\", \"2\"").status, 422);
  EXPECT_EQ(put(path, 2, "\"2\"").status, 200);
  EXPECT_EQ(put(path, 3, "*").status, 200);
  EXPECT_EQ(text(client->get(path).send(), "total_cents"), "600");
}

TEST_F(Api, WhatTheStateDoesNotAllowIsAConflict) {
  const std::string path = *open().header("Location");
  EXPECT_EQ(client->post(path + "/place").send().status, 422) << "empty";
  put(path, 1);
  EXPECT_EQ(client->post(path + "/place").send().status, 200);
  EXPECT_EQ(client->post(path + "/place").send().status, 409);
  EXPECT_EQ(put(path, 1).status, 409);
  EXPECT_EQ(client->post(path + "/cancel").json(R"({"reason":"no"})").send().status, 200);
  EXPECT_EQ(client->post(path + "/cancel").json(R"({"reason":"no"})").send().status, 409);
}

TEST_F(Api, ChangesOfOneOrderAtOnceLoseNothing) {
  const std::string path = *open().header("Location");
  std::vector<ashlar::testing::Request> requests;
  for (int i = 1; i <= 8; ++i)
    requests.push_back(client->put(path + "/lines/brick").json(R"({"quantity":)" + std::to_string(i) + "}"));
  int stored = 0;
  for (const Answer& answer : client->send_all(std::move(requests))) {
    if (answer.status == 200) ++stored;
    EXPECT_TRUE(answer.status == 200 || answer.status == 409) << answer.status << answer.body;
  }
  EXPECT_GE(stored, 1);
  EXPECT_EQ(client->get(path).send().header("ETag"), "\"" + std::to_string(1 + stored) + "\"");
}

TEST_F(Api, RefusesWhatIsNotThereOrNotRight) {
  const std::string path = *open().header("Location");
  EXPECT_EQ(client->get("/orders/0199d1a5-0000-7000-8000-000000000000").send().status, 404);
  EXPECT_EQ(client->get("/orders/seven").send().status, 422);
  EXPECT_EQ(client->put(path + "/lines/gold").json(R"({"quantity":1})").send().status, 404);
  EXPECT_EQ(client->del(path + "/lines/brick").send().status, 404);
  EXPECT_EQ(put(path, 0).status, 422);
  EXPECT_EQ(client->post("/orders").json(R"({"customer":""})").send().status, 422);
  EXPECT_EQ(client->post(path + "/cancel").json("{}").send().status, 422);
  EXPECT_EQ(client->get("/orders").send().status, 422);
}

}  // namespace
}  // namespace orders
