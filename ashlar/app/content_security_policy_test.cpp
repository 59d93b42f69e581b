#include <ashlar/app/content_security_policy.hpp>

#include <gtest/gtest.h>

#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/app/response_cache.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using testing::Answer;
using testing::Client;

std::string nonce_of(CspNonce nonce) { return std::string(nonce); }

void add_routes(App& app) {
  app.get<"/page">([](CspNonce nonce, Depends<nonce_of> same) {
    return Html{std::string(nonce) + (*same == nonce ? "" : " and another")};
  });
  app.get<"/plain">([] { return Html{"no scripts"}; });
  app.get<"/data">([] { return Text{"data"}; });
  app.get<"/own">([](http::Response& response) {
    response.header("Content-Security-Policy", "sandbox");
    return Html{"own"};
  });
}

TEST(ContentSecurityPolicy, GivesEachPageANonceOfItsOwn) {
  App app;
  app.use(ContentSecurityPolicy{{.policy = "script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"}});
  add_routes(app);
  Client client{app};
  const Answer first = client.get("/page");
  const Answer second = client.get("/page");
  EXPECT_EQ(first.body.size(), 24U);
  EXPECT_NE(first.body, second.body);
  EXPECT_EQ(first.header("Content-Security-Policy"),
            "script-src 'nonce-" + first.body + "'; style-src 'nonce-" + first.body + "'");
}

TEST(ContentSecurityPolicy, OfAPageWithoutNonceHasOneThatNobodyKnows) {
  App app;
  app.use(ContentSecurityPolicy{{.policy = "script-src 'nonce-{nonce}'"}});
  add_routes(app);
  Client client{app};
  const auto first = client.get("/plain").send().header("Content-Security-Policy").value_or("");
  const auto second = client.get("/plain").send().header("Content-Security-Policy").value_or("");
  EXPECT_EQ(first.substr(0, 18), "script-src 'nonce-");
  EXPECT_NE(first, second);
}

TEST(ContentSecurityPolicy, LeavesOtherAnswersToSecurityHeaders) {
  App app;
  app.use(ContentSecurityPolicy{});
  add_routes(app);
  Client client{app};
  EXPECT_EQ(client.get("/data").send().header("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'");
  EXPECT_EQ(client.get("/own").send().header("Content-Security-Policy"), "sandbox");
}

TEST(ContentSecurityPolicy, CanOnlyReport) {
  App app;
  app.use(ContentSecurityPolicy{{.policy = "default-src 'self'", .report_only = true}});
  add_routes(app);
  Client client{app};
  EXPECT_EQ(client.get("/plain").send().header("Content-Security-Policy-Report-Only"), "default-src 'self'");
}

TEST(ContentSecurityPolicy, ThatIsNoHeaderIsRefused) {
  EXPECT_THROW(ContentSecurityPolicy({.policy = ""}), Invalid);
  EXPECT_THROW(ContentSecurityPolicy({.policy = "default-src 'self'\r\nX: y"}), Invalid);
}

TEST(CspNonce, KeepsItsPageOutOfTheCache) {
  App app;
  const ResponseCache pages;
  app.get<"/page">([](CspNonce nonce) { return Html{std::string(nonce)}; }, {.cache = pages.keep()});
  Client client{app};
  EXPECT_NE(client.get("/page").send().body, client.get("/page").send().body);
}

}  // namespace
}  // namespace ashlar
