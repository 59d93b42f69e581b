#include <ashlar/app/rate_limit.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/app/detail/rate_table.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using detail::RateTable;
using testing::Answer;
using testing::Client;

const async::TimePoint kStart{1000s};

RateLimitKey everybody() {
  return [](http::Exchange&) { return std::string_view("everybody"); };
}

TEST(RateTable, AllowsTheBurstAndThenTheRate) {
  RateTable table({.requests = 10, .per = 1s, .burst = 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(table.take("a", kStart).allowed);
  const auto refused = table.take("a", kStart);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.one_more, 100ms);
  EXPECT_FALSE(table.take("a", kStart + 99ms).allowed);
  EXPECT_TRUE(table.take("a", kStart + 100ms).allowed);
  EXPECT_FALSE(table.take("a", kStart + 100ms).allowed);
}

TEST(RateTable, SaysWhatIsLeft) {
  RateTable table({.requests = 4, .per = 4s});
  EXPECT_EQ(table.take("a", kStart).remaining, 3U);
  const auto second = table.take("a", kStart);
  EXPECT_EQ(second.remaining, 2U);
  EXPECT_EQ(second.one_more, 1s);
  EXPECT_EQ(table.take("a", kStart + 2s).remaining, 3U);
}

TEST(RateTable, SaysWhenThereWillBeOneMore) {
  RateTable table({.requests = 4, .per = 4s});
  EXPECT_EQ(table.take("a", kStart).remaining, 3U);
  const auto later = table.take("a", kStart + 250ms);
  EXPECT_EQ(later.remaining, 2U);
  EXPECT_EQ(later.one_more, 750ms);
}

TEST(RateTable, CountsEachKeyForItself) {
  RateTable table({.requests = 1, .per = 1s});
  EXPECT_TRUE(table.take("a", kStart).allowed);
  EXPECT_TRUE(table.take("b", kStart).allowed);
  EXPECT_FALSE(table.take("a", kStart).allowed);
}

TEST(RateTable, RefusedRequestsCostTheClientNothing) {
  RateTable table({.requests = 1, .per = 1s});
  EXPECT_TRUE(table.take("a", kStart).allowed);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(table.take("a", kStart + 500ms).allowed);
  EXPECT_TRUE(table.take("a", kStart + 1s).allowed);
}

TEST(RateTable, ForgetsTheClientNearestToAFreshStartAndCountsIt) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  RateTable table({.requests = 2, .per = 1h, .max_keys = 8});
  ASSERT_EQ(table.capacity(), 8U);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(table.take("heavy", kStart).allowed);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(table.take("light" + std::to_string(i), kStart).allowed);
  EXPECT_FALSE(table.take("heavy", kStart).allowed);
  EXPECT_NE(registry.expose().find("ashlar_rate_limit_forgotten_total{limit=\"default\"} 93"), std::string::npos)
      << registry.expose();
}

TEST(RateTable, AllowsNotOneTooManyWhenAllLoopsAskAtOnce) {
  RateTable table({.requests = 1000, .per = 1h});
  std::atomic<int> allowed{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) allowed += table.take("a", kStart).allowed ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(allowed.load(), 1000);
}

TEST(RateLimit, AnswersWith429AndWhenToComeBack) {
  App app;
  app.use(RateLimit{{.requests = 2, .per = 1min, .key = everybody()}});
  app.get<"/">([] { return "hello"; });
  Client client{app};
  EXPECT_EQ(client.get("/").send().header("RateLimit"), R"("default";r=1;t=30)");
  EXPECT_EQ(client.get("/").send().status, 200);
  const Answer refused = client.get("/");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(refused.header("Retry-After"), "30");
  EXPECT_EQ(refused.header("RateLimit"), R"("default";r=0;t=30)");
  EXPECT_EQ(refused.header("RateLimit-Policy"), R"("default";q=2;w=60)");
  EXPECT_TRUE(refused.header("X-Request-Id"));
}

TEST(RateLimit, SpeaksTheErrorFormatOfTheApplication) {
  App app;
  app.error_format<std::string>([](const Problem& problem) { return "sorry: " + std::to_string(problem.status); });
  app.use(RateLimit{{.requests = 1, .key = everybody()}});
  app.get<"/">([] { return "hello"; });
  Client client{app};
  EXPECT_EQ(client.get("/").send().status, 200);
  EXPECT_EQ(client.get("/").send().body, "\"sorry: 429\"");
}

TEST(RateLimit, OfRoutesIsSharedByTheRoutesThatNameItAndNoOthers) {
  App app;
  const RateLimit logins{{.requests = 1, .key = everybody(), .name = "logins"}};
  app.post<"/login">([] {}, {.rate_limits = {logins}});
  app.post<"/reset">([] {}, {.rate_limits = {logins}});
  app.get<"/">([] { return "hello"; });
  Client client{app};
  EXPECT_EQ(client.post("/login").send().status, 204);
  EXPECT_EQ(client.post("/reset").send().status, 429);
  const Answer other = client.get("/");
  EXPECT_EQ(other.status, 200);
  EXPECT_FALSE(other.header("RateLimit"));
  EXPECT_FALSE(other.header("RateLimit-Policy"));
}

TEST(RateLimit, OfARouteIsInOpenApi) {
  App app;
  app.post<"/login">([] {}, {.rate_limits = {RateLimit{}}});
  Client client{app};
  EXPECT_NE(app.openapi().find("\"429\""), std::string::npos);
}

TEST(RateLimit, TellsEachOfSeveralByItsName) {
  App app;
  app.use(RateLimit{{.requests = 100, .key = everybody(), .name = "all"}});
  app.get<"/">([] { return "hello"; },
               {.rate_limits = {RateLimit{{.requests = 3, .key = everybody(), .name = "few"}}}});
  Client client{app};
  const Answer answer = client.get("/");
  EXPECT_EQ(answer.header("RateLimit-Policy"), R"("few";q=3;w=60, "all";q=100;w=60)");
  EXPECT_EQ(answer.header("RateLimit"), R"("few";r=2;t=20, "all";r=99;t=1)");
}

TEST(RateLimit, TellsTheTightestOfThoseThatShareAName) {
  App app;
  app.use(RateLimit{{.requests = 100, .key = everybody()}});
  app.get<"/">([] { return "hello"; }, {.rate_limits = {RateLimit{{.requests = 3, .key = everybody()}}}});
  Client client{app};
  EXPECT_EQ(client.get("/").send().header("RateLimit-Policy"), R"("default";q=3;w=60)");
}

TEST(RateLimit, QuotesItsNameInHeadersAndRefusesOneThatCannotStandThere) {
  EXPECT_EQ(RateTable({.name = R"(the "big" one)"}).item(), R"("the \"big\" one")");
  EXPECT_THROW(RateLimit({.name = "größe"}), Invalid);
  EXPECT_THROW(RateLimit({.name = "a\r\nSet-Cookie: b"}), Invalid);
}

TEST(RateLimit, ByHeaderCountsEachValueAndWithoutItTheAddress) {
  App app;
  app.use(RateLimit{{.requests = 1, .key = by_header("X-Api-Key")}});
  app.get<"/">([] { return "hello"; });
  Client client{app};
  EXPECT_EQ(client.get("/").header("X-Api-Key", "a").send().status, 200);
  EXPECT_EQ(client.get("/").header("X-Api-Key", "b").send().status, 200);
  EXPECT_EQ(client.get("/").header("X-Api-Key", "a").send().status, 429);
  EXPECT_EQ(client.get("/").send().status, 200);  // no address in a test: not limited
  EXPECT_EQ(client.get("/").send().status, 200);
}

struct Bare final : http::Exchange {
 private:
  void on_finish() noexcept override {}
};

std::string peer_key(std::string_view address) {
  const auto peer = net::Address::parse(address);
  Bare exchange;
  exchange.request.peer = &*peer;
  return std::string(by_peer()(exchange));
}

TEST(RateLimit, ByPeerTakesAnIpv6NetworkOf64BitsForOneClient) {
  EXPECT_EQ(peer_key("[2001:db8:1:2::1]:80"), peer_key("[2001:db8:1:2:ffff::9]:81"));
  EXPECT_NE(peer_key("[2001:db8:1:2::1]:80"), peer_key("[2001:db8:1:3::1]:80"));
  EXPECT_NE(peer_key("192.0.2.1:80"), peer_key("192.0.2.2:80"));
  EXPECT_EQ(peer_key("192.0.2.1:80"), peer_key("[::ffff:192.0.2.1]:81"));
  EXPECT_EQ(peer_key("unix:/run/app.sock"), "");
}

TEST(RateLimit, ThatAllowsNothingIsRefused) {
  EXPECT_THROW(RateLimit({.requests = 0}), Invalid);
  EXPECT_THROW(RateLimit({.per = 0s}), Invalid);
  EXPECT_THROW(RateLimit({.max_keys = 0}), Invalid);
}

}  // namespace
}  // namespace ashlar
