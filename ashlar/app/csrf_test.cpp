#include <ashlar/app/csrf.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/response_cache.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using testing::Answer;
using testing::Client;

const Secret<> kKey{std::string(32, 'k')};

void add_routes(App& app) {
  app.get<"/form">([](CsrfToken token) { return Html{std::string(token)}; });
  app.post<"/transfer">([] { return Text{"done"}; });
  app.post<"/hooks/bank">([] { return Text{"heard"}; });
  app.get<"/">([] { return Text{"hello"}; });
}

struct Sent {
  std::string site;
  std::string origin;
};
int status_of(CsrfOptions options, const Sent& sent, std::string path = "/transfer") {
  App app;
  app.use(Csrf{std::move(options)});
  add_routes(app);
  Client client{app};
  auto request = client.post(std::move(path));
  request.header("Host", "bank.example");
  if (!sent.site.empty()) request.header("Sec-Fetch-Site", sent.site);
  if (!sent.origin.empty()) request.header("Origin", sent.origin);
  return request.send().status;
}

TEST(Csrf, LetsPagesOfTheServiceSendAndNoOthers) {
  EXPECT_EQ(status_of({}, {"same-origin", ""}), 200);
  EXPECT_EQ(status_of({}, {"none", ""}), 200);
  EXPECT_EQ(status_of({}, {"cross-site", ""}), 403);
  EXPECT_EQ(status_of({}, {"same-site", ""}), 403);
  EXPECT_EQ(status_of({}, {"cross-site", "https://evil.example"}), 403);
  EXPECT_EQ(status_of({}, {"something new", ""}), 403);
}

TEST(Csrf, LooksAtTheOriginOfABrowserThatSaysNoMore) {
  EXPECT_EQ(status_of({}, {"", "https://evil.example"}), 403);
  EXPECT_EQ(status_of({}, {"", "null"}), 403);
  EXPECT_EQ(status_of({}, {"", "https://bank.example.evil.example"}), 403);
}

TEST(Csrf, LetsWhatIsNoBrowserThrough) { EXPECT_EQ(status_of({}, {"", ""}), 200); }

TEST(Csrf, LetsTrustedOriginsSend) {
  const CsrfOptions options{.trusted_origins = {"https://app.example"}};
  EXPECT_EQ(status_of(options, {"cross-site", "https://app.example"}), 200);
  EXPECT_EQ(status_of(options, {"", "https://app.example"}), 200);
  EXPECT_EQ(status_of(options, {"cross-site", "http://app.example"}), 403);
  EXPECT_EQ(status_of(options, {"cross-site", "https://app.example.evil"}), 403);
}

TEST(Csrf, LetsAnybodySendToWhatIsExempt) {
  const Sent evil{"cross-site", "https://evil.example"};
  EXPECT_EQ(status_of({.exempt = {"/hooks/bank"}}, evil, "/hooks/bank"), 200);
  EXPECT_EQ(status_of({.exempt = {"/hooks/"}}, evil, "/hooks/bank"), 200);
  EXPECT_EQ(status_of({.exempt = {"/hooks"}}, evil, "/hooks/bank"), 403);
  EXPECT_EQ(status_of({.exempt = {"/hooks/"}}, evil), 403);
}

TEST(Csrf, LetsAnyPageRead) {
  App app;
  app.use(Csrf{});
  add_routes(app);
  Client client{app};
  EXPECT_EQ(client.get("/").header("Sec-Fetch-Site", "cross-site").send().status, 200);
}

TEST(Csrf, RefusesWithAProblem) {
  App app;
  app.use(Csrf{});
  add_routes(app);
  Client client{app};
  const Answer answer = client.post("/transfer").header("Sec-Fetch-Site", "cross-site");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
}

TEST(Csrf, ThatCannotWorkIsRefused) {
  EXPECT_THROW(Csrf({.trusted_origins = {"app.example"}}), Invalid);
  EXPECT_THROW(Csrf({.trusted_origins = {"https://app.example/"}}), Invalid);
  EXPECT_THROW(Csrf({.trusted_origins = {"https://App.example"}}), Invalid);
  EXPECT_THROW(Csrf({.exempt = {"hooks"}}), Invalid);
  EXPECT_THROW(Csrf({.secret = Secret<>("short")}), Invalid);
}

// ---- tokens

struct Bank {
  App app;
  Bank() {
    app.use(Csrf{{.secret = kKey, .session_cookie = "session"}});
    add_routes(app);
  }
};

std::string cookie_from(const Answer& answer) {
  const std::string line = answer.header("Set-Cookie").value_or("");
  return line.substr(0, line.find(';'));
}

TEST(CsrfToken, IsGivenToAPageWithItsCookie) {
  Bank bank;
  Client client{bank.app};
  const Answer page = client.get("/form");
  EXPECT_EQ(page.header("Set-Cookie"), "csrf=" + page.body + "; Path=/; SameSite=Lax");
  const Answer over_tls = client.get("/form").secure();
  EXPECT_EQ(over_tls.header("Set-Cookie"), "__Host-csrf=" + over_tls.body + "; Path=/; SameSite=Lax; Secure");
  EXPECT_NE(page.body, over_tls.body);
}

TEST(CsrfToken, StaysTheSameForTheBrowserThatHasIt) {
  Bank bank;
  Client client{bank.app};
  const Answer page = client.get("/form").header("Cookie", "session=1");
  const Answer again = client.get("/form").header("Cookie", "session=1; " + cookie_from(page));
  EXPECT_EQ(again.body, page.body);
  EXPECT_FALSE(again.header("Set-Cookie"));
}

TEST(CsrfToken, IsNotSetWhereNoPageAsksForIt) {
  Bank bank;
  Client client{bank.app};
  EXPECT_FALSE(client.get("/").send().header("Set-Cookie"));
}

TEST(CsrfToken, IsTakenFromTheHeaderOrTheForm) {
  Bank bank;
  Client client{bank.app};
  const Answer page = client.get("/form").header("Cookie", "session=1");
  const std::string cookies = "session=1; " + cookie_from(page);
  EXPECT_EQ(client.post("/transfer").header("Cookie", cookies).header("X-CSRF-Token", page.body).send().status, 200);
  EXPECT_EQ(client.post("/transfer").header("Cookie", cookies).form({{"csrf_token", page.body}}).send().status, 200);
}

TEST(CsrfToken, ThatIsMissingOrForgedOrOfAnotherSessionIsRefused) {
  Bank bank;
  Client client{bank.app};
  const Answer page = client.get("/form").header("Cookie", "session=1");
  const std::string token = page.body;
  const auto send = [&](const std::string& cookies, const std::string& header) {
    auto request = client.post("/transfer");
    request.header("Cookie", cookies);
    if (!header.empty()) request.header("X-CSRF-Token", header);
    return request.send().status;
  };
  EXPECT_EQ(send("session=1; csrf=" + token, token), 200);
  EXPECT_EQ(send("session=1; csrf=" + token, ""), 403);
  EXPECT_EQ(send("session=1", token), 403);
  EXPECT_EQ(send("session=2; csrf=" + token, token), 403);
  EXPECT_EQ(send("session=1; csrf=x", "x"), 403);
  EXPECT_EQ(send("session=1; csrf=" + std::string(token.size(), 'A'), std::string(token.size(), 'A')), 403);
  const Answer other = client.get("/form").header("Cookie", "session=1");
  EXPECT_EQ(send("session=1; csrf=" + token, other.body), 403);
}

TEST(CsrfToken, IsNotAskedOfWhoSendsNoCookies) {
  Bank bank;
  Client client{bank.app};
  EXPECT_EQ(client.post("/transfer").bearer("token").send().status, 200);
}

TEST(CsrfToken, WithoutTheMiddlewareIsAnErrorOfOurs) {
  App app;
  add_routes(app);
  Client client{app};
  EXPECT_EQ(client.get("/form").send().status, 500);
}

TEST(CsrfToken, KeepsItsPageOutOfTheCache) {
  App app;
  const ResponseCache pages;
  app.use(Csrf{{.secret = kKey}});
  app.get<"/form">([](CsrfToken token) { return Html{std::string(token)}; }, {.cache = pages.keep()});
  Client client{app};
  EXPECT_NE(client.get("/form").send().body, client.get("/form").send().body);
  EXPECT_EQ(pages.stats().not_kept, 2U);
}

}  // namespace
}  // namespace ashlar
