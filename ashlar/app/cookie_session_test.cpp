#include <ashlar/app/cookie_session.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/response_cache.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/clock.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::Answer;
using testing::Client;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// sample: visitor
struct Visitor {
  std::string name;
  std::vector<int> cart;
};
// end of sample
const Secret<> kSecret{std::string(32, 's')};
const Secret<> kOther{std::string(32, 'o')};

void add_routes(App& app) {
  app.post<"/name/{name}">([](CookieSession<Visitor> session, Path<"name"> name) { session->name = name; });
  app.get<"/name">([](CookieSession<Visitor> session) { return Text{session->name}; });
  app.del<"/">([](CookieSession<Visitor> session) { *session = {}; });
  app.get<"/other">([] { return Text{"nothing of a session"}; });
}

// "session=…", without its attributes.
std::string cookie(const Answer& answer) {
  const std::string line = answer.header("Set-Cookie").value_or("");
  return line.substr(0, line.find(';'));
}

TEST(CookieSession, KeepsWhatHandlersPutIntoIt) {
  App app;
  // sample: session
  app.use(CookieSessions{{.secret = kSecret}});  // of a service: auth::local_secret("SHOP_SECRET")
  app.post<"/cart/{item}">(
      [](CookieSession<Visitor> session, Path<"item", int> item) { session->cart.push_back(item); });
  app.get<"/cart">([](CookieSession<Visitor> session) { return session->cart; });
  app.post<"/forget">([](CookieSession<Visitor> session) { *session = {}; });
  // end of sample
  Client client{app};
  client.keep_cookies();
  EXPECT_EQ(client.get("/cart").send().body, "[]");
  EXPECT_EQ(client.post("/cart/1").send().status, 204);
  client.post("/cart/2").send();
  EXPECT_EQ(client.get("/cart").send().body, "[1,2]");
  client.post("/forget").send();
  EXPECT_EQ(client.get("/cart").send().body, "[]");
}

TEST(CookieSession, IsInACookieThatSaysNothing) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  add_routes(app);
  Client client{app};
  const Answer answer = client.post("/name/annabel");
  EXPECT_THAT(*answer.header("Set-Cookie"),
              AllOf(StartsWith("session="), HasSubstr("; Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax"),
                    Not(HasSubstr("annabel"))));
  EXPECT_EQ(answer.header("Vary"), "Cookie");
  EXPECT_NE(cookie(answer), cookie(client.post("/name/annabel"))) << "the same session is another cookie";
  EXPECT_THAT(*client.post("/name/ann").secure().send().header("Set-Cookie"),
              AllOf(StartsWith("__Host-session="), HasSubstr("; Secure; HttpOnly")));
}

TEST(CookieSession, SetsNoCookieWhereNothingHasChanged) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  add_routes(app);
  Client client{app};
  client.keep_cookies();
  EXPECT_EQ(client.get("/name").send().header("Set-Cookie"), std::nullopt);
  client.post("/name/ann").send();
  EXPECT_EQ(client.get("/name").send().header("Set-Cookie"), std::nullopt);
  EXPECT_EQ(client.post("/name/ann").send().header("Set-Cookie"), std::nullopt);
  EXPECT_EQ(client.get("/other").send().header("Vary"), std::nullopt);
}

TEST(CookieSession, GoesWhenItIsAsANewOne) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  add_routes(app);
  Client client{app};
  client.keep_cookies();
  client.post("/name/ann").send();
  EXPECT_THAT(*client.del("/").send().header("Set-Cookie"), StartsWith("session=; Max-Age=0"));
  EXPECT_EQ(client.get("/name").send().body, "");
}

TEST(CookieSession, ThatWasChangedOrIsNotOursIsNone) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  add_routes(app);
  Client client{app};
  const std::string good = cookie(client.post("/name/ann"));
  EXPECT_EQ(client.get("/name").header("Cookie", good).send().body, "ann");
  for (const std::size_t at : {good.find('=') + 1, good.size() / 2, good.size() - 2}) {
    std::string bad = good;
    bad[at] = bad[at] == 'A' ? 'B' : 'A';
    const Answer answer = client.get("/name").header("Cookie", bad);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "");
  }
  for (const char* const bad : {"session=", "session=x", "session=!", "session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})
    EXPECT_EQ(client.get("/name").header("Cookie", bad).send().body, "") << bad;
}

TEST(CookieSession, EndsAndIsRenewedBefore) {
  App app;
  app.use(CookieSessions{{.secret = kSecret, .lifetime = 24h}});
  add_routes(app);
  Client client{app};
  testing::Clock clock{client};
  const std::string first = cookie(client.post("/name/ann"));
  clock.advance(11h);
  EXPECT_EQ(cookie(client.get("/name").header("Cookie", first)), "");
  clock.advance(2h);
  const Answer renewed = client.get("/name").header("Cookie", first);
  EXPECT_EQ(renewed.body, "ann");
  const std::string second = cookie(renewed);
  ASSERT_NE(second, "");
  clock.advance(12h);
  EXPECT_EQ(client.get("/name").header("Cookie", first).send().body, "");
  EXPECT_EQ(client.get("/name").header("Cookie", second).send().body, "ann");
}

TEST(CookieSession, IsReadWithAnEarlierSecretAndSealedWithTheNewOne) {
  App before, now, later;
  before.use(CookieSessions{{.secret = kOther}});
  now.use(CookieSessions{{.secret = kSecret, .earlier = {kOther}}});
  later.use(CookieSessions{{.secret = kSecret}});
  std::string sealed;
  for (App* const app : {&before, &now, &later}) add_routes(*app);
  {
    Client client{before};
    sealed = cookie(client.post("/name/ann"));
  }
  {
    Client client{now};
    const Answer answer = client.get("/name").header("Cookie", sealed);
    EXPECT_EQ(answer.body, "ann");
    Client next{later};
    EXPECT_EQ(next.get("/name").header("Cookie", sealed).send().body, "");
    EXPECT_EQ(next.get("/name").header("Cookie", cookie(answer)).send().body, "ann");
  }
}

Visitor named(CookieSession<Visitor> session) {
  session->cart.push_back(7);
  return *session;
}
int counted(CookieSession<Visitor> session, Depends<named>) {
  session->cart.push_back(8);
  return static_cast<int>(session->cart.size());
}

TEST(CookieSession, IsOneForAllOfARequest) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  app.get<"/">([](Depends<counted> count, CookieSession<Visitor> session, CookieSession<Visitor> same) {
    same->cart.push_back(9);
    return std::vector<int>{*count, static_cast<int>(session->cart.size())};
  });
  Client client{app};
  client.keep_cookies();
  EXPECT_EQ(client.get("/").send().body, "[2,3]");
  EXPECT_EQ(client.get("/").send().body, "[5,6]");
}

TEST(CookieSession, IsKeptWhenTheHandlerFails) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  app.post<"/try">([](CookieSession<Visitor> session) -> NoContent {
    session->cart.push_back(1);
    throw Conflict("not now");
  });
  app.get<"/cart">([](CookieSession<Visitor> session) { return session->cart; });
  Client client{app};
  client.keep_cookies();
  EXPECT_EQ(client.post("/try").send().status, 409);
  EXPECT_EQ(client.get("/cart").send().body, "[1]");
}

TEST(CookieSession, ThatDoesNotFitIntoACookieIsAFailure) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  app.post<"/{size}">(
      [](CookieSession<Visitor> session, Path<"size", std::size_t> size) { session->name = std::string(size, 'x'); });
  Client client{app};
  EXPECT_EQ(client.post("/2800").send().status, 204);
  const Answer answer = client.post("/2900");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.header("Set-Cookie"), std::nullopt);
  EXPECT_LT(cookie(client.post("/2800")).size(), 4000U);
}

struct Account {
  int id = 0;
};

TEST(CookieSession, OfAnotherShapeBeginsAnew) {
  App old, now;
  for (App* const app : {&old, &now}) app->use(CookieSessions{{.secret = kSecret}});
  add_routes(old);
  struct Renamed {
    std::vector<std::string> name = {"nobody"};
  };
  now.get<"/name">([](CookieSession<Renamed> session) { return session->name; });
  std::string sealed;
  {
    Client client{old};
    sealed = cookie(client.post("/name/ann"));
  }
  Client client{now};
  EXPECT_EQ(client.get("/name").header("Cookie", sealed).send().body, R"(["nobody"])");
}

TEST(CookieSession, NeedsTheMiddlewareAndOneType) {
  App without;
  add_routes(without);
  Client bare{without};
  EXPECT_EQ(bare.get("/name").send().status, 500);

  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  app.get<"/">([](CookieSession<Visitor>, CookieSession<Account>) {});
  Client client{app};
  EXPECT_EQ(client.get("/").send().status, 500);
}

TEST(CookieSession, KeepsItsAnswerOutOfTheCache) {
  App app;
  app.use(CookieSessions{{.secret = kSecret}});
  ResponseCache pages;
  app.get<"/name">([](CookieSession<Visitor> session) { return Text{session->name + "!"}; }, {.cache = pages.keep()});
  app.post<"/name/{name}">([](CookieSession<Visitor> session, Path<"name"> name) { session->name = name; });
  Client client{app};
  const std::string ann = cookie(client.post("/name/ann"));
  EXPECT_EQ(client.get("/name").header("Cookie", ann).send().body, "ann!");
  EXPECT_EQ(client.get("/name").send().body, "!");
  EXPECT_EQ(pages.stats().entries, 0U);
}

TEST(CookieSessions, AreSealedWithAGoodSecret) {
  EXPECT_THROW(CookieSessions({.secret = Secret<>("short")}), Invalid);
  EXPECT_THROW(CookieSessions({.secret = kSecret, .earlier = {Secret<>("short")}}), Invalid);
  EXPECT_THROW(CookieSessions({.secret = kSecret, .lifetime = 0s}), Invalid);
  EXPECT_THROW(CookieSessions({.secret = kSecret, .cookie = "a b"}), Invalid);
}

}  // namespace
}  // namespace ashlar
