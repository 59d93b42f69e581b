#include <ashlar/app/openapi.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include <ashlar/app/app.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar {
namespace {

using detail::make_openapi;
using detail::Operation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// "paths./articles/{slug}.get.parameters.0.name"; the parts of a path are separated by spaces here.
std::optional<Json> look(const std::string& document, std::vector<std::string> keys) {
  std::optional<Json> at = Json(document);
  for (const auto& key : keys) {
    const bool index = at->kind() == Json::Kind::array;
    at = index ? at->at(static_cast<std::size_t>(std::stoi(key))) : at->find(key);
    if (!at) return std::nullopt;
  }
  return at;
}
std::string text(const std::string& document, std::vector<std::string> keys) {
  const auto found = look(document, std::move(keys));
  return found ? found->text() : "(none)";
}

struct Article {
  std::int64_t id;
  std::string title;
  std::vector<std::string> tags = {};
};
struct Listing {
  Annotated<int, ge{1}, le{100}, description{"How many"}> limit = 20;
  std::optional<std::string> author;
  Annotated<std::vector<std::string>, deprecated{}> tag = {};
};
struct Agent {
  std::string user_agent;
  Annotated<std::optional<std::string>, alias{"x-trace"}> trace;
  std::string accept = "x";
};
struct Session {
  Annotated<std::string, example{"abc"}> session_id;
};
struct Failure {
  std::string reason;
};

int identify(Bearer bearer) { return static_cast<int>(bearer.token.size()); }
int identify_maybe(std::optional<Credentials<"Token">> token) { return token ? 1 : 0; }

std::string sample() {
  App app{{.title = "Blog", .version = "1.2.3", .tags = {{"articles", "What we write"}}}};
  app.get<"/articles">([](Query<Listing>) { return std::vector<Article>{}; }, {.tags = {"articles"}});
  app.post<"/articles">([](Article in, Depends<identify>) { return Created<Article>(in); },
                        {.summary = "Publish", .tags = {"writing"}, .operation_id = "PublishArticle", .errors = {409}});
  app.get<"/articles/{id}">([](Path<"id", Annotated<std::int64_t, ge{1}>>) -> Article { return {}; });
  app.del<"/articles/{number}">([](Path<"number", std::int64_t>, Depends<identify_maybe>) {}, {.deprecated = true});
  app.get<"/files/{rest:path}">([](Path<"rest">) { return Text{}; });
  app.get<"/me">([](Header<Agent>, Cookie<Session>) { return Html{}; });
  app.get<"/secret">([] { return Text{}; }, {.hidden = true});
  app.get<"/">([] { return Redirect{"/articles"}; });
  return app.openapi();
}

TEST(OpenApi, DescribesTheService) {
  const auto document = sample();
  EXPECT_EQ(text(document, {"openapi"}), R"("3.1.0")");
  EXPECT_EQ(text(document, {"info"}), R"({"title":"Blog","version":"1.2.3"})");
  EXPECT_EQ(text(document, {"servers"}), R"([{"url":"/"}])");
  EXPECT_EQ(text(document, {"tags"}), R"([{"name":"articles","description":"What we write"},{"name":"writing"}])");
}

TEST(OpenApi, LeavesOutWhatIsHidden) { EXPECT_THAT(sample(), Not(HasSubstr("secret"))); }

TEST(OpenApi, GivesTheSameBytesEveryTime) { EXPECT_EQ(sample(), sample()); }

TEST(OpenApi, ListsPathsInTheOrderOfTheRoutes) {
  EXPECT_THAT(look(sample(), {"paths"})->keys(),
              ElementsAre("/articles", "/articles/{id}", "/files/{rest}", "/me", "/"));
}

TEST(OpenApi, MembersOfAQueryBecomeParameters) {
  const auto document = sample();
  EXPECT_EQ(
      text(document, {"paths", "/articles", "get", "parameters"}),
      R"([{"name":"limit","in":"query","description":"How many",)"
      R"("schema":{"type":"integer","format":"int32","minimum":1,"maximum":100,"description":"How many","default":20}},)"
      R"({"name":"author","in":"query","schema":{"type":"string"}},)"
      R"({"name":"tag","in":"query","deprecated":true,)"
      R"("schema":{"type":"array","items":{"type":"string"},"deprecated":true,"default":[]}}])");
}

TEST(OpenApi, HeadersAndCookiesHaveTheirNamesOnTheWire) {
  EXPECT_EQ(
      text(sample(), {"paths", "/me", "get", "parameters"}),
      R"([{"name":"User-Agent","in":"header","required":true,"schema":{"type":"string"}},)"
      R"({"name":"x-trace","in":"header","schema":{"type":"string"}},)"
      R"({"name":"session_id","in":"cookie","required":true,"schema":{"type":"string","examples":["abc"]},"example":"abc"}])");
}

TEST(OpenApi, PathParametersAreRequiredAndTyped) {
  EXPECT_EQ(text(sample(), {"paths", "/articles/{id}", "get", "parameters"}),
            R"([{"name":"id","in":"path","required":true,"schema":{"type":"integer","format":"int64","minimum":1}}])");
}

TEST(OpenApi, PathsThatDifferInTheNamesOfParametersAreOne) {
  const auto document = sample();
  EXPECT_EQ(text(document, {"paths", "/articles/{id}", "delete", "parameters", "0", "name"}), R"("id")");
  EXPECT_EQ(text(document, {"paths", "/articles/{id}", "delete", "deprecated"}), "true");
}

TEST(OpenApi, RestOfThePathIsAPlainParameter) {
  EXPECT_EQ(text(sample(), {"paths", "/files/{rest}", "get", "parameters", "0", "name"}), R"("rest")");
}

TEST(OpenApi, AParameterThatNobodyReadsIsThereAllTheSame) {
  App app;
  app.get<"/a/{b}/c">([] { return Text{}; });
  EXPECT_EQ(text(app.openapi(), {"paths", "/a/{b}/c", "get", "parameters"}),
            R"([{"name":"b","in":"path","required":true,"schema":{"type":"string"}}])");
}

TEST(OpenApi, BodiesAndAnswersReferToComponents) {
  const auto document = sample();
  EXPECT_EQ(
      text(document, {"paths", "/articles", "post", "requestBody"}),
      R"({"content":{"application/json":{"schema":{"$ref":"#/components/schemas/ArticleInput"}}},"required":true})");
  EXPECT_EQ(
      text(document, {"paths", "/articles", "post", "responses", "201"}),
      R"({"description":"Created","headers":{"Location":{"description":"Where it is","schema":{"type":"string",)"
      R"("format":"uri-reference"}}},"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Article"}}}})");
  EXPECT_EQ(text(document, {"paths", "/articles", "get", "responses", "200", "content", "application/json", "schema"}),
            R"({"type":"array","items":{"$ref":"#/components/schemas/Article"}})");
  EXPECT_EQ(text(document, {"components", "schemas", "ArticleInput", "required"}), R"(["id","title"])");
  EXPECT_EQ(text(document, {"components", "schemas", "Article", "required"}), R"(["id","title","tags"])");
}

TEST(OpenApi, AnswersWithoutJsonSayWhatTheyAre) {
  const auto document = sample();
  EXPECT_EQ(text(document, {"paths", "/files/{rest}", "get", "responses", "200", "content"}),
            R"({"text/plain":{"schema":{"type":"string"}}})");
  EXPECT_EQ(text(document, {"paths", "/articles/{id}", "delete", "responses", "204"}),
            R"({"description":"No Content"})");
  EXPECT_THAT(text(document, {"paths", "/", "get", "responses", "303"}), HasSubstr("Location"));
}

TEST(OpenApi, ValidatedRequestsMayBeRefusedWith422) {
  const auto document = sample();
  EXPECT_THAT(look(document, {"paths", "/articles", "get", "responses"})->keys(), ElementsAre("200", "422", "default"));
  EXPECT_THAT(look(document, {"paths", "/articles", "post", "responses"})->keys(),
              ElementsAre("201", "401", "409", "422", "default"));
  EXPECT_THAT(look(document, {"paths", "/", "get", "responses"})->keys(), ElementsAre("303", "default"));
}

TEST(OpenApi, ErrorsAreProblemDetails) {
  const auto document = sample();
  EXPECT_EQ(text(document, {"paths", "/articles", "get", "responses", "422"}),
            R"({"$ref":"#/components/responses/UnprocessableContent"})");
  EXPECT_EQ(text(document, {"components", "responses", "UnprocessableContent", "content"}),
            R"({"application/problem+json":{"schema":{"$ref":"#/components/schemas/Problem"}}})");
  EXPECT_EQ(text(document, {"components", "schemas", "Problem", "required"}),
            R"(["type","title","status","instance"])");
  EXPECT_EQ(text(document, {"components", "schemas", "Problem", "properties", "errors", "items"}),
            R"({"$ref":"#/components/schemas/ProblemItem"})");
  EXPECT_EQ(text(document, {"components", "schemas", "ProblemItem", "required"}), R"(["type","loc","msg"])");
}

TEST(OpenApi, ErrorsHaveTheFormatOfTheApplication) {
  App app;
  app.error_format<Failure>([](const Problem& problem) { return Failure{problem.detail}; });
  app.get<"/{id}">([](Path<"id", int>) { return Text{}; });
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"components", "responses", "UnprocessableContent", "content"}),
            R"({"application/json":{"schema":{"$ref":"#/components/schemas/Failure"}}})");
  EXPECT_THAT(look(document, {"components", "schemas"})->keys(), ElementsAre("Failure"));
}

TEST(OpenApi, AProgramsOwnProblemKeepsItsNameApart) {
  struct Problem {
    int number;
  };
  App app;
  app.get<"/">([]() -> Problem { return {}; });
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"paths", "/", "get", "responses", "200", "content", "application/json", "schema"}),
            R"({"$ref":"#/components/schemas/Problem"})");
  EXPECT_NE(text(document, {"components", "responses", "Error", "content", "application/problem+json", "schema"}),
            R"({"$ref":"#/components/schemas/Problem"})");
}

TEST(OpenApi, CredentialsBecomeSecuritySchemes) {
  const auto document = sample();
  EXPECT_EQ(text(document, {"paths", "/articles", "post", "security"}), R"([{"Bearer":[]}])");
  EXPECT_EQ(text(document, {"paths", "/articles/{id}", "delete", "security"}), R"([{},{"Token":[]}])");
  EXPECT_EQ(text(document, {"paths", "/articles", "get", "security"}), "(none)");
  EXPECT_EQ(text(document, {"components", "securitySchemes", "Bearer"}), R"({"type":"http","scheme":"bearer"})");
  EXPECT_THAT(text(document, {"components", "securitySchemes", "Token"}),
              HasSubstr(R"("name":"Authorization","in":"header")"));
}

TEST(OpenApi, SchemesOfOneRequestAreNeededTogether) {
  const RouteOptions options;
  Operation operation{http::Method::get, "/", &options, {}};
  operation.info.security = {{"Key", "apiKey", "X-Api-Key", {}, false},
                             {"Bearer", "http", "bearer", {"read", "write"}, true},
                             {"Key", "apiKey", "X-Api-Key", {}, true}};
  EXPECT_EQ(text(make_openapi({}, std::span(&operation, 1), {}), {"paths", "/", "get", "security"}),
            R"([{"Key":[]},{"Key":[],"Bearer":["read","write"]}])");
}

TEST(OpenApi, CredentialsThatMayBeMissingAreAnyOfThem) {
  App app;
  app.get<"/">([](std::optional<Bearer>, std::optional<ApiKey<In::header, "X-API-Key">>) { return NoContent{}; });
  EXPECT_EQ(text(app.openapi(), {"paths", "/", "get", "security"}),
            R"([{},{"Bearer":[]},{"X-API-Key":[]},{"Bearer":[],"X-API-Key":[]}])");
}

TEST(OpenApi, OfVeryManyCredentialsThatMayBeMissingNotEveryMixtureIsWritten) {
  const RouteOptions options;
  Operation operation{http::Method::get, "/", &options, {}};
  for (const char* const name : {"A", "B", "C", "D", "E"})
    operation.info.security.push_back({name, "apiKey", name, {}, true});
  EXPECT_EQ(text(make_openapi({}, std::span(&operation, 1), {}), {"paths", "/", "get", "security"}),
            R"([{},{"A":[]},{"B":[]},{"C":[]},{"D":[]},{"E":[]},{"A":[],"B":[],"C":[],"D":[],"E":[]}])");
}

TEST(OpenApi, KeysOfOneNameInTwoPlacesAreTwoSchemes) {
  App app;
  app.get<"/header">([](ApiKey<In::header, "key">) { return NoContent{}; });
  app.get<"/query">([](ApiKey<In::query, "key">) { return NoContent{}; });
  app.get<"/both">([](ApiKey<In::header, "key">, ApiKey<In::query, "key">) { return NoContent{}; });
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"components", "securitySchemes"}),
            R"({"key":{"type":"apiKey","name":"key","in":"header"},)"
            R"("key-query":{"type":"apiKey","name":"key","in":"query"}})");
  EXPECT_EQ(text(document, {"paths", "/header", "get", "security"}), R"([{"key":[]}])");
  EXPECT_EQ(text(document, {"paths", "/query", "get", "security"}), R"([{"key-query":[]}])");
  EXPECT_EQ(text(document, {"paths", "/both", "get", "security"}), R"([{"key":[],"key-query":[]}])");
}

TEST(OpenApi, SeveralAnswersOfOneStatusAreOneOfThem) {
  const RouteOptions options;
  Operation operation{http::Method::get, "/", &options, {}};
  operation.info.responses = {{200, "One", "application/json", &schema::type_info<Article>()},
                              {200, "Other", "application/json", &schema::type_info<Failure>()},
                              {200, "", "text/html", nullptr}};
  EXPECT_EQ(text(make_openapi({}, std::span(&operation, 1), {}), {"paths", "/", "get", "responses", "200"}),
            R"({"description":"One; Other","content":{"application/json":{"schema":{"anyOf":[)"
            R"({"$ref":"#/components/schemas/Article"},{"$ref":"#/components/schemas/Failure"}]}},)"
            R"("text/html":{"schema":{"type":"string"}}}})");
}

TEST(OpenApi, TheRoutesStatusIsThatOfTheSuccess) {
  App app;
  app.post<"/">([](Article in) { return in; }, {.status = 201});
  EXPECT_THAT(look(app.openapi(), {"paths", "/", "post", "responses"})->keys(), ElementsAre("201", "422", "default"));
}

TEST(OpenApi, OperationIdsAreUnique) {
  const RouteOptions plain;
  const RouteOptions named{.operation_id = "get_a"};
  const Operation operations[] = {{http::Method::get, "/a", &plain, {}},
                                  {http::Method::get, "/b", &named, {}},
                                  {http::Method::get, "/c", &named, {}},
                                  {http::Method::get, "/{x}", &plain, {}},
                                  {http::Method::get, "/{rest:path}", &plain, {}}};
  const auto document = make_openapi({}, operations, {});
  std::set<std::string> ids;
  for (const auto& path : look(document, {"paths"})->elements()) {
    ids.insert(*path.find("get")->find("operationId")->as_string());
  }
  EXPECT_THAT(ids, ElementsAre("get_a", "get_a_2", "get_a_3", "get_by_x"));
}

TEST(OpenApi, AnEmptyServiceHasADocument) {
  EXPECT_EQ(
      make_openapi({}, {}, {}),
      R"({"openapi":"3.1.0","info":{"title":"API","version":"0.1.0"},"servers":[{"url":"/"}],"security":[],"paths":{}})");
}

TEST(OpenApi, TextIsEscaped) {
  ApiInfo info;
  info.title = "a \"b\"\n";
  info.license_name = "MIT";
  info.license_url = "https://opensource.org/licenses/MIT";
  info.contact_email = "a@example.com";
  info.servers = {{"https://a.example", "live"}};
  EXPECT_THAT(make_openapi(info, {}, {}),
              HasSubstr(R"({"title":"a \"b\"\n","contact":{"email":"a@example.com"},"license":{"name":"MIT",)"
                        R"("url":"https://opensource.org/licenses/MIT"},"version":"0.1.0"},)"
                        R"("servers":[{"url":"https://a.example","description":"live"}])"));
}

TEST(OperationId, IsMadeOfMethodAndPath) {
  using detail::operation_id;
  EXPECT_EQ(operation_id(http::Method::get, "/articles"), "get_articles");
  EXPECT_EQ(operation_id(http::Method::get, "/articles/{slug}"), "get_articles_by_slug");
  EXPECT_EQ(operation_id(http::Method::del, "/articles/{slug}/comments/{id}"),
            "delete_articles_by_slug_comments_by_id");
  EXPECT_EQ(operation_id(http::Method::get, "/files/{rest:path}"), "get_files_by_rest");
  EXPECT_EQ(operation_id(http::Method::get, "/"), "get");
  EXPECT_EQ(operation_id(http::Method::put, "/.well-known/a.b~"), "put_well_known_a_b");
}

TEST(OperationId, IsTheSummaryInWords) {
  using detail::summary_of;
  EXPECT_EQ(summary_of("get_articles_by_slug"), "Get articles by slug");
  EXPECT_EQ(summary_of("CreateArticle"), "Create article");
  EXPECT_EQ(summary_of("getHTTPPage"), "Get HTTP page");
  EXPECT_EQ(summary_of("Login"), "Login");
}

TEST(HeaderName, IsSpelledAsUsual) {
  using detail::header_name;
  EXPECT_EQ(header_name("user_agent"), "User-Agent");
  EXPECT_EQ(header_name("host"), "Host");
  EXPECT_EQ(header_name("X-Request-Id"), "X-Request-Id");
  EXPECT_EQ(header_name("x-trace"), "x-trace");
}

}  // namespace
}  // namespace ashlar
