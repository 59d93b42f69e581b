#include <gtest/gtest.h>

#include <chrono>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/clock.hpp>

namespace ashlar::testing {
namespace {

using namespace std::chrono_literals;

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

TEST(Client, KeepsCookiesAsABrowserDoesWhenAsked) {
  struct Cookies : Middleware {
    void after(http::Exchange& exchange) noexcept override {
      exchange.response.body = exchange.request.header(http::KnownHeader::cookie).value_or("none");
      if (exchange.request.path != "/set") return;
      exchange.response.header("Set-Cookie", "a=1; Path=/");
      exchange.response.header("Set-Cookie", "b=2; Path=/; Secure");
      exchange.response.header("Set-Cookie", "c=3; Path=/; Max-Age=3600");
    }
  };
  App app;
  app.use(Cookies{});
  app.get<"/">([] { return Text{""}; });
  app.get<"/set">([] { return Text{""}; });
  Client client{app};
  Clock clock{client};
  client.get("/set").secure().send();
  EXPECT_EQ(client.get("/").send().body, "none");
  client.keep_cookies();
  client.get("/set").secure().send();
  EXPECT_EQ(client.get("/").send().body, "a=1; c=3") << "not over TLS";
  EXPECT_EQ(client.get("/").secure().send().body, "a=1; b=2; c=3");
  EXPECT_EQ(client.get("/").header("Cookie", "mine=1").send().body, "mine=1");
  clock.advance(2h);
  EXPECT_EQ(client.get("/").send().body, "a=1");
}

}  // namespace
}  // namespace ashlar::testing
