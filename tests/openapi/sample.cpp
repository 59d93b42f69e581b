// A service with something of everything that a document can describe. The tests check what `sample openapi` prints.
#include <expected>
#include <map>
#include <tuple>
#include <variant>

#include <ashlar/app/app.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/schema.hpp>

using namespace ashlar;

namespace sample {

enum class Colour { red, green, blue };

// sample: rules
struct Money {
  Annotated<Decimal, ge{0}, example{"12.50"}> amount;
  Annotated<std::string, pattern{"^[A-Z]{3}$"}> currency = "EUR";
};
// end of sample

struct Card {
  Literal<"card"> kind;
  Secret<> number;
};
struct Transfer {
  Literal<"transfer"> kind;
  Annotated<std::string, title{"IBAN"}, min_length{15}, max_length{34}> iban;
};

struct Category {
  std::string name;
  std::vector<Category> children;
};

struct Product {
  Annotated<Uuid, read_only{}> id = {};
  Annotated<std::string, min_length{1}, max_length{200}, description{"Shown in lists"}> name;
  Colour colour = Colour::red;
  Money price;
  std::optional<Category> category;
  std::map<std::string, std::string> labels;
  std::tuple<int, int> size = {1, 1};
  Annotated<std::vector<std::string>, max_items{5}, unique_items{}> tags = {};
  Annotated<std::optional<DateTime>, deprecated{}> sold_out_at;
  Json extra;
  static constexpr SchemaOptions schema{
      .naming = Naming::camel_case, .extra = Extra::forbid, .description = "Something to buy"};
};

template <class T>
struct Page {
  std::vector<T> items;
  std::int64_t total;
};

struct ProductChange {
  Annotated<Patch<std::string>, not_null{}, min_length{1}> name;
  Patch<Category> category;
};

struct Order {
  std::vector<Uuid> products;
  Annotated<std::variant<Card, Transfer>, discriminator{"kind"}> payment;
};

struct Search {
  Annotated<std::optional<std::string>, description{"A part of the name"}, example{"chair"}> q;
  std::vector<Colour> colour = {};
  Annotated<double, gt{0.0}, le{1.0}, multiple_of{0.25}> boost = 1.0;
  Annotated<int, ge{1}, le{100}> limit = 20;
};
struct Client {
  std::optional<std::string> user_agent;
  Annotated<std::optional<std::string>, deprecated{}> x_client_version;
};
struct Visit {
  std::optional<Uuid> visit;
};
struct Login {
  std::string user;
  Secret<> password;
};

struct Shopper {
  std::string name;
};
// The tokens of this sample may do everything.
Shopper shopper(Bearer bearer, SecurityScopes) { return {std::string(bearer.token)}; }
Shopper partner(ApiKey<In::header, "X-API-Key"> key) { return {std::string(key.value)}; }
Shopper visitor(std::optional<Credentials<"Session">> session) { return {session ? std::string(session->token) : ""}; }

void add_routes(App& app) {
  Router<"/products"> products{{.tags = {"products"}}};
  products.get<"/">([](Query<Search>, Header<Client>, Cookie<Visit>, Depends<visitor>) { return Page<Product>{}; },
                    {.description = "All of them, or those that *match*."});
  // sample: operation
  products.post<"/">([](Product in, Security<shopper, "products:write">) { return Created<Product>(std::move(in)); },
                     {.errors = {409}});
  // end of sample
  products.get<"/{id}">([](Path<"id", Uuid>) -> std::expected<Product, Problem> { return Product{}; },
                        {.errors = {404}});
  products.patch<"/{key}">(
      [](Path<"key", Uuid>, ProductChange, Security<shopper, "products:write">) { return Product{}; });
  products.del<"/{id}">([](Path<"id", Uuid>) {}, {.summary = "Delete a product", .deprecated = true});
  products.put<"/order">([](Body<std::vector<Uuid>> ids) { return static_cast<int>(ids.get().size()); });
  app.include(std::move(products));

  app.post<"/orders">([](Order) -> std::variant<Accepted<Order>, Redirect> { return Redirect{"/"}; });
  app.post<"/login">([](Form<Login>) { return NoContent{}; }, {.operation_id = "logIn"});
  app.get<"/files/{rest:path}">([](Path<"rest">) { return Content{"image/png", ""}; });
  app.get<"/stock">([](Depends<partner>) { return std::map<std::string, int>{}; });
  app.get<"/page">([] { return Html{}; });
  app.get<"/text">([] { return std::string("text"); });
  app.get<"/hidden">([] { return NoContent{}; }, {.hidden = true});
  app.get<"/">([] { return Redirect{"/products"}; });
}

}  // namespace sample

int main(int argc, char** argv) {
  // sample: info
  App app{{.title = "Shop",
           .version = "3.2.1",
           .summary = "Furniture, and what goes with it",
           .description = "With *Markdown*.",
           .servers = {{"https://api.example.com/v1", "Production"}},
           .tags = {{"products", "What there is to buy"}},
           .license_name = "Apache 2.0",
           .license_url = "https://www.apache.org/licenses/LICENSE-2.0"}};
  // end of sample
  // sample: scheme
  app.security_scheme("Bearer", {.description = "A token of POST /token",
                                 .password = OAuthFlow{.token_url = "/token",
                                                       .scopes = {{"products:write", "Add and change products"}}}});
  // end of sample
  sample::add_routes(app);
  return run(app, argc, argv);
}
