// The code of docs/guide/overload.md.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

struct Order {
  std::string product;
};

TEST(OverloadGuide, SetsPriorities) {
  App app;
  // sample: priorities
  app.post<"/orders">([](Order order) { return order; }, {.priority = Priority::critical});
  app.get<"/products">([] { return Text{"…"}; });  // Priority::normal
  app.get<"/recommendations">([] { return Text{"…"}; }, {.priority = Priority::sheddable});
  // end of sample
  // sample: classify
  app.classify([](const http::Request& request) -> std::optional<Priority> {
    if (request.header("Purpose") == "prefetch") return Priority::sheddable;
    return std::nullopt;  // what the route says
  });
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.post("/orders").json(Order{"tea"}).send().status, 200);
  EXPECT_EQ(client.get("/products").header("Purpose", "prefetch").send().status, 200);
}

TEST(OverloadGuide, LimitsRates) {
  App app;
  const auto sign_in = [] { return Text{"welcome"}; };
  const auto reset_password = [] { return Text{"a letter is on its way"}; };
  // sample: rate_limit
  app.use(RateLimit{{.requests = 600, .per = 1min, .burst = 50}});  // by address

  RateLimit keys{{.requests = 5, .per = 1min, .key = by_header("X-Api-Key"), .name = "sign-in"}};
  app.post<"/sign-in">(sign_in, {.rate_limits = {keys}});
  app.post<"/password">(reset_password, {.rate_limits = {keys}});  // both together
  // end of sample
  ashlar::testing::Client client{app};
  for (int i = 0; i < 5; ++i) {
    const std::string path = i % 2 == 0 ? "/sign-in" : "/password";
    EXPECT_EQ(client.post(path).header("X-Api-Key", "k").send().status, 200);
  }
  EXPECT_EQ(client.post("/sign-in").header("X-Api-Key", "k").send().status, 429);
}

}  // namespace
