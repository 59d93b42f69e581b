// The code of docs/guide/security.md, as far as pages go.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/app/content_security_policy.hpp>
#include <ashlar/app/csrf.hpp>
#include <ashlar/app/trusted_hosts.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;

TEST(SecurityGuide, RefusesForgedRequests) {
  App app;
  // sample: csrf
  app.use(Csrf{{.trusted_origins = {"https://app.example.com"}, .exempt = {"/hooks/"}}});
  // end of sample
  app.post<"/transfer">([] { return Text{"done"}; });
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.post("/transfer").header("Sec-Fetch-Site", "cross-site").send().status, 403);
  EXPECT_EQ(client.post("/transfer").header("Sec-Fetch-Site", "same-origin").send().status, 200);
  EXPECT_EQ(client.post("/transfer").header("Origin", "https://app.example.com").send().status, 200);
}

TEST(SecurityGuide, AsksForTokens) {
  App app;
  const Secret<> secret{std::string(32, 's')};
  // sample: token
  app.use(Csrf{{.secret = secret, .session_cookie = "session"}});

  app.get<"/transfer">([](CsrfToken token) {
    return Html{
        fmt::format(R"(<form method="post"><input type="hidden" name="csrf_token" value="{}">…</form>)", token)};
  });
  // end of sample
  app.post<"/transfer">([] { return Text{"done"}; });
  ashlar::testing::Client client{app};
  const auto page = client.get("/transfer").header("Cookie", "session=1").send();
  const std::string cookie = page.header("Set-Cookie").value_or("");
  const std::string token = cookie.substr(5, cookie.find(';') - 5);
  EXPECT_NE(page.body.find(token), std::string::npos);
  auto request = client.post("/transfer").header("Cookie", "session=1; csrf=" + token);
  EXPECT_EQ(request.form({{"csrf_token", token}}).send().status, 200);
  EXPECT_EQ(client.post("/transfer").header("Cookie", "session=1; csrf=" + token).send().status, 403);
}

TEST(SecurityGuide, GivesScriptsANonce) {
  App app;
  // sample: csp
  app.use(ContentSecurityPolicy{});

  app.get<"/">([](CspNonce nonce) { return Html{fmt::format(R"(<script nonce="{}">start()</script>)", nonce)}; });
  // end of sample
  ashlar::testing::Client client{app};
  const auto page = client.get("/").send();
  const std::string nonce = page.body.substr(15, 24);
  EXPECT_NE(page.header("Content-Security-Policy").value_or("").find("'nonce-" + nonce + "'"), std::string::npos);
}

TEST(SecurityGuide, AnswersForItsOwnNames) {
  App app;
  // sample: hosts
  app.use(TrustedHosts{{"example.com", "*.example.com"}});
  // end of sample
  app.get<"/">([] { return Text{"hello"}; });
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/").secure("www.example.com").send().status, 200);
  EXPECT_EQ(client.get("/").secure("evil.net").send().status, 421);
}

}  // namespace
