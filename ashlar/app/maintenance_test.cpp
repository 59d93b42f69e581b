#include <ashlar/app/maintenance.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::Client;

TEST(Maintenance, ClosesAndOpensWhileItServes) {
  App app;
  const Maintenance maintenance;
  app.use(maintenance);
  app.get<"/">([] { return Text{"hello"}; });
  Client client{app};
  EXPECT_EQ(client.get("/").send().status, 200);
  maintenance.begin();
  EXPECT_TRUE(maintenance.closed());
  const Answer closed = client.get("/");
  EXPECT_EQ(closed.status, 503);
  EXPECT_EQ(closed.header("Retry-After"), "120");
  EXPECT_EQ(closed.header("Content-Type"), "application/problem+json");
  EXPECT_NE(closed.body.find("maintenance"), std::string::npos);
  maintenance.end();
  EXPECT_EQ(client.get("/").send().status, 200);
}

TEST(Maintenance, TellsWhenItWillBeOver) {
  App app;
  const Maintenance maintenance;
  app.use(maintenance);
  app.get<"/">([] { return Text{"hello"}; });
  Client client{app};
  maintenance.begin(1h);
  const int seconds = std::stoi(client.get("/").send().header("Retry-After").value_or("0"));
  EXPECT_LE(seconds, 3600);
  EXPECT_GT(seconds, 3000);
}

TEST(Maintenance, MayBeWithoutAnEnd) {
  App app;
  const Maintenance maintenance;
  app.use(maintenance);
  app.get<"/">([] { return Text{"hello"}; });
  Client client{app};
  maintenance.begin(std::chrono::seconds::max());
  const Answer closed = client.get("/");
  EXPECT_EQ(closed.status, 503);
  EXPECT_GT(std::stoi(closed.header("Retry-After").value_or("0")), 86'400);
}

TEST(Maintenance, KeepsProbesAndWhatIsNamedOpen) {
  App app;
  const Maintenance maintenance{{.open_paths = {"/health/", "/status"}}};
  app.use(maintenance);
  app.get<"/status">([] { return Text{"closed until noon"}; });
  app.get<"/status/all">([] { return Text{"secret"}; });
  Client client{app};
  maintenance.begin();
  EXPECT_EQ(client.get("/health/live").send().status, 200);
  EXPECT_EQ(client.get("/health/ready").send().status, 200);
  EXPECT_EQ(client.get("/status").send().status, 200);
  EXPECT_EQ(client.get("/status/all").send().status, 503);
  EXPECT_EQ(client.get("/nothing").send().status, 503);
}

struct Bare final : http::Exchange {
 private:
  void on_finish() noexcept override {}
};

bool comes_through(Maintenance maintenance, std::string_view address) {
  const auto peer = net::Address::parse(address);
  Bare exchange;
  exchange.request.path = "/";
  exchange.request.peer = &*peer;
  maintenance.begin();
  try {
    return maintenance.before(exchange);
  } catch (const Problem&) {  // no application to answer in the format of
    return false;
  }
}

TEST(Maintenance, LetsNamedAddressesThrough) {
  const Maintenance maintenance{{.open_to = {"10.0.0.0/8", "::1"}}};
  EXPECT_TRUE(comes_through(maintenance, "10.1.2.3:4000"));
  EXPECT_TRUE(comes_through(maintenance, "[::1]:4000"));
  EXPECT_FALSE(comes_through(maintenance, "192.0.2.1:4000"));
  EXPECT_FALSE(comes_through(maintenance, "unix:/run/app.sock"));
}

TEST(Maintenance, ThatCannotWorkIsRefused) {
  EXPECT_THROW(Maintenance({.open_paths = {"status"}}), Invalid);
  EXPECT_THROW(Maintenance({.open_to = {"everybody"}}), Invalid);
  EXPECT_THROW(Maintenance({.retry_after = 0s}), Invalid);
}

}  // namespace
}  // namespace ashlar
