#include <ashlar/app/trusted_hosts.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/trusted_proxies.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/metric.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using detail::host_of;
using detail::HostNames;
using testing::Answer;
using testing::Client;

TEST(HostNames, AreTakenOutOfWhatClientsSend) {
  EXPECT_EQ(host_of("example.com"), "example.com");
  EXPECT_EQ(host_of("example.com:8080"), "example.com");
  EXPECT_EQ(host_of("[::1]:80"), "[::1]");
  for (const char* none : {"", "a b", "example.com:80x", "[::1", "[]", "evil.com/x", "user@example.com", "[::1]x"})
    EXPECT_EQ(host_of(none), "") << none;
}

TEST(HostNames, MatchNamesAndAllNamesBelowOne) {
  const HostNames names({"Example.com", "*.example.org", "[::1]"}, "hosts");
  for (const char* host : {"example.com", "EXAMPLE.COM", "example.com.", "a.example.org", "a.b.example.org", "[::1]"})
    EXPECT_TRUE(names.contains(host)) << host;
  for (const char* host :
       {"", "a.example.com", "example.org", "evilexample.com", "example.com.evil.net", ".example.org"})
    EXPECT_FALSE(names.contains(host)) << host;
}

TEST(HostNames, RefuseWhatIsNoHost) {
  for (const char* none : {"", "example.com:80", "http://example.com", "*", "*.", "a.*.com"})
    EXPECT_THROW(HostNames({none}, "hosts"), Invalid) << none;
}

struct Service {
  explicit Service(const std::vector<std::string>& hosts) {
    app.use(TrustedProxies{{"10.0.0.0/8"}});
    app.use(TrustedHosts{hosts});
    app.get<"/">([] { return "hello"; });
  }
  App app;
};

TEST(TrustedHosts, AnswerForTheirNamesAndNoOthers) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  Service service{{"example.com", "*.example.com"}};
  Client client{service.app};
  EXPECT_EQ(client.get("/").secure("example.com").send().status, 200);
  EXPECT_EQ(client.get("/").secure("www.example.com:8443").send().status, 200);
  const Answer refused = client.get("/").secure("evil.net");
  EXPECT_EQ(refused.status, 421);
  EXPECT_EQ(refused.header("Content-Type"), "application/problem+json");
  EXPECT_NE(registry.expose().find("ashlar_http_hosts_refused_total 1"), std::string::npos) << registry.expose();
}

TEST(TrustedHosts, LetProbesAskByAnAddress) {
  Service service{{"example.com"}};
  Client client{service.app};
  EXPECT_EQ(client.get("/health/live").secure("10.1.2.3:8000").send().status, 200);
  EXPECT_EQ(client.get("/healthy").secure("10.1.2.3:8000").send().status, 421);
}

TEST(TrustedHosts, SeeTheHostThatATrustedProxyTells) {
  Service service{{"example.com"}};
  Client client{service.app};
  const auto ask = [&](const char* from) {
    return client.get("/").secure("inner").from(from).header("X-Forwarded-Host", "example.com").send().status;
  };
  EXPECT_EQ(ask("10.0.0.1"), 200);
  EXPECT_EQ(ask("203.0.113.7"), 421);
}

TEST(TrustedHosts, OfNoNameAreRefused) {
  EXPECT_THROW(TrustedHosts{std::vector<std::string>{}}, Invalid);
  EXPECT_THROW(TrustedHosts({"example.com"}, {.except = {"health"}}), Invalid);
}

}  // namespace
}  // namespace ashlar
