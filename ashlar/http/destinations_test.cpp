#include <ashlar/http/destinations.hpp>

#include <gtest/gtest.h>

#include <string>

#include <ashlar/http/client_test.hpp>

namespace ashlar::http::test {
namespace {

using enum AddressScope;

AddressScope scope(std::string_view text) { return scope_of(*net::Address::ip(text, 80)); }

TEST(Destinations, KnowsWhatAnAddressIsFor) {
  for (const std::string_view text :
       {"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1",
        "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2001:4860::1"}) {
    EXPECT_EQ(scope(text), global) << text;
  }
  for (const std::string_view text :
       {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"}) {
    EXPECT_EQ(scope(text), loopback) << text;
  }
  for (const std::string_view text :
       {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255", "fc00::1",
        "fdff::1", "::ffff:10.0.0.1", "64:ff9b::10.1.2.3"}) {
    EXPECT_EQ(scope(text), private_use) << text;
  }
  for (const std::string_view text : {"169.254.169.254", "fe80::1", "febf::1", "::ffff:169.254.169.254"}) {
    EXPECT_EQ(scope(text), link_local) << text;
  }
  for (const std::string_view text : {"224.0.0.1", "239.1.1.1", "ff02::1"}) EXPECT_EQ(scope(text), multicast) << text;
  for (const std::string_view text :
       {"0.0.0.0",       "0.1.2.3",      "255.255.255.255", "240.0.0.1",   "192.0.0.1",   "192.0.2.1", "198.18.0.1",
        "198.19.1.1",    "198.51.100.1", "203.0.113.1",     "192.88.99.1", "::",          "2001::1",   "2001:db8::1",
        "2002:7f00:1::", "3fff::1",      "64:ff9b:1::1",    "fec0::1",     "::127.0.0.1", "5f00::1",   "100::1"}) {
    EXPECT_EQ(scope(text), reserved) << text;
  }
}

TEST(Destinations, StandardKeepsFromMetadataServicesAndWhatNobodyServes) {
  const Destinations standard = Destinations::standard();
  const auto allowed = [&](std::string_view text) { return standard.allowed("h", *net::Address::ip(text, 80)); };
  for (const std::string_view text : {"8.8.8.8", "127.0.0.1", "10.0.0.1", "::1", "fd00::1"})
    EXPECT_TRUE(allowed(text)) << text;
  for (const std::string_view text : {"169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254",
                                      "100.100.100.200", "224.0.0.1", "0.0.0.0"}) {
    EXPECT_FALSE(allowed(text)) << text;
  }
  EXPECT_FALSE(standard.allowed_from_global("h", *net::Address::ip("10.0.0.1", 80)));
  EXPECT_TRUE(standard.allowed_from_global("h", *net::Address::ip("8.8.8.8", 80)));
}

TEST(Destinations, ListsWhatIsAllowedInSpiteOfTheRest) {
  Destinations guard = Destinations::public_only();
  const auto allowed = [&](std::string_view host, std::string_view text) {
    return guard.allowed(host, *net::Address::ip(text, 80));
  };
  EXPECT_FALSE(allowed("db.internal", "10.0.0.1"));
  guard.allow("DB.internal").allow("192.168.7.0/24").allow("fd00::/8").allow("127.0.0.1");
  EXPECT_TRUE(allowed("db.internal", "10.0.0.1"));
  EXPECT_FALSE(allowed("x.db.internal", "10.0.0.1"));
  EXPECT_TRUE(allowed("h", "192.168.7.200"));
  EXPECT_TRUE(allowed("h", "::ffff:192.168.7.200"));
  EXPECT_FALSE(allowed("h", "192.168.8.1"));
  EXPECT_TRUE(allowed("h", "fd12::1"));
  EXPECT_TRUE(allowed("h", "127.0.0.1"));
  EXPECT_FALSE(allowed("h", "127.0.0.2"));
  for (const std::string_view bad : {"", "a b", "10.0.0.0/33", "10.0.0.0/x", "a/8", "host:80", "fd00::/129"}) {
    EXPECT_THROW(guard.allow(bad), Invalid) << bad;
  }
}

TEST(Destinations, PublicOnlyRefusesAfterTheLookupAndSaysNoAddress) {
  RunningServer server;
  Client client({.destinations = Destinations::public_only()});
  const std::string port = std::to_string(server.address().port());
  for (const std::string host :
       {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"}) {
    try {
      static_cast<void>(async::run(client.get("http://" + host + ":" + port + "/")));
      ADD_FAILURE() << host;
    } catch (const DestinationRefused& error) {
      EXPECT_EQ(error.kind(), ErrorKind::forbidden);
      if (host == "localhost") EXPECT_EQ(error.message().find("127.0.0.1"), std::string::npos);
    } catch (const Unavailable& error) {
      // A machine without IPv6, or a resolver that does not know such numbers.
      EXPECT_NE(error.message().find("resolve"), std::string::npos) << host << error.message();
    }
  }
  EXPECT_EQ(client.stats().connects, 0u);
  EXPECT_EQ(server.stats().accepted.get(), 0u);
}

TEST(Destinations, AllowedHostsAreAskedByNameAndByAddress) {
  RunningServer server;
  const std::string port = std::to_string(server.address().port());
  Client by_name({.destinations = Destinations::public_only().allow("localhost")});
  EXPECT_EQ(async::run(by_name.get("http://LOCALHOST:" + port + "/x")).body, "hello");
  EXPECT_THROW(static_cast<void>(async::run(by_name.get("http://127.0.0.1:" + port + "/x"))), DestinationRefused);
  Client by_address({.destinations = Destinations::public_only().allow("127.0.0.0/8")});
  EXPECT_EQ(async::run(by_address.get("http://localhost:" + port + "/x")).body, "hello");
}

TEST(Destinations, JudgesEveryHopOfARedirect) {
  ScriptedServer server(
      {{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://169.254.169.254/latest/meta-data\r\n\r\n"}});
  Client client({.follow_redirects = 3});
  EXPECT_THROW(static_cast<void>(async::run(client.get(url(server.address(), "/")))), DestinationRefused);
}

TEST(Destinations, AProxyAndPublicOnlyDoNotGoTogether) {
  EXPECT_THROW(Client({.destinations = Destinations::public_only(), .proxy = {.http = "http://proxy:3128"}}), Invalid);
}

}  // namespace
}  // namespace ashlar::http::test
