#include <ashlar/app/versions.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;
using ashlar::testing::Answer;
using ashlar::testing::Client;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

struct Old {
  std::string name;
};
struct New {
  std::string first, last;
};

struct Service {
  App v1{{.title = "First"}};
  App v2{{.title = "Second"}};
  App app;

  explicit Service(const VersionOptions& options, bool old_is_deprecated = false) {
    v1.get<"/me">([] { return Old{"Ann Lee"}; });
    v1.post<"/big">([](Body<std::string> text) { return text; }, {.max_body = 7});
    v2.get<"/me">([] { return New{"Ann", "Lee"}; });
    v2.del<"/me">([] {});
    app.post<"/webhook">([] { return "heard"; });
    using std::chrono::sys_days;
    using namespace std::chrono_literals;
    ApiVersion first{"1", v1};
    if (old_is_deprecated) {
      first.deprecated = sys_days{2026y / 1 / 1};
      first.sunset = sys_days{2027y / 1 / 1};
    }
    app.versions(options, {first, {"2", v2}});
  }
};
constexpr std::string_view kOld = R"({"name":"Ann Lee"})";
constexpr std::string_view kNew = R"({"first":"Ann","last":"Lee"})";

TEST(Versions, AreChosenByPath) {
  Service service{{}};
  Client client{service.app};
  EXPECT_EQ(client.get("/v1/me").send().body, kOld);
  EXPECT_EQ(client.get("/v2/me").send().body, kNew);
  EXPECT_EQ(client.get("/v3/me").send().status, 400);
}

TEST(Versions, AreChosenByAHeader) {
  Service service{{.header = "X-API-Version"}};
  Client client{service.app};
  EXPECT_EQ(client.get("/me").header("x-api-version", "1").send().body, kOld);
  EXPECT_EQ(client.get("/me").header("X-API-Version", "2").send().body, kNew);
  EXPECT_EQ(client.get("/v1/me").header("X-API-Version", "2").send().body, kOld);  // the path is nearer
}

TEST(Versions, ThatThereAreNotAreRefusedWithThoseThatThereAre) {
  Service service{{.fallback = "2"}};
  Client client{service.app};
  for (const char* name : {"3", "", "1 ", "v1", "latest"}) {
    const Answer refused = client.get("/me").header("API-Version", name);
    EXPECT_EQ(refused.status, 400) << name;
    EXPECT_THAT(refused.body, HasSubstr(std::string("there is no version '") + name)) << name;
    EXPECT_THAT(refused.body, HasSubstr("there are: 1, 2")) << name;
  }
}

TEST(Versions, FallBackToTheOneThatIsNamedForWhoNamesNone) {
  Service service{{.fallback = "1"}};
  Client client{service.app};
  EXPECT_EQ(client.get("/me").send().body, kOld);
  EXPECT_EQ(client.get("/me").header("API-Version", "2").send().body, kNew);
}

TEST(Versions, WithoutAFallbackMustBeNamed) {
  Service service{{.media_type = "application/vnd.shop+json"}};
  Client client{service.app};
  const Answer refused = client.get("/me");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("a path that begins with /v2, or the header API-Version, or Accept: "
                                      "application/vnd.shop+json; there are: 1, 2"));
}

TEST(Versions, AreChosenByAParameterOfWhatIsAccepted) {
  Service service{{.media_type = "application/vnd.shop+json", .fallback = "2"}};
  Client client{service.app};
  const auto body = [&](const char* accept) { return client.get("/me").header("Accept", accept).send().body; };
  EXPECT_EQ(body("application/vnd.shop+json;version=1"), kOld);
  EXPECT_EQ(body("Application/Vnd.Shop+JSON ; charset=utf-8 ; Version=\"1\""), kOld);
  EXPECT_EQ(body("application/vnd.shop+json"), kNew);
  EXPECT_EQ(body("application/json;version=1"), kNew);  // another type
  EXPECT_EQ(body("*/*"), kNew);
  EXPECT_EQ(body("application/vnd.shop+json;version=2;q=0.5, application/vnd.shop+json;version=1"), kOld);
  EXPECT_EQ(body("application/vnd.shop+json;version=1;q=0, application/vnd.shop+json;version=2;q=0.1"), kNew);
  EXPECT_EQ(body("application/vnd.shop+json;version=9, application/vnd.shop+json;version=1;q=0.1"), kOld);
  EXPECT_EQ(body("text/x;a=\"q,application/vnd.shop+json;version=1\""), kNew);  // within quotes
}

TEST(Versions, AreChosenByAMediaTypeOfTheirOwn) {
  Service service{{.media_type = "application/vnd.shop.v{version}+json", .fallback = "2"}};
  Client client{service.app};
  const auto body = [&](const char* accept) { return client.get("/me").header("Accept", accept).send().body; };
  EXPECT_EQ(body("application/vnd.shop.v1+json"), kOld);
  EXPECT_EQ(body("application/vnd.shop.v2+json, application/vnd.shop.v1+json;q=0.9"), kNew);
  EXPECT_EQ(body("application/vnd.shop.v+json"), kNew);  // names none
}

TEST(Versions, ThatAreNotAcceptableAre406UnlessSomethingElseIs) {
  Service service{{.media_type = "application/vnd.shop.v{version}+json", .fallback = "2"}};
  Client client{service.app};
  const Answer refused = client.get("/me").header("Accept", "application/vnd.shop.v7+json");
  EXPECT_EQ(refused.status, 406);
  EXPECT_THAT(refused.body, HasSubstr("there are: 1, 2"));
  EXPECT_EQ(client.get("/me").header("Accept", "application/vnd.shop.v7+json, */*;q=0.1").send().body, kNew);
}

TEST(Versions, HaveNoneOfThePathsThatTheApplicationHasItself) {
  Service service{{}};
  Client client{service.app};
  EXPECT_EQ(client.post("/webhook").send().body, "heard");
  EXPECT_EQ(client.post("/webhook").header("API-Version", "1").send().body, "heard");
  const Answer refused = client.get("/webhook");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(client.post("/webhook/").header("API-Version", "1").send().header("Location"), "/webhook");
  EXPECT_EQ(client.get("/health/live").send().status, 200);
}

TEST(Versions, KeepTheirMethodsPathsAndLimits) {
  Service service{{.fallback = "2"}};
  Client client{service.app};
  const Answer first = client.del("/me").header("API-Version", "1");
  EXPECT_EQ(first.status, 405);
  EXPECT_EQ(first.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(client.del("/me").send().status, 204);
  EXPECT_EQ(client.get("/none").send().status, 404);
  EXPECT_EQ(client.get("/me/").send().header("Location"), "/me");
  EXPECT_EQ(client.get("/v1/me/").send().header("Location"), "/v1/me");

  const std::vector<std::pair<const char*, std::uint64_t>> limits = {{"1", 7}, {"2", 100}};
  for (const auto& [name, limit] : limits) {
    http::Request head;
    head.clear();
    head.method = http::Method::post;
    head.path = "/big";
    ASSERT_TRUE(head.add_header("API-Version", name));
    EXPECT_EQ(service.app.handler().plan_body(head, 100).limit, limit) << name;
  }
}

TEST(Versions, HaveDocumentsAndPagesOfTheirOwn) {
  Service service{{}};
  Client client{service.app};
  const Answer first = client.get("/v1/openapi.json");
  EXPECT_THAT(first.body, HasSubstr(R"("title":"First")"));
  EXPECT_THAT(first.body, HasSubstr("Old"));
  EXPECT_THAT(first.body, Not(HasSubstr("New")));
  EXPECT_THAT(first.body, HasSubstr(R"({"name":"API-Version","in":"header","schema":{"type":"string"}})"));
  EXPECT_THAT(client.get("/v2/openapi.json").send().body, HasSubstr(R"("title":"Second")"));
  EXPECT_THAT(client.get("/v1/docs").send().body, HasSubstr("First"));
  EXPECT_THAT(client.get("/v2/docs").send().body, HasSubstr("Second"));
}

TEST(Versions, ShowThePagesOfTheOneThatIsAskedForWhereTheApplicationHasNone) {
  App v1{{.title = "First"}};
  App v2{{.title = "Second"}};
  App app{{.docs_path = "", .openapi_path = ""}};
  app.versions({.fallback = "2"}, {{"1", v1}, {"2", v2}});
  Client client{app};
  EXPECT_THAT(client.get("/docs").send().body, HasSubstr("Second"));
  EXPECT_THAT(client.get("/openapi.json").header("API-Version", "1").send().body, HasSubstr("First"));
}

TEST(Versions, TellCachesWhatTheyWereChosenByAndClientsWhenTheyEnd) {
  Service service{{.media_type = "application/vnd.shop+json", .fallback = "2"}, true};
  Client client{service.app};
  const Answer first = client.get("/me").header("API-Version", "1");
  EXPECT_EQ(first.header("API-Version"), "1");
  EXPECT_EQ(first.header("Vary"), "API-Version, Accept");
  EXPECT_EQ(first.header("Deprecation"), "@1767225600");
  EXPECT_EQ(first.header("Sunset"), "Fri, 01 Jan 2027 00:00:00 GMT");
  const Answer missing = client.get("/none");
  EXPECT_EQ(missing.header("API-Version"), "2");
  EXPECT_FALSE(missing.header("Sunset"));
  EXPECT_FALSE(client.get("/health/live").send().header("Vary"));
}

TEST(Versions, MayBeBelowAPathThemselves) {
  Service service{{.fallback = "1"}};
  App shell;
  shell.mount("/api", service.app);
  Client client{shell};
  EXPECT_EQ(client.get("/api/me").header("API-Version", "2").send().body, kNew);
  EXPECT_EQ(client.get("/api/v1/me").send().body, kOld);
}

TEST(Versions, ThatContradictThemselvesAreRefused) {
  const auto refusal = [](const VersionOptions& options, std::string_view first, std::string_view second) {
    App v1;
    App v2;
    App app;
    try {
      app.versions(options, {{std::string(first), v1}, {std::string(second), v2}});
    } catch (const Invalid& error) {
      return error.message();
    }
    return std::string("(it is taken)");
  };
  EXPECT_EQ(refusal({}, "1", "2"), "(it is taken)");
  EXPECT_THAT(refusal({}, "1", "1"), HasSubstr("two versions '1'"));
  EXPECT_THAT(refusal({}, "1", "2/3"), HasSubstr("'2/3' is no name of a version"));
  EXPECT_THAT(refusal({}, "", "2"), HasSubstr("'' is no name of a version"));
  EXPECT_THAT(refusal({.fallback = "3"}, "1", "2"), HasSubstr("'3', which there is not"));
  EXPECT_THAT(refusal({.path = "v"}, "1", "2"), HasSubstr("starts with '/'"));
  EXPECT_THAT(refusal({.header = "API Version"}, "1", "2"), HasSubstr("the header of versions cannot be"));
  EXPECT_THAT(refusal({.media_type = "json"}, "1", "2"), HasSubstr("the media type of versions"));
  App app;
  App other;
  EXPECT_THROW(app.versions({}, {{"1", app}}), Invalid);
  EXPECT_THROW(app.versions({}, {{"1", other}, {"2", other}}), Invalid);
  EXPECT_THROW(app.versions({}, {}), Invalid);
}

TEST(App, RefusesToStartWithWhatAMountHides) {
  App inner;
  App other;
  App app;
  app.mount("/v1", inner);
  app.get<"/v1/legacy">([] { return "never"; });
  app.get<"/v10">([] { return "v10"; });
  app.mount("/v1", other);
  try {
    const Client client{app};
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_EQ(error.message(),
              "two applications are mounted at /v1; remove one\n"
              "GET /v1/legacy is never reached: what is below /v1 goes to the application mounted there");
  }
}

TEST(App, RefusesToStartWhenApplicationsAreMountedInEachOther) {
  App one;
  App two;
  one.mount("/two", two);
  two.mount("/one", one);
  EXPECT_THROW(static_cast<void>(one.openapi()), Invalid);
}

}  // namespace
