// A shop for furniture that uses everything that an OpenAPI document can describe. `everything serve`, and see
// http://127.0.0.1:8000/docs: the user is ann, the password "chairs and tables".
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/ashlar.hpp>

#include "shop.hpp"

using namespace ashlar;
using namespace shop;

// ---- who asks

struct Claims {
  std::string sub;
  Annotated<std::string, defaulted{}> scope;
};
struct Shopper {
  std::string name;
};
Shopper shopper(Bearer bearer, SecurityScopes wanted, const auth::Tokens& tokens) {
  const auto claims = tokens.verify<Claims>(bearer.token);
  for (const auto& scope : wanted) {
    if (!(" " + claims.scope + " ").contains(" " + scope + " ")) throw Forbidden("the token lacks the scope " + scope);
  }
  return {claims.sub};
}
Shopper partner(ApiKey<In::header, "X-API-Key"> key) {
  if (!equals_constant_time(key.value, "only-for-show")) throw Unauthenticated("this key is not known");
  return {"partner"};
}
Shopper auditor(Credentials<"Basic"> basic) {
  const std::string right = http::basic_authorization("audit", "only for show");
  if (!equals_constant_time("Basic " + std::string(basic.token), right)) throw Unauthenticated("not the auditor");
  return {"auditor"};
}

// ---- what can be done

Task<void> tell(http::Client& client, std::string url, std::string body, std::string token = "") {
  http::ClientRequest request{.method = "POST", .url = std::move(url), .body = std::move(body)};
  request.headers.emplace_back("Content-Type", "application/json");
  if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
  (co_await client.send(std::move(request))).error_for_status();
}
Generator<Event<Product>> events(Page<Product> page) {
  for (auto& one : page.items) co_yield {.data = one, .id = one.id.to_string()};
}
Generator<Product> lines(Page<Product> page) {
  for (auto& one : page.items) co_yield std::move(one);
}

void add_products(App& app) {
  Router<"/products"> products{{.tags = {"products"}}};
  // sample: examples
  const Product chair{.name = "Chair", .price = {.amount = 40}, .tags = {"wood"}};
  products.post<"/">(
      [](Product in, Security<shopper, "products:write">, Shelf& shelf) -> Created<Product> {
        in.id = Uuid::v7();
        return {shelf.put(in), "/products/" + in.id.to_string()};
      },
      {.summary = "Add a product",
       .examples = {{.name = "chair", .summary = "What most send", .value = chair},
                    {.name = "table",
                     .value = Json(R"({"name": "Table", "price": {"amount": "99.90"}, "size": [2, 1]})")}},
       .answers = {{.status = 201, .description = "It is there", .examples = {{.name = "chair", .value = chair}}},
                   {.status = 503, .description = "The shelf is full"}}});
  // end of sample
  products.get<"/">(
      [](Query<Search> search, Header<Browser>, Cookie<Visit>, Shelf& shelf) { return shelf.find(search); },
      {.description = "All of them, or those that *match*.",
       .external_docs = {"https://example.com/help/search", "How the search works"}});
  products.get<"/{id}">([](Path<"id", Uuid> id, Shelf& shelf) { return shelf.get(id); }, {.errors = {404}});
  products.patch<"/{id}">(
      [](Path<"id", Uuid> id, ProductChange change, Security<shopper, "products:write">, Shelf& shelf) {
        auto product = shelf.get(id);
        if (product && change.name.has_value()) product->name = *change.name;
        if (product && !change.category.is_absent()) product->category = change.category.to_optional();
        if (product) shelf.put(*product);
        return product;
      },
      {.errors = {404}});
  products.del<"/{id}">(
      [](Path<"id", Uuid> id, Security<shopper, "products:write">, Shelf& shelf) { shelf.remove(id); },
      {.summary = "Delete a product", .deprecated = true, .errors = {404}});
  products.put<"/{id}/picture">(
      [](Path<"id", Uuid> id, Form<Picture> in, Depends<partner>) -> Task<Stored> {
        co_await in.image.save_as("pictures/" + id.to_string());
        co_return Stored{in.image.size()};
      },
      {.extensions = {{"x-badges", Json(R"([{"name": "New"}])")}}});
  products.get<"/events">([](LastEventId, Shelf& shelf) -> Events<Product> { return events(shelf.find({})); });
  products.get<"/export">([](Depends<auditor>, Shelf& shelf) -> JsonLines<Product> { return lines(shelf.find({})); });
  app.include(std::move(products));
}

void add_orders(App& app) {
  // sample: callback
  app.post<"/orders">(
      [](Order order, Security<shopper, "orders:write">, Shelf& shelf, const Settings& settings, http::Client& client,
         Background background) -> Accepted<Receipt> {
        const Receipt receipt{Uuid::v7()};
        for (const StockLow& low : shelf.take(order.products)) {
          if (settings.stock_webhook && settings.stock_token)
            background.add(tell(client, *settings.stock_webhook, schema::to_json(low), settings.stock_token->reveal()));
        }
        if (order.notify)
          background.add(tell(client, order.notify->to_string(), schema::to_json(Delivery{receipt.order})));
        return receipt;
      },
      {.tags = {"orders"},
       .errors = {409},
       .callbacks = {callback<NoContent(Delivery)>(
           "delivered", "{$request.body#/notify}",
           {.summary = "The order has arrived", .answers = {{.status = 410, .description = "Send no more"}}})}});
  // end of sample
  // sample: webhook
  app.webhook<NoContent(Bearer, StockLow)>(
      "stockLow", {.summary = "A product is about to run out",
                   .tags = {"products"},
                   .examples = {{.name = "last one", .value = StockLow{.product = {}, .left = 1}}}});
  // end of sample
}

void add_rest(App& app) {
  app.post<"/token">(
      [](Form<Login> login, const auth::Tokens& tokens) -> Token {
        if (login.username != "ann" || login.password != Secret<>("chairs and tables"))
          throw Unauthenticated("the name or the password is wrong");
        return {tokens.issue(Claims{login.username, login.scope}), "Bearer", tokens.options().lifetime.count()};
      },
      {.operation_id = "logIn", .answers = {{.status = 401, .description = "Nobody of this name"}}});
  app.get<"/me">([](Depends<shopper> me) { return Shopper{me->name}; });
  app.put<"/imports">([](BodyStream body) -> Task<Stored> {
    Stored stored{0};
    for (auto bytes = co_await body.next(); !bytes.empty(); bytes = co_await body.next()) stored.bytes += bytes.size();
    co_return stored;
  });
  app.put<"/favourites">([](Body<std::vector<Uuid>> ids) { return static_cast<int>(ids.get().size()); });
  app.get<"/pictures/{rest:path}">([](Path<"rest"> name) { return File{.path = name, .root = "pictures"}; });
  app.get<"/certificate">([](std::optional<ClientCertificate> client) { return client ? (*client)->common_name : ""; });
  app.get<"/page">([] { return Html{"<h1>Shop</h1>"}; });
  app.get<"/">([] { return Redirect{"/products"}; });
  app.get<"/hidden">([] { return NoContent{}; }, {.hidden = true});
  app.websocket<"/support">([](JsonSocket<Message>& socket) -> Task<void> {
    while (const auto question = co_await socket.receive()) co_await socket.send({"You asked: " + question->text});
  });
}

int main(int argc, char** argv) {
  // sample: info
  App app{{.title = "Furniture",
           .version = "3.2.1",
           .summary = "Chairs, tables, and what goes with them",
           .description = "Everything that a document can describe, with *Markdown*.",
           .tags = {{"products", "What there is to buy", {"https://example.com/help/products", "The fields in detail"}},
                    {"orders", "What has been bought"}},
           .license_name = "Apache 2.0",
           .license_url = "https://www.apache.org/licenses/LICENSE-2.0",
           .terms_of_service = "https://example.com/terms",
           .contact_name = "Support",
           .contact_email = "support@example.com",
           .external_docs = {"https://example.com/help", "The handbook"}}};
  // end of sample
  app.security_scheme(
      "Bearer",
      {.description = "A token of POST /token",
       .bearer_format = "JWT",
       .password = OAuthFlow{.token_url = "/token",
                             .scopes = {{"products:write", "Add and change products"}, {"orders:write", "Buy"}}}});
  const Settings& settings = app.settings<Settings>("FURNITURE");
  http::Client client{
      {.destinations = settings.private_addresses ? http::Destinations::any() : http::Destinations::public_only()}};
  Shelf shelf;
  app.provide(shelf).provide(client).provide<auth::Tokens>([] {
    return std::make_unique<auth::Tokens>(
        auth::TokenOptions{.keys = {auth::Key::hs256(auth::local_secret("JWT_SECRET"))}});
  });
  app.on_start([] { std::filesystem::create_directories("pictures"); });
  add_products(app);
  add_orders(app);
  add_rest(app);
  return run(app, argc, argv);
}
