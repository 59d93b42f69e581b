#include <ashlar/http/cookie_jar.hpp>

#include <gtest/gtest.h>

#include <ashlar/http/client_test.hpp>
#include <ashlar/http/detail/http_date.hpp>

namespace ashlar::http::test {
namespace {

using Clock = CookieJar::Clock;
const Clock::time_point kNow = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1);

std::string after(std::string_view url, std::string_view set_cookie, std::string_view asked) {
  CookieJar jar;
  jar.store(url, set_cookie, kNow);
  return jar.header(asked, kNow);
}

TEST(CookieJar, SendsBackToTheHostThatSet) {
  EXPECT_EQ(after("http://a.test/", "n=v", "http://a.test/x?y"), "n=v");
  EXPECT_EQ(after("http://a.test/", "n=v", "http://A.TEST:8080/"), "n=v");
  EXPECT_EQ(after("http://a.test/", "n=v", "http://b.a.test/"), "");
  EXPECT_EQ(after("http://a.test/", "n=v", "http://test/"), "");
  EXPECT_EQ(after("http://a.test/", " n = v ; HttpOnly; SameSite=Strict; Unknown=1", "http://a.test/"), "n=v");
  EXPECT_EQ(after("http://a.test/", "n=\"a b\"", "http://a.test/"), "n=\"a b\"");
  EXPECT_EQ(after("http://a.test/", "n=a=b", "http://a.test/"), "n=a=b");
  EXPECT_EQ(after("http://a.test/", "value", "http://a.test/"), "value");
  EXPECT_EQ(after("http://a.test/", "=value", "http://a.test/"), "value");
}

TEST(CookieJar, KeepsToTheDomain) {
  EXPECT_EQ(after("http://x.a.test/", "n=v; Domain=a.test", "http://y.a.test/"), "n=v");
  EXPECT_EQ(after("http://x.a.test/", "n=v; Domain=.A.test", "http://a.test/"), "n=v");
  EXPECT_EQ(after("http://a.test/", "n=v; Domain=a.test", "http://b.a.test/"), "n=v");
  EXPECT_EQ(after("http://x.a.test/", "n=v; Domain=a.test", "http://ba.test/"), "");
  for (const std::string_view bad : {"b.test", "y.x.a.test", "test", "x.test", "a.tes"}) {
    EXPECT_EQ(after("http://x.a.test/", "n=v; Domain=" + std::string(bad), "http://x.a.test/"), "") << bad;
  }
  EXPECT_EQ(after("http://localhost/", "n=v; Domain=localhost", "http://localhost/"), "n=v");
  EXPECT_EQ(after("http://127.0.0.1/", "n=v; Domain=127.0.0.1", "http://127.0.0.1/"), "n=v");
  EXPECT_EQ(after("http://127.0.0.1/", "n=v; Domain=0.0.1", "http://127.0.0.1/"), "");
}

TEST(CookieJar, KeepsToThePath) {
  EXPECT_EQ(after("http://a.test/x/y", "n=v", "http://a.test/x/z"), "n=v");
  EXPECT_EQ(after("http://a.test/x/y", "n=v", "http://a.test/x"), "n=v");
  EXPECT_EQ(after("http://a.test/x/y", "n=v", "http://a.test/xy"), "");
  EXPECT_EQ(after("http://a.test/x/y", "n=v", "http://a.test/"), "");
  EXPECT_EQ(after("http://a.test/x/y", "n=v; Path=/", "http://a.test/"), "n=v");
  EXPECT_EQ(after("http://a.test/x/y", "n=v; Path=z", "http://a.test/x/"), "n=v");
  EXPECT_EQ(after("http://a.test/x", "n=v; Path=/x/", "http://a.test/x"), "");
}

TEST(CookieJar, SecureCookiesTravelOverTlsOnlyAndStayAsTheyWereSetThere) {
  EXPECT_EQ(after("https://a.test/", "n=v; Secure", "https://a.test/"), "n=v");
  EXPECT_EQ(after("https://a.test/", "n=v; Secure", "http://a.test/"), "");
  EXPECT_EQ(after("http://a.test/", "n=v; Secure", "https://a.test/"), "");
  CookieJar jar;
  jar.store("https://a.test/", "n=v; Secure", kNow);
  jar.store("http://a.test/", "n=evil", kNow);
  EXPECT_EQ(jar.header("https://a.test/", kNow), "n=v");
}

TEST(CookieJar, HoldsNamesWithAPrefixToTheirPromise) {
  EXPECT_EQ(after("https://a.test/", "__Secure-n=v; Secure", "https://a.test/"), "__Secure-n=v");
  EXPECT_EQ(after("https://a.test/", "__Secure-n=v", "https://a.test/"), "");
  EXPECT_EQ(after("https://a.test/", "__Host-n=v; Secure; Path=/", "https://a.test/"), "__Host-n=v");
  EXPECT_EQ(after("https://a.test/", "__host-n=v; Secure", "https://a.test/"), "");
  EXPECT_EQ(after("https://a.test/", "__Host-n=v; Secure; Path=/; Domain=a.test", "https://a.test/"), "");
  EXPECT_EQ(after("https://a.test/", "__Host-n=v; Secure; Path=/x", "https://a.test/x"), "");
  EXPECT_EQ(after("https://a.test/", "=__Host-n=v; Secure; Path=/", "https://a.test/"), "");
}

TEST(CookieJar, ForgetsWhatHasExpired) {
  CookieJar jar;
  jar.store("http://a.test/", "a=1; Max-Age=10", kNow);
  jar.store("http://a.test/", "b=2; Expires=Sun, 01 Mar 2026 00:00:20 GMT", kNow);
  jar.store("http://a.test/", "c=3; Max-Age=30; Expires=Sun, 01 Mar 2020 00:00:20 GMT", kNow);
  jar.store("http://a.test/", "d=4", kNow);
  EXPECT_EQ(jar.header("http://a.test/", kNow + 9s), "a=1; b=2; c=3; d=4");
  EXPECT_EQ(jar.header("http://a.test/", kNow + 10s), "b=2; c=3; d=4");
  EXPECT_EQ(jar.header("http://a.test/", kNow + 20s), "c=3; d=4");
  EXPECT_EQ(jar.header("http://a.test/", kNow + 30s), "d=4");
  jar.store("http://a.test/", "d=x; Max-Age=0", kNow + 31s);
  EXPECT_EQ(jar.header("http://a.test/", kNow + 31s), "");
  EXPECT_EQ(jar.size(), 0u);
  jar.store("http://a.test/", "e=5; Max-Age=99999999999999999999", kNow);
  EXPECT_EQ(jar.header("http://a.test/", kNow + std::chrono::days(399)), "e=5");
  EXPECT_EQ(jar.header("http://a.test/", kNow + std::chrono::days(400)), "");
  jar.store("http://a.test/", "f=6; Max-Age=-1", kNow);
  jar.store("http://a.test/", "g=7; Max-Age=x", kNow);
  EXPECT_EQ(jar.header("http://a.test/", kNow + 500h * 24), "g=7");
}

TEST(CookieJar, ReplacesAndOrders) {
  CookieJar jar;
  jar.store("http://a.test/x/y", "a=1", kNow);
  jar.store("http://a.test/x/y", "b=2; Path=/", kNow);
  jar.store("http://a.test/x/y", "c=3; Path=/x/y", kNow);
  jar.store("http://a.test/x/y", "a=4", kNow);
  jar.store("http://a.test/x/y", "d=5", kNow);
  EXPECT_EQ(jar.header("http://a.test/x/y", kNow), "c=3; a=4; d=5; b=2");
}

TEST(CookieJar, HasLimits) {
  CookieJar jar({.cookies = 4, .cookies_per_domain = 2, .size = 10});
  jar.store("http://a.test/", "a=1", kNow);
  jar.store("http://a.test/", "b=2", kNow);
  jar.store("http://a.test/", "c=3", kNow);
  EXPECT_EQ(jar.header("http://a.test/", kNow), "b=2; c=3");
  for (const std::string host : {"b", "c", "d", "e"}) jar.store("http://" + host + ".test/", "n=v", kNow);
  EXPECT_EQ(jar.size(), 4u);
  jar.store("http://z.test/", "n=0123456789", kNow);
  EXPECT_EQ(jar.header("http://z.test/", kNow), "");
  jar.store("http://z.test/", std::string_view("n=\0v", 4), kNow);
  jar.store("http://z.test/", "n=a\r\nb", kNow);
  jar.store("http://z.test/", "", kNow);
  jar.store("http://z.test/", "=", kNow);
  EXPECT_EQ(jar.header("http://z.test/", kNow), "");
  jar.clear();
  EXPECT_EQ(jar.size(), 0u);
}

TEST(CookieJar, ReadsDatesOfAllKinds) {
  const Clock::time_point date = std::chrono::sys_days(std::chrono::year(1994) / 11 / 6) + 8h + 49min + 37s;
  for (const std::string_view text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994", "6 nov 1994 8:49:37", "1994 November 6, 08:49:37"}) {
    EXPECT_EQ(detail::parse_lenient_date(text), date) << text;
  }
  for (const std::string_view text : {"", "Sun", "06 Nov 1994", "06 Nov 1994 25:00:00", "31 Feb 1994 08:49:37",
                                      "06 Nov 1500 08:49:37", "08:49:37", "06 Foo 1994 08:49:37"}) {
    EXPECT_EQ(detail::parse_lenient_date(text), std::nullopt) << text;
  }
}

TEST(CookieJar, AClientKeepsAndSendsThemAcrossARedirect) {
  ScriptedServer server(
      {{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /in\r\nSet-Cookie: s=1; Path=/\r\n"
        "Set-Cookie: t=2\r\n\r\n",
        std::string(kOk), std::string(kOk)}});
  const auto jar = std::make_shared<CookieJar>();
  Client client({.follow_redirects = 1, .cookies = jar});
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    EXPECT_EQ((co_await client.get(url(address, "/login"))).body, "ok");
    static_cast<void>(co_await client.send({.url = url(address, "/own"), .headers = {{"Cookie", "mine=1"}}}));
  }(client, server.address()));
  EXPECT_EQ(server.requests()[0].find("Cookie:"), std::string::npos);
  EXPECT_NE(server.requests()[1].find("Cookie: s=1; t=2\r\n"), std::string::npos);
  EXPECT_NE(server.requests()[2].find("Cookie: mine=1\r\n"), std::string::npos);
  EXPECT_EQ(server.requests()[2].find("s=1"), std::string::npos);
  EXPECT_EQ(jar->size(), 2u);
}

}  // namespace
}  // namespace ashlar::http::test
