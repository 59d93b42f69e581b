#include <ashlar/app/docs_pages.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using detail::Asset;
using detail::docs_page;
using detail::DocsContext;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr Asset kAssets[] = {
    {"page/page.css", "text/css; charset=utf-8", "W/\"c1\"", "a{}", "zipped css"},
    {"swagger-ui/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "W/\"s1\"", "swagger()", "zipped swagger"},
    {"swagger-ui/oauth2-redirect.html", "text/html; charset=utf-8", "W/\"r1\"", "<script src=a.js>", "zipped page"},
    {"scalar/standalone.js", "text/javascript; charset=utf-8", "W/\"k1\"", "scalar()", "zipped scalar"},
};
const std::vector<std::pair<std::string, std::string>> kServers = {
    {"https://api.example.com/v1", "live"}, {"/v2", "here"}, {"https://evil.example; script-src *", "no"}};

class DocsPages : public ::testing::Test {
 protected:
  // What docs_page leaves in the response, and returns.
  Content get(std::string_view path, std::string_view query = {}) {
    response.clear();
    request.path = path;
    request.query = query;
    return docs_page(request, response, context);
  }
  std::string header(std::string_view name) { return std::string(response.find_header(name).value_or("(none)")); }

  DocsContext context{"<Blog> & Co", "/docs", "/openapi.json", kServers, kAssets};
  http::Request request;
  http::Response response;
};

TEST_F(DocsPages, SwaggerIsThePageItself) {
  const auto page = get("/docs");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.type, "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr(R"(<script src="docs/assets/swagger-ui/swagger-ui-bundle.js?v=s1">)"));
  EXPECT_THAT(page.body, HasSubstr(R"(data-document="openapi.json" data-root="./")"));
  EXPECT_THAT(page.body, HasSubstr(R"(<a href="docs/scalar">Scalar</a>)"));
  EXPECT_THAT(page.body, HasSubstr(R"(aria-current="page">Swagger UI</a>)"));
}

TEST_F(DocsPages, ScalarIsBelow) {
  const auto page = get("/docs/scalar");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr(R"(<script src="../docs/assets/scalar/standalone.js?v=k1">)"));
  EXPECT_THAT(page.body, HasSubstr(R"(data-document="../openapi.json" data-root="../")"));
}

TEST_F(DocsPages, UrlsFitTheTrailingSlash) {
  EXPECT_THAT(get("/docs/").body, HasSubstr(R"(data-document="../openapi.json")"));
  EXPECT_THAT(get("/docs/scalar/").body, HasSubstr(R"(data-document="../../openapi.json")"));
}

TEST_F(DocsPages, UrlsDoNotDependOnWhatIsInFront) {
  EXPECT_EQ(get("/team/blog/docs").body, get("/docs").body);
  EXPECT_THAT(get("/team/docs/assets/page/page.css").type, "text/css; charset=utf-8");
}

TEST_F(DocsPages, ADeeperPlaceFindsItsWayUp) {
  context.docs_path = "/api/reference";
  EXPECT_THAT(get("/api/reference").body, HasSubstr(R"(data-document="../openapi.json")"));
}

TEST_F(DocsPages, TitlesAreEscaped) {
  EXPECT_THAT(get("/docs").body, HasSubstr("<title>&lt;Blog&gt; &amp; Co · Swagger UI</title>"));
}

TEST_F(DocsPages, PolicyAllowsScriptsOfThisOriginOnly) {
  get("/docs");
  const auto policy = header("Content-Security-Policy");
  EXPECT_THAT(policy, StartsWith("default-src 'none'; script-src 'self'; "));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe-eval")));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
}

TEST_F(DocsPages, PolicyLetsTheServersOfTheDocumentBeCalled) {
  get("/docs");
  EXPECT_THAT(header("Content-Security-Policy"), HasSubstr("connect-src 'self' https://api.example.com;"));
}

TEST_F(DocsPages, PolicyLetsTokensBeAskedForWhereTheyComeFrom) {
  const std::map<std::string, SecurityScheme> schemes = {
      {"Bearer",
       {.authorization_code = OAuthFlow{.authorization_url = "https://login.example.com/authorize",
                                        .token_url = "https://tokens.example.com/token"},
        .password = OAuthFlow{.token_url = "/token", .refresh_url = "https://again.example.com/token"}}},
      {"Other", {.open_id_connect_url = "https://id.example.com/.well-known/openid-configuration"}}};
  context.security_schemes = &schemes;
  get("/docs");
  EXPECT_THAT(header("Content-Security-Policy"),
              HasSubstr("connect-src 'self' https://again.example.com https://api.example.com https://id.example.com "
                        "https://tokens.example.com;"));
}

TEST_F(DocsPages, TheWayBackFromALoginRunsItsOwnScript) {
  EXPECT_EQ(get("/docs/assets/swagger-ui/oauth2-redirect.html").status, 200);
  EXPECT_EQ(header("Content-Security-Policy"), "default-src 'none'; script-src 'self'; frame-ancestors 'none'");
  get("/docs/assets/page/page.css");
  EXPECT_EQ(header("Content-Security-Policy"), "(none)");
}

TEST_F(DocsPages, HasNoInlineScriptsOrHandlers) {
  for (const auto* path : {"/docs", "/docs/scalar"}) {
    const auto page = get(path).body;
    EXPECT_THAT(page, Not(HasSubstr("<script>")));
    EXPECT_THAT(page, Not(HasSubstr(" on")));
  }
}

TEST_F(DocsPages, AssetsAreCachedForEverUnderTheirVersion) {
  const auto file = get("/docs/assets/page/page.css", "v=c1");
  EXPECT_EQ(file.type, "text/css; charset=utf-8");
  EXPECT_EQ(response.body_bytes(), "a{}");
  EXPECT_EQ(header("Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(header("ETag"), "W/\"c1\"");
  get("/docs/assets/page/page.css", "v=old");
  EXPECT_EQ(header("Cache-Control"), "no-cache");
}

TEST_F(DocsPages, AssetsAreSentZippedWhenWanted) {
  request.add_header("Accept-Encoding", "br, gzip;q=0.5");
  get("/docs/assets/page/page.css");
  EXPECT_EQ(response.body_bytes(), "zipped css");
  EXPECT_EQ(header("Content-Encoding"), "gzip");
  EXPECT_EQ(header("Vary"), "Accept-Encoding");
}

TEST_F(DocsPages, AssetsThatTheClientHasAreNotSentAgain) {
  request.add_header("If-None-Match", "\"x\", \"c1\"");
  EXPECT_EQ(get("/docs/assets/page/page.css").status, 304);
  EXPECT_EQ(response.body_bytes(), "");
  EXPECT_EQ(header("ETag"), "W/\"c1\"");
  EXPECT_EQ(get("/docs/assets/scalar/standalone.js").status, 200);
}

TEST_F(DocsPages, AssetsAreNotGivenWhereAnotherStateIsWanted) {
  request.add_header("If-Match", "\"another\"");
  EXPECT_EQ(get("/docs/assets/page/page.css").status, 412);
}

TEST_F(DocsPages, UnknownOnesAreNotFound) {
  EXPECT_THROW(get("/docs/assets/nothing.js"), NotFound);
  EXPECT_THROW(get("/docs/assets/../secret"), NotFound);
  EXPECT_THROW(get("/docs/redoc"), NotFound);
}

TEST_F(DocsPages, SayWhatIsMissingInABuildWithoutThem) {
  context.assets = std::span(kAssets).first(1);
  const auto page = get("/docs/scalar");
  EXPECT_EQ(page.status, 503);
  EXPECT_THAT(page.body, HasSubstr("Scalar is not part of this build"));
  EXPECT_THAT(page.body, HasSubstr(R"(<a href="../openapi.json">)"));
  EXPECT_THAT(page.body, Not(HasSubstr("<script")));
}

TEST(DocsRoutes, AreThereFromTheStart) {
  App app{{.title = "Blog", .servers = {{"https://api.example.com", ""}}}};
  app.get<"/articles">([] { return std::vector<int>{}; });
  testing::Client client(app);
  const auto document = client.get("/openapi.json").send();
  EXPECT_EQ(document.status, 200);
  EXPECT_EQ(document.header("content-type"), "application/json");
  EXPECT_EQ(document.body, app.openapi());
  const auto page = client.get("/docs").send();
  EXPECT_THAT(page.body, HasSubstr("<title>Blog · Swagger UI</title>"));
  const auto policy = page.header("content-security-policy");
  ASSERT_TRUE(policy);
  EXPECT_THAT(*policy, HasSubstr("script-src 'self'"));
  EXPECT_THAT(*policy, HasSubstr("connect-src 'self' https://api.example.com;"));
  EXPECT_EQ(client.get("/docs/assets/page/page.css").send().status, 200);
  EXPECT_EQ(client.get("/docs/assets/page/none.css").send().status, 404);
}

}  // namespace
}  // namespace ashlar
