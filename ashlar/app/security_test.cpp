// Scopes, keys, and how both are described.
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using ::testing::AllOf;
using testing::Answer;
using testing::Client;
using ::testing::HasSubstr;

struct Caller {
  std::string name;
};
int caller_runs = 0;

// The token is what its owner may do: "orders:read,orders:write".
Caller caller(Bearer bearer, SecurityScopes asked) {
  ++caller_runs;
  for (const std::string& scope : asked) {
    if (bearer.token.find(scope) == std::string_view::npos) throw Forbidden("the token lacks the scope " + scope);
  }
  return {"ann"};
}
struct Account {
  std::string name;
};
Account account(Security<caller, "account"> who) { return {who->name}; }

std::string text(const std::string& document, std::initializer_list<std::string_view> keys) {
  std::optional<Json> at = Json(document);
  for (const auto key : keys) {
    at = at->find(key);
    if (!at) return "(none)";
  }
  return at->text();
}

TEST(Security, AsksForTheScopesOfItsRouteAlone) {
  App app;
  app.get<"/orders">([](Security<caller, "orders:read"> who) { return who->name; });
  app.post<"/orders">([](Security<caller, "orders:read", "orders:write"> who) { return who->name; });
  app.get<"/me">([](Depends<caller> who) { return who->name; });
  Client client{app};
  EXPECT_EQ(client.get("/orders").bearer("orders:read").send().body, "ann");
  const Answer refused = client.post("/orders").bearer("orders:read");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("lacks the scope orders:write"));
  EXPECT_EQ(client.post("/orders").bearer("orders:read,orders:write").send().status, 200);
  EXPECT_EQ(client.get("/me").bearer("nothing").send().status, 200);
  EXPECT_EQ(client.get("/orders").send().status, 401);
}

TEST(Security, CollectsTheScopesOfDependenciesAndRoutersAndRunsOnce) {
  App app;
  Router<"/admin"> admin{{.dependencies = {secured<caller, "admin">}}};
  admin.get<"/account">([](Depends<account> mine, Security<caller, "audit"> who) { return mine->name + who->name; });
  app.include(std::move(admin));
  Client client{app};
  for (const char* token : {"admin,account", "admin,audit", "account,audit"}) {
    EXPECT_EQ(client.get("/admin/account").bearer(token).send().status, 403) << token;
  }
  caller_runs = 0;
  EXPECT_EQ(client.get("/admin/account").bearer("admin,account,audit").send().body, "annann");
  EXPECT_EQ(caller_runs, 1);
}

TEST(Security, CanBeReplacedForATestAsAnyDependency) {
  App app;
  app.get<"/orders">([](Security<caller, "orders:read"> who) { return who->name; });
  Client client{app};
  const auto scope = client.override_dependency<&caller>(Caller{"bob"});
  EXPECT_EQ(client.get("/orders").send().body, "bob");
}

TEST(Security, ShowsScopesAndFlowsInTheDocument) {
  App app;
  app.security_scheme("Bearer", {.description = "A token of ours",
                                 .password = OAuthFlow{.token_url = "/token",
                                                       .scopes = {{"orders:read", "See orders"}, {"account", ""}}}});
  app.get<"/orders">([](Security<caller, "orders:read">, Depends<account>) { return Text{}; });
  app.get<"/me">([](Depends<caller>) { return Text{}; });
  const std::string document = app.openapi();
  EXPECT_EQ(text(document, {"paths", "/orders", "get", "security"}), R"([{"Bearer":["account","orders:read"]}])");
  EXPECT_EQ(text(document, {"paths", "/me", "get", "security"}), R"([{"Bearer":[]}])");
  EXPECT_EQ(text(document, {"components", "securitySchemes", "Bearer"}),
            R"({"description":"A token of ours","type":"oauth2","flows":{"password":{"tokenUrl":"/token",)"
            R"("scopes":{"orders:read":"See orders","account":""}}}})");
}

TEST(Security, DescribesBearerFormatsAndOpenIdConnect) {
  App app;
  app.security_scheme("Bearer", {.bearer_format = "JWT"});
  app.get<"/a">([](Bearer) { return Text{}; });
  EXPECT_EQ(text(app.openapi(), {"components", "securitySchemes", "Bearer"}),
            R"({"type":"http","scheme":"bearer","bearerFormat":"JWT"})");
  App other;
  other.security_scheme("Bearer", {.open_id_connect_url = "https://id.example.com/.well-known/openid-configuration"});
  other.get<"/a">([](Bearer) { return Text{}; });
  EXPECT_THAT(text(other.openapi(), {"components", "securitySchemes", "Bearer"}), HasSubstr("openIdConnectUrl"));
}

TEST(Security, RefusesToStartWithAScopeThatNoFlowHasAndASchemeThatNobodyReads) {
  App app;
  app.security_scheme("Bearer",
                      {.client_credentials = OAuthFlow{.token_url = "/token", .scopes = {{"orders:read", ""}}}});
  app.security_scheme("Basic", {.description = "Forgotten"});
  app.get<"/orders">([](Security<caller, "orders:raed">) { return Text{}; });
  try {
    (void)app.openapi();
    FAIL() << "it starts";
  } catch (const Invalid& error) {
    EXPECT_THAT(
        std::string(error.what()),
        AllOf(
            HasSubstr("GET /orders asks for the scope 'orders:raed', which no flow of the security scheme Bearer has"),
            HasSubstr("the security scheme Basic is described, but no route reads it")));
  }
}

// ---- keys ----------------------------------------------------------------------------------------------------------

TEST(ApiKey, IsReadFromItsHeaderCookieOrQuery) {
  App app;
  app.get<"/h">([](ApiKey<In::header, "X-API-Key"> key) { return Text{std::string(key.value)}; });
  app.get<"/c">([](ApiKey<In::cookie, "key"> key) { return Text{std::string(key.value)}; });
  app.get<"/q">([](ApiKey<In::query, "api_key"> key) { return Text{std::string(key.value)}; });
  Client client{app};
  EXPECT_EQ(client.get("/h").header("x-api-key", "one").send().body, "one");
  EXPECT_EQ(client.get("/c").header("Cookie", "a=b; key=two").send().body, "two");
  EXPECT_EQ(client.get("/q?x=1&api_key=thr%65e").send().body, "three");
}

TEST(ApiKey, ThatIsMissingOrEmptyIs401UnlessItIsOptional) {
  App app;
  app.get<"/h">([](ApiKey<In::header, "X-API-Key">) { return Text{"known"}; });
  app.get<"/q">([](std::optional<ApiKey<In::query, "api_key">> key) { return Text{key ? "known" : "unknown"}; });
  Client client{app};
  const Answer missing = client.get("/h");
  EXPECT_EQ(missing.status, 401);
  EXPECT_EQ(missing.header("WWW-Authenticate"), "ApiKey");
  EXPECT_THAT(missing.body, HasSubstr("send it in the header X-API-Key"));
  EXPECT_EQ(client.get("/h").header("X-API-Key", " ").send().status, 401);
  EXPECT_EQ(client.get("/q?api_key=").send().body, "unknown");
  EXPECT_EQ(client.get("/q?api_key=%zz").send().status, 400);
}

TEST(ApiKey, ShowsInTheDocument) {
  App app;
  app.get<"/c">([](ApiKey<In::cookie, "key">) { return Text{}; });
  app.get<"/q">([](std::optional<ApiKey<In::query, "api_key">>) { return Text{}; });
  const std::string document = app.openapi();
  EXPECT_EQ(text(document, {"paths", "/c", "get", "security"}), R"([{"key":[]}])");
  EXPECT_EQ(text(document, {"paths", "/q", "get", "security"}), R"([{},{"api_key":[]}])");
  EXPECT_EQ(text(document, {"components", "securitySchemes"}),
            R"({"api_key":{"type":"apiKey","name":"api_key","in":"query"},)"
            R"("key":{"type":"apiKey","name":"key","in":"cookie"}})");
}

}  // namespace
}  // namespace ashlar
