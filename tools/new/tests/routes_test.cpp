#include "routes.hpp"

#include <gtest/gtest.h>

#include <ashlar/testing/client.hpp>

namespace myapp {
namespace {

class Routes : public ::testing::Test {
 protected:
  Routes() {
    app.settings<Settings>("MYAPP_TEST");
    app.provide(greetings);
    add_routes(app);
  }

  Greetings greetings;
  ashlar::App app;
};

TEST_F(Routes, KeepAGreeting) {
  ashlar::testing::Client client{app};
  const auto made = client.post("/greetings").json(NewGreeting{.to = "Ada", .loud = true}).send();
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(made.header("Location"), "/greetings/1");
  EXPECT_EQ(client.get("/greetings/1").send().json<Greeting>().text, "Hello, Ada!");
  EXPECT_EQ(client.get("/greetings").send().json<std::vector<Greeting>>().size(), 1U);
}

TEST_F(Routes, RefuseAGreetingToNobody) {
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.post("/greetings").json(R"({"to": "  "})").send().status, 422);
  EXPECT_EQ(client.get("/greetings/1").send().status, 404);
}

}  // namespace
}  // namespace myapp
