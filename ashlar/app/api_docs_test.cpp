#include <ashlar/app/api_docs.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar {
namespace {

using ::testing::HasSubstr;

std::string text(const std::string& document, const std::vector<std::string>& keys) {
  std::optional<Json> at = Json(document);
  for (const auto& key : keys) {
    if (at) at = at->find(key);
  }
  return at ? at->text() : "(none)";
}

// Why the application does not start.
std::string refusal(App& app) {
  try {
    (void)app.openapi();
  } catch (const Invalid& error) {
    return std::string(error.message());
  }
  return "(it starts)";
}

struct Product {
  Annotated<std::int64_t, read_only{}> id = {};
  Annotated<std::string, min_length{1}> name;
  std::vector<std::string> tags = {};
};
struct Basket {
  std::vector<Product> products;
  std::optional<Product> gift;
  std::map<std::string, Product> more = {};
};
struct Login {
  std::string user;
  Secret<Annotated<std::string, min_length{4}>> password;
};

TEST(ApiDocs, ServiceSaysWhoMakesItAndWhereThereIsMore) {
  App app{{.title = "Shop",
           .tags = {{"products", "What there is", {"https://docs.example.com/products", "All fields"}}, {"orders"}},
           .terms_of_service = "https://example.com/terms",
           .contact_name = "Support",
           .contact_email = "support@example.com",
           .external_docs = {"https://docs.example.com", "The handbook"}}};
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"info"}),
            R"({"title":"Shop","termsOfService":"https://example.com/terms",)"
            R"("contact":{"name":"Support","email":"support@example.com"},"version":"0.1.0"})");
  EXPECT_EQ(text(document, {"externalDocs"}), R"({"description":"The handbook","url":"https://docs.example.com"})");
  EXPECT_EQ(
      text(document, {"tags"}),
      R"([{"name":"products","description":"What there is",)"
      R"("externalDocs":{"description":"All fields","url":"https://docs.example.com/products"}},{"name":"orders"}])");
}

TEST(ApiDocs, OperationSaysWhereThereIsMoreAndWhatToolsKnow) {
  App app;
  app.get<"/">([] { return Text{}; }, {.external_docs = {.url = "https://docs.example.com"},
                                       .extensions = {{"x-internal", Json("true")}, {"x-team", Json(R"({"a":1})")}}});
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"paths", "/", "get", "externalDocs"}), R"({"url":"https://docs.example.com"})");
  EXPECT_EQ(text(document, {"paths", "/", "get", "x-internal"}), "true");
  EXPECT_EQ(text(document, {"paths", "/", "get", "x-team"}), R"({"a":1})");
}

TEST(ApiDocs, ExtensionsHaveNamesOfExtensions) {
  App app;
  app.get<"/">([] { return Text{}; }, {.extensions = {{"internal", Json("true")}, {"x-websocket", Json("1")}}});
  EXPECT_EQ(refusal(app),
            "GET /: 'internal' is no name of an extension: it begins with \"x-\"\n"
            "GET /: 'x-websocket' is no name of an extension: it begins with \"x-\", and this one is taken");
}

TEST(ApiDocs, BodyHasNamedExamples) {
  App app;
  app.post<"/products">(
      [](Product in) { return in; },
      {.examples = {{.name = "chair", .summary = "A chair", .value = Product{.id = 7, .name = "Chair"}},
                    {.name = "raw", .description = "As text", .value = Json(R"({"name":"Table"})")}}});
  EXPECT_EQ(
      text(app.openapi(), {"paths", "/products", "post", "requestBody", "content", "application/json", "examples"}),
      R"({"chair":{"summary":"A chair","value":{"name":"Chair","tags":[]}},)"
      R"("raw":{"description":"As text","value":{"name":"Table"}}})");
}

TEST(ApiDocs, ExampleOfABodyHasNothingThatOnlyTheServiceSets) {
  App app;
  const Product chair{.id = 7, .name = "Chair"};
  app.post<"/baskets">([](Basket) {},
                       {.examples = {{.name = "full", .value = Basket{{chair}, chair, {{"a", chair}}}}}});
  EXPECT_EQ(text(app.openapi(), {"paths", "/baskets", "post", "requestBody", "content", "application/json", "examples",
                                 "full", "value"}),
            R"({"products":[{"name":"Chair","tags":[]}],"gift":{"name":"Chair","tags":[]},)"
            R"("more":{"a":{"name":"Chair","tags":[]}}})");
}

TEST(ApiDocs, AnswersHaveTextsAndExamples) {
  App app;
  app.get<"/products/{id}">(
      [](Path<"id", int>) -> std::variant<Product, Html> { return Html{}; },
      {.answers = {{.status = 200,
                    .description = "It is there",
                    .examples = {{.name = "chair", .value = Product{.id = 7, .name = "Chair"}},
                                 {.name = "page", .value = "<h1>Chair</h1>", .media_type = "text/html"}}},
                   {.status = 410, .description = "It was there once"}}});
  const auto document = app.openapi();
  const auto answer = [&](const std::string& status, std::vector<std::string> more) {
    std::vector<std::string> keys = {"paths", "/products/{id}", "get", "responses", status};
    keys.insert(keys.end(), more.begin(), more.end());
    return text(document, keys);
  };
  EXPECT_EQ(answer("200", {"description"}), R"("It is there")");
  EXPECT_EQ(answer("200", {"content", "application/json", "examples"}),
            R"({"chair":{"value":{"id":7,"name":"Chair","tags":[]}}})");
  EXPECT_EQ(answer("200", {"content", "text/html", "examples"}), R"({"page":{"value":"<h1>Chair</h1>"}})");
  EXPECT_EQ(answer("410", {}), R"({"description":"It was there once","content":{"application/problem+json":{)"
                               R"("schema":{"$ref":"#/components/schemas/Problem"}}}})");
  EXPECT_EQ(answer("422", {}), R"({"$ref":"#/components/responses/UnprocessableContent"})");
}

TEST(ApiDocs, ErrorThatIsDescribedKeepsItsHeaders) {
  App app;
  app.get<"/">([](Bearer) { return Text{}; }, {.answers = {{.status = 401, .description = "Sign in first"}}});
  EXPECT_THAT(text(app.openapi(), {"paths", "/", "get", "responses", "401"}),
              ::testing::AllOf(HasSubstr("Sign in first"), HasSubstr("WWW-Authenticate"), HasSubstr("Problem")));
}

TEST(ApiDocs, ExamplesOfErrorsHaveTheShapeOfErrors) {
  App app;
  app.get<"/">([] { return Text{}; },
               {.answers = {{.status = 409, .examples = {{.name = "taken", .value = Json(R"({"status":"many"})")}}}}});
  EXPECT_THAT(refusal(app), HasSubstr("GET /: the example 'taken' of its answer 409 does not fit: type is missing"));
}

TEST(ApiDocs, ExamplesThatDoNotFitAreRefusedAtStartUp) {
  App app;
  app.post<"/products">([](Product) { return NoContent{}; }, {.examples = {{.name = "empty", .value = Product{}},
                                                                           {.name = "number", .value = 7},
                                                                           {.name = "short", .value = Json("{}")}}});
  EXPECT_EQ(refusal(app),
            "POST /products: the example 'empty' of its body does not fit: name: \"\" is too short\n"
            "POST /products: the example 'number' of its body does not fit: 7 is a number\n"
            "POST /products: the example 'short' of its body does not fit: name is missing");
}

TEST(ApiDocs, ExamplesNeedAPlaceAndANameOfTheirOwn) {
  App app;
  app.get<"/a">([] { return Text{}; }, {.examples = {{.name = "x", .value = 1}}});
  app.get<"/b">([] {}, {.answers = {{.status = 204, .examples = {{.name = "x", .value = 1}}}}});
  app.get<"/c">([] { return Text{}; },
                {.answers = {{.examples = {{.name = "x", .value = "1", .media_type = "text/csv"}}}}});
  app.post<"/d">([](Product) {}, {.examples = {{.name = "x", .value = Json(R"({"name":"a"})")},
                                               {.name = "x", .value = Json(R"({"name":"b"})")}}});
  EXPECT_EQ(refusal(app),
            "GET /a: has examples of its body, but takes none\n"
            "GET /b: its answer 204 has no body to give examples of\n"
            "GET /c: the example 'x' of its answer 200 is text/csv, but there is only text/plain\n"
            "POST /d: the example 'x' of its body is there twice; each has a name of its own");
}

TEST(ApiDocs, SecretsOfExamplesAreMaskedAndWrittenAsJsonWhereTheyAreMeant) {
  App app;
  app.post<"/login">([](Login) {},
                     {.examples = {{.name = "value", .value = Login{"ann", {}}},
                                   {.name = "json", .value = Json(R"({"user":"ann","password":"only for show"})")}}});
  const auto examples =
      text(app.openapi(), {"paths", "/login", "post", "requestBody", "content", "application/json", "examples"});
  EXPECT_THAT(examples, HasSubstr(R"("password":"**)"));
  EXPECT_THAT(examples, HasSubstr(R"("password":"only for show")"));
}

TEST(ApiDocs, AnswersThatAreNeverGivenAreRefusedAtStartUp) {
  App app;
  app.post<"/products">([](Product in) { return Created<Product>(std::move(in)); },
                        {.answers = {{.status = 200, .description = "Made"},
                                     {.status = 409, .description = "One"},
                                     {.status = 409, .description = "Two"}}});
  EXPECT_EQ(refusal(app),
            "POST /products: 200 is described, but never answered; it answers 201, 409, 422\n"
            "POST /products: 409 is described twice; say it once");
}

}  // namespace
}  // namespace ashlar
