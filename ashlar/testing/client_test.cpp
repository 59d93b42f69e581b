#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar::testing {
namespace {

TEST(Client, SendsFromTheAddressThatItIsTold) {
  struct Tells : Middleware {
    void after(http::Exchange& exchange) noexcept override {
      exchange.response.body = exchange.request.peer != nullptr ? exchange.request.peer->to_string() : "nowhere";
    }
  };
  App app;
  app.use(Tells{});
  app.get<"/">([] { return Text{""}; });
  Client client{app};
  EXPECT_EQ(client.get("/").from("203.0.113.7").send().body, "203.0.113.7:40000");
  EXPECT_EQ(client.get("/").send().body, "nowhere");
  EXPECT_THROW((void)client.get("/").from("somewhere"), Invalid);
}

}  // namespace
}  // namespace ashlar::testing
