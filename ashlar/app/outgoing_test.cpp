#include <ashlar/app/outgoing.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar {
namespace {

std::optional<Json> look(const std::string& document, const std::vector<std::string>& keys) {
  std::optional<Json> at = Json(document);
  for (const auto& key : keys) {
    if (at) at = at->find(key);
  }
  return at;
}
std::string text(const std::string& document, const std::vector<std::string>& keys) {
  const auto found = look(document, keys);
  return found ? found->text() : "(none)";
}

std::string refusal(App& app) {
  try {
    (void)app.openapi();
  } catch (const Invalid& error) {
    return std::string(error.message());
  }
  return "(it starts)";
}

struct Address {
  std::string url;
};
struct Order {
  std::string product;
  std::optional<std::string> notify;
  std::vector<Address> copies = {};
};
struct Delivery {
  std::int64_t order;
  int parcels = 1;
};
struct Signed {
  std::string x_signature;
};
struct Verdict {
  bool again = false;
};
struct Filter {
  std::string color;
};

constexpr auto kNotify = "{$request.body#/notify}";

TEST(Outgoing, CallbackIsDescribedAtItsOperation) {
  App app;
  app.post<"/orders">(
      [](Order) { return NoContent{}; },
      {.callbacks = {callback<NoContent(Delivery)>("delivered", kNotify, {.summary = "It has arrived"})}});
  EXPECT_EQ(text(app.openapi(), {"paths", "/orders", "post", "callbacks"}),
            R"({"delivered":{"{$request.body#/notify}":{"post":{"summary":"It has arrived",)"
            R"("operationId":"post_orders_delivered","requestBody":{"content":{"application/json":{)"
            R"("schema":{"$ref":"#/components/schemas/Delivery"}}},"required":true},)"
            R"("responses":{"204":{"description":"No Content"}}}}}})");
}

TEST(Outgoing, WebhookIsDescribedByItself) {
  App app;
  app.webhook<NoContent(Header<Signed>, Bearer, Delivery)>("stock_low", {.method = http::Method::put,
                                                                         .description = "There is *little* left",
                                                                         .tags = {"stock"},
                                                                         .operation_id = "stockIsLow",
                                                                         .deprecated = true});
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"webhooks"}),
            R"({"stock_low":{"put":{"tags":["stock"],"summary":"Stock low","description":"There is *little* left",)"
            R"("operationId":"stockIsLow","parameters":[{"name":"X-Signature","in":"header","required":true,)"
            R"("schema":{"type":"string"}}],"requestBody":{"content":{"application/json":{)"
            R"("schema":{"$ref":"#/components/schemas/Delivery"}}},"required":true},)"
            R"("responses":{"204":{"description":"No Content"}},"deprecated":true,"security":[{"Bearer":[]}]}}})");
  EXPECT_EQ(text(document, {"tags"}), R"([{"name":"stock"}])");
  EXPECT_EQ(look(document, {"components", "securitySchemes"})->keys(), std::vector<std::string>{"Bearer"});
  EXPECT_EQ(text(document, {"components", "responses"}), "(none)");  // the receiver's errors are not ours
}

TEST(Outgoing, WhatIsSentHasTheFormOfAnAnswerAndWhatComesBackThatOfARequest) {
  App app;
  app.webhook<Verdict(Delivery)>("asked");
  app.get<"/deliveries">([] { return Delivery{}; });
  app.post<"/deliveries">([](Delivery) { return Verdict{}; });
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"webhooks", "asked", "post", "requestBody", "content", "application/json", "schema"}),
            R"({"$ref":"#/components/schemas/Delivery"})");
  EXPECT_EQ(text(document, {"webhooks", "asked", "post", "responses", "200", "content", "application/json", "schema"}),
            R"({"$ref":"#/components/schemas/VerdictInput"})");
  EXPECT_EQ(text(document, {"components", "schemas", "Delivery", "required"}), R"(["order","parcels"])");
}

TEST(Outgoing, ReceiverMayAnswerWhatIsSaid) {
  App app;
  app.webhook<NoContent(Delivery)>(
      "delivered",
      {.external_docs = {.url = "https://docs.example.com/hooks"},
       .examples = {{.name = "two", .value = Delivery{.order = 7, .parcels = 2}}},
       .answers = {{.status = 204, .description = "Received"}, {.status = 410, .description = "Stop sending"}}});
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"webhooks", "delivered", "post", "responses"}),
            R"({"204":{"description":"Received"},"410":{"description":"Stop sending"}})");
  EXPECT_EQ(text(document, {"webhooks", "delivered", "post", "requestBody", "content", "application/json", "examples"}),
            R"({"two":{"value":{"order":7,"parcels":2}}})");
  EXPECT_EQ(text(document, {"webhooks", "delivered", "post", "externalDocs"}),
            R"({"url":"https://docs.example.com/hooks"})");
}

TEST(Outgoing, SeveralMayHaveOneNameAndOneAddress) {
  App app;
  app.post<"/orders">([](Order) { return NoContent{}; },
                      {.callbacks = {callback<NoContent(Delivery)>("moved", kNotify),
                                     callback<NoContent()>("cancelled", kNotify, {.method = http::Method::del}),
                                     callback<NoContent(Delivery)>("moved", kNotify, {.method = http::Method::put}),
                                     callback<NoContent(Delivery)>("moved", "{$request.body#/copies/0/url}/moved")}});
  const auto document = app.openapi();
  EXPECT_EQ(look(document, {"paths", "/orders", "post", "callbacks"})->keys(),
            (std::vector<std::string>{"moved", "cancelled"}));
  EXPECT_EQ(look(document, {"paths", "/orders", "post", "callbacks", "moved", kNotify})->keys(),
            (std::vector<std::string>{"post", "put"}));
  EXPECT_EQ(text(document, {"paths", "/orders", "post", "callbacks", "moved", "{$request.body#/copies/0/url}/moved",
                            "post", "operationId"}),
            R"("post_orders_moved_3")");
}

TEST(Outgoing, OperationIdsOfRoutesStayWhenACallbackIsAdded) {
  App app;
  app.post<"/orders">([](Order) { return NoContent{}; },
                      {.callbacks = {callback<NoContent(Delivery)>("paid", kNotify)}});
  app.post<"/orders/paid">([] { return NoContent{}; });
  const auto document = app.openapi();
  EXPECT_EQ(text(document, {"paths", "/orders/paid", "post", "operationId"}), R"("post_orders_paid")");
  EXPECT_EQ(text(document, {"paths", "/orders", "post", "callbacks", "paid", kNotify, "post", "operationId"}),
            R"("post_orders_paid_2")");
}

TEST(Outgoing, AddressNamesWhatIsThere) {
  App app;
  app.post<"/orders/{shop}">(
      [](Path<"shop">, Query<Filter>, Order) { return Created<Delivery>({}); },
      {.callbacks = {callback<NoContent()>("a", "https://example.com/hook?color={$request.query.color}"),
                     callback<NoContent()>("b", "{$request.path.shop}/{$method}/{$statusCode}/{$url}"),
                     callback<NoContent()>("c", "{$request.header.X-Notify}{$response.header.Location}"),
                     callback<NoContent()>("d", "{$response.body#/order}"),
                     callback<NoContent()>("e", "{$request.body}")}});
  EXPECT_EQ(refusal(app), "(it starts)");
}

TEST(Outgoing, AddressThatNamesWhatIsNotThereIsRefusedAtStartUp) {
  App app;
  app.post<"/orders">(
      [](Query<Filter>, Order) { return NoContent{}; },
      {.callbacks = {
           callback<NoContent()>("a", "{$request.body#/notfy}"), callback<NoContent()>("b", "{$request.query.url}"),
           callback<NoContent()>("c", "{$request.path.id}"), callback<NoContent()>("d", "{$response.body#/url}"),
           callback<NoContent()>("e", "{url}"), callback<NoContent()>("f", "{$url"), callback<NoContent()>("g", ""),
           callback<NoContent()>("h", "{$request.body.url}"),
           callback<NoContent()>("i", "{$request.body#/copies/url}")}});
  EXPECT_EQ(
      refusal(app),
      "POST /orders, callback a: its address names $request.body#/notfy, but the body has no notfy\n"
      "POST /orders, callback b: its address names $request.query.url, but its query has color\n"
      "POST /orders, callback c: its address names $request.path.id, but its path has nothing\n"
      "POST /orders, callback d: its address names $response.body#/url, but no successful answer has a body\n"
      "POST /orders, callback e: its address names url, but this is none of OpenAPI's runtime expressions, such as "
      "$request.body#/url and $request.query.url\n"
      "POST /orders, callback f: its address has a '{' without a '}'\n"
      "POST /orders, callback g: has no address; it is a URL, or an expression such as {$request.body#/url}\n"
      "POST /orders, callback h: its address names $request.body.url, but a place in a body is written as a JSON "
      "pointer: body#/url\n"
      "POST /orders, callback i: its address names $request.body#/copies/url, but the body has no copies/url");
}

TEST(Outgoing, OneThatIsThereTwiceIsRefusedAtStartUp) {
  App app;
  app.post<"/orders">([](Order) { return NoContent{}; }, {.callbacks = {callback<NoContent()>("a", kNotify),
                                                                        callback<NoContent(Delivery)>("a", kNotify)}});
  app.webhook<NoContent()>("b").webhook<NoContent(Delivery)>("b");
  EXPECT_EQ(refusal(app),
            "POST /orders, callback a: is there twice; give the second another name, address or method\n"
            "the webhook b: is there twice with one method; choose another name");
}

TEST(Outgoing, ExamplesThatAreNeverSentAreRefusedAtStartUp) {
  App app;
  app.webhook<NoContent(Delivery)>("a", {.examples = {{.name = "half", .value = Json(R"({"order":1})")}}});
  EXPECT_EQ(refusal(app), "the webhook a: the example 'half' of its body does not fit: parcels is missing");
}

TEST(Outgoing, SchemeThatOnlyAWebhookShowsIsRead) {
  App app;
  app.security_scheme("Bearer", {.description = "Ours"});
  app.webhook<NoContent(Bearer)>("a");
  EXPECT_EQ(text(app.openapi(), {"components", "securitySchemes", "Bearer", "description"}), R"("Ours")");
}

TEST(Outgoing, CallbacksOfHiddenRoutesAreHidden) {
  App app;
  app.post<"/orders">([](Order) { return NoContent{}; },
                      {.hidden = true, .callbacks = {callback<NoContent(Delivery)>("a", kNotify)}});
  EXPECT_EQ(text(app.openapi(), {"components"}), "(none)");
}

}  // namespace
}  // namespace ashlar
