// What the shop takes and gives, and what it has.
#pragma once

#include <algorithm>
#include <expected>
#include <map>
#include <mutex>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/ashlar.hpp>

namespace shop {

using namespace ashlar;

// ---- what goes over the wire

enum class Colour { red, green, blue };

struct Money {
  Annotated<Decimal, ge{0}, example{"12.50"}> amount;
  Annotated<std::string, pattern{"^[A-Z]{3}$"}> currency = "EUR";
};
struct Category {
  Annotated<std::string, title{"Its name"}> name;
  std::vector<Category> children = {};
};
struct Product {
  Annotated<Uuid, read_only{}> id = {};
  Annotated<std::string, min_length{1}, max_length{200}, description{"Shown in lists"}, example{"Chair", "Table"}> name;
  Colour colour = Colour::red;
  Money price;
  Annotated<int, ge{0}, le{1'000'000}> stock = 1;
  std::optional<Category> category;
  std::map<std::string, std::string> labels = {};
  std::tuple<int, int> size = {1, 1};
  Annotated<std::vector<std::string>, max_items{5}, unique_items{}> tags = {};
  Annotated<std::optional<DateTime>, deprecated{}> sold_out_at;
  Annotated<Json, defaulted{}> extra;
  static constexpr SchemaOptions schema{
      .naming = Naming::camel_case, .extra = Extra::forbid, .description = "Something to buy"};
};
struct ProductChange {
  Annotated<Patch<std::string>, not_null{}, min_length{1}, max_length{200}> name;
  Patch<Category> category;
};
template <class T>
struct Page {
  std::vector<T> items;
  std::int64_t total = 0;
};

struct Search {
  Annotated<std::optional<std::string>, description{"A part of the name"}, example{"chair"}> q;
  std::vector<Colour> colour = {};
  Annotated<int, ge{1}, le{100}> limit = 20;
  Annotated<std::optional<int>, deprecated{}, description{"Use `limit`"}, ge{1}, le{100}> size;
};
struct Browser {
  std::optional<std::string> user_agent;
};
struct Visit {
  std::optional<Uuid> visit;
};

struct Card {
  Literal<"card"> kind;
  Annotated<std::string, write_only{}, pattern{"^[0-9]{12,19}$"}, example{"4111111111111111"}> number;
};
struct Transfer {
  Literal<"transfer"> kind;
  Annotated<std::string, min_length{15}, max_length{34}> iban;
};
struct Order {
  Annotated<std::vector<Uuid>, min_items{1}, max_items{20}> products;
  Annotated<std::variant<Card, Transfer>, discriminator{"kind"}> payment;
  Annotated<std::optional<Url>, schemes{"http", "https"}, description{"Told when it is delivered"}> notify;
};
struct Receipt {
  Uuid order;
  DateTime at = DateTime::now();
};
struct Delivery {
  Uuid order;
  int parcels = 1;
};
struct StockLow {
  Uuid product;
  int left;
};

struct Login {  // RFC 6749, 4.3
  Literal<"password"> grant_type;
  std::string username;
  Secret<> password;
  Annotated<std::string, defaulted{}> scope;
};
struct Token {
  std::string access_token;
  std::string token_type = "Bearer";
  std::int64_t expires_in;
};
struct Picture {
  Annotated<UploadedFile, max_length{1'000'000}> image;
  Annotated<std::string, max_length{100}, defaulted{}> caption;
};
struct Stored {
  std::uint64_t bytes;
};
struct Message {
  Annotated<std::string, max_length{500}> text;
};

// ---- what there is

struct Settings {
  std::optional<std::string> stock_webhook;  // who hears of what runs out
  std::optional<Secret<>> stock_token;
  bool private_addresses = false;  // may strangers name addresses within our network?
};

class Shelf {  // of all loops together
 public:
  Page<Product> find(const Search& search) {
    const std::lock_guard lock(mutex_);
    Page<Product> page;
    for (const Product& one : products_ | std::views::values) {
      const bool named = !search.q || one.name.find(*search.q) != std::string::npos;
      const bool coloured = search.colour.empty() || std::ranges::count(search.colour, one.colour) != 0;
      if (named && coloured && page.total++ < search.size.value_or(search.limit)) page.items.push_back(one);
    }
    return page;
  }
  std::expected<Product, Problem> get(Uuid id) {
    const std::lock_guard lock(mutex_);
    const auto at = products_.find(id);
    if (at == products_.end()) return std::unexpected(Problem{.status = 404, .detail = "there is no such product"});
    return at->second;
  }
  Product put(Product product) {
    const std::lock_guard lock(mutex_);
    if (!products_.contains(product.id) && products_.size() == 10'000) throw Unavailable("the shelf is full");
    return products_[product.id] = std::move(product);
  }
  void remove(Uuid id) {
    const std::lock_guard lock(mutex_);
    if (products_.erase(id) == 0) throw NotFound("there is no such product");
  }
  // Takes one of each, or none; gives those that are about to run out.
  std::vector<StockLow> take(const std::vector<Uuid>& ids) {
    const std::lock_guard lock(mutex_);
    std::map<Uuid, int> wanted;
    for (const Uuid& id : ids) ++wanted[id];
    for (const auto& [id, count] : wanted) {
      const auto at = products_.find(id);
      if (at == products_.end() || at->second.stock < count) throw Conflict("not on the shelf: " + id.to_string());
    }
    std::vector<StockLow> low;
    for (const auto& [id, count] : wanted) {
      const int left = products_[id].stock = products_[id].stock - count;
      if (left < 2) low.push_back({id, left});
    }
    return low;
  }

 private:
  std::mutex mutex_;
  std::map<Uuid, Product> products_;
};

}  // namespace shop
