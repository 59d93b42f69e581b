#include <ashlar/app/trusted_proxies.hpp>

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/net/address.hpp>

namespace ashlar {
namespace {

struct Bare final : http::Exchange {
 private:
  void on_finish() noexcept override {}
};

using Headers = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// "192.0.2.1 https example.com": who the client is, how it came, where to.
std::string seen(std::string_view peer, Headers headers, ProxyHeader kind = ProxyHeader::x_forwarded) {
  TrustedProxies proxies({"10.0.0.0/8", "fd00::/8", "unix"}, kind);
  const auto address = net::Address::parse(peer);
  Bare exchange;
  exchange.request.clear();
  exchange.request.peer = &*address;
  exchange.request.authority = "inside";
  for (const auto& [name, value] : headers) exchange.request.add_header(name, value);
  EXPECT_TRUE(proxies.before(exchange));
  return exchange.request.peer->host() + (exchange.request.secure ? " https " : " http ") +
         std::string(exchange.request.authority);
}

TEST(TrustedProxies, TellWhoTheClientIs) {
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "192.0.2.1"},
                                {"X-Forwarded-Proto", "https"},
                                {"X-Forwarded-Host", "example.com:8443"}}),
            "192.0.2.1 https example.com:8443");
  EXPECT_EQ(seen("[fd00::1]:1", {{"X-Forwarded-For", "2001:db8::1"}}), "2001:db8::1 http inside");
  EXPECT_EQ(seen("[::ffff:10.0.0.1]:1", {{"X-Forwarded-For", "192.0.2.1"}}), "192.0.2.1 http inside");
  EXPECT_EQ(seen("unix:/run/proxy", {{"X-Forwarded-For", "192.0.2.1"}}), "192.0.2.1 http inside");
}

TEST(TrustedProxies, OthersAreNotBelieved) {
  EXPECT_EQ(
      seen("192.0.2.9:1",
           {{"X-Forwarded-For", "10.0.0.7"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "example.com"}}),
      "192.0.2.9 http inside");
}

TEST(TrustedProxies, WhatAClientWroteItselfIsNotBelieved) {
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "127.0.0.1, 192.0.2.1"}}), "192.0.2.1 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "127.0.0.1"}, {"X-Forwarded-For", "192.0.2.1"}}),
            "192.0.2.1 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-Proto", "https, http"}}),
            "192.0.2.1 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"Forwarded", "for=127.0.0.1;proto=https"}}), "10.0.0.1 http inside");
}

TEST(TrustedProxies, SeveralInARowAreFollowed) {
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "203.0.113.5, 192.0.2.1, 10.0.0.2"},
                                {"X-Forwarded-Proto", "https, http"},
                                {"X-Forwarded-Host", "example.com, inside.example"}}),
            "192.0.2.1 https example.com");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}), "10.0.0.3 http inside");
}

TEST(TrustedProxies, WhatCannotBeReadEndsTheWay) {
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "unknown"}}), "10.0.0.1 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", ""}}), "10.0.0.1 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "192.0.2.1, nonsense, 10.0.0.2"}}), "10.0.0.2 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "192.0.2.0/24"}}), "10.0.0.1 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-Host", "a b"}, {"X-Forwarded-Proto", "gopher"}}), "10.0.0.1 http inside");
}

TEST(TrustedProxies, PortsAreDropped) {
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "192.0.2.1:4711"}}), "192.0.2.1 http inside");
  EXPECT_EQ(seen("10.0.0.1:1", {{"X-Forwarded-For", "[2001:db8::1]:4711"}}), "2001:db8::1 http inside");
}

TEST(TrustedProxies, ForwardedIsRead) {
  const auto forwarded = [](std::string_view value) {
    return seen("10.0.0.1:1", {{"Forwarded", value}, {"X-Forwarded-For", "127.0.0.1"}}, ProxyHeader::forwarded);
  };
  EXPECT_EQ(forwarded("for=192.0.2.1;proto=https;host=example.com"), "192.0.2.1 https example.com");
  EXPECT_EQ(forwarded(R"(For="[2001:db8::1]:47";Host="example.com:80";by=10.0.0.1)"),
            "2001:db8::1 http example.com:80");
  EXPECT_EQ(forwarded("for=203.0.113.5, for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"), "192.0.2.1 https inside");
  EXPECT_EQ(forwarded("for=_hidden;proto=https"), "10.0.0.1 https inside");
  EXPECT_EQ(forwarded(R"(for="127.0.0.1, for=192.0.2.1)"), "192.0.2.1 http inside");  // an open quote
  EXPECT_EQ(forwarded(";;=;for"), "10.0.0.1 http inside");
}

TEST(TrustedProxies, NetworksThatAreNoneAreRefused) {
  EXPECT_THROW(TrustedProxies({"10.0.0.0/33"}), Invalid);
  EXPECT_THROW(TrustedProxies({"proxy.example"}), Invalid);
  EXPECT_THROW(TrustedProxies({}), Invalid);
  EXPECT_EQ(detail::parse_networks(" 10.0.0.0/8, ::1 ,,unix"), (std::vector<std::string>{"10.0.0.0/8", "::1", "unix"}));
}

}  // namespace
}  // namespace ashlar
