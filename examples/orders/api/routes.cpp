#include "api/routes.hpp"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/ashlar.hpp>

#include "application/order_service.hpp"

namespace orders::api {
namespace {

using namespace ashlar;
using application::OrderService;

struct LineView {
  std::string sku;
  std::int32_t quantity;
  std::int64_t price_cents, total_cents;
};
struct OrderView {
  Uuid id;
  std::string customer;
  domain::State state;
  std::vector<LineView> lines;
  std::optional<std::string> currency;  // of the lines
  std::int64_t total_cents;
};
struct NewOrder {
  Annotated<std::string, min_length{1}, max_length{200}> customer;
};
struct Quantity {
  Annotated<std::int32_t, ge{1}, le{1000}> quantity;
};
struct Cancellation {
  Annotated<std::string, min_length{1}, max_length{1000}> reason;
};
struct OfCustomer {
  std::string customer;
  Annotated<int, ge{1}, le{100}> limit = 20;
};

// sample: etag
struct Tag {
  std::string etag;
};
using TaggedOrder = With<OrderView, Tag>;

struct Precondition {
  std::optional<std::string> if_match;
};
struct Seen {
  OrderService::Seen version;
};

// The tag of an order is its version in quotes.
Seen seen_version(Header<Precondition> header) {
  if (!header.if_match || *header.if_match == "*") return {};
  const std::string_view tag = *header.if_match;
  if (tag.find(',') != std::string_view::npos) throw Invalid("If-Match takes one tag here");
  std::int64_t version = 0;
  const bool quoted = tag.size() > 2 && tag.front() == '"' && tag.back() == '"';
  const char* const end = tag.data() + tag.size() - 1;
  if (!quoted || std::from_chars(tag.data() + 1, end, version).ptr != end)
    throw PreconditionFailed("no version of this order has that tag");
  return {version};
}
// end of sample

OrderView view(const domain::Order& order) {
  OrderView out{.id = order.id(),
                .customer = order.memento().customer,
                .state = order.state(),
                .lines = {},
                .currency = {},
                .total_cents = 0};
  for (const domain::Line& line : order.lines())
    out.lines.push_back({line.sku, line.quantity, line.price.cents(), line.total().cents()});
  if (!order.lines().empty()) {
    const domain::Money total = order.total();
    out.currency = total.currency();
    out.total_cents = total.cents();
  }
  return out;
}
TaggedOrder tagged(const domain::Order& order) {
  return {view(order), {.etag = "\"" + std::to_string(order.version()) + "\""}};
}

using Id = Path<"id", Uuid>;
using Sku = Path<"sku">;

}  // namespace

void add_routes(App& app) {
  Router<"/orders"> api{{.tags = {"Orders"}}};

  api.post<"/">(
      [](NewOrder in, OrderService& orders) -> Task<With<Created<OrderView>, Tag>> {
        TaggedOrder made = tagged(co_await orders.open(std::move(in.customer)));
        std::string place = "/orders/" + made.value.id.to_string();
        co_return With<Created<OrderView>, Tag>{{std::move(made.value), std::move(place)}, std::get<0>(made.parts)};
      },
      {.summary = "Open an order"});

  api.get<"/">(
      [](Query<OfCustomer> of, OrderService& orders) -> Task<std::vector<OrderView>> {
        std::vector<OrderView> out;
        for (const domain::Order& order : co_await orders.of(of.customer, of.limit)) out.push_back(view(order));
        co_return out;
      },
      {.summary = "The newest orders of a customer"});

  api.get<"/{id}">([](Id id, OrderService& orders) -> Task<TaggedOrder> { co_return tagged(co_await orders.get(id)); },
                   {.summary = "Read an order", .errors = {404}});

  api.put<"/{id}/lines/{sku}">(
      [](Id id, Sku sku, Quantity in, Depends<seen_version> seen, OrderService& orders) -> Task<TaggedOrder> {
        co_return tagged(co_await orders.set_line(id, sku, in.quantity, seen->version));
      },
      {.summary = "Put so many of a product into an order", .errors = {404, 409, 412}});

  api.del<"/{id}/lines/{sku}">(
      [](Id id, Sku sku, Depends<seen_version> seen, OrderService& orders) -> Task<TaggedOrder> {
        co_return tagged(co_await orders.remove_line(id, sku, seen->version));
      },
      {.summary = "Take a product out of an order", .errors = {404, 409, 412}});

  api.post<"/{id}/place">(
      [](Id id, Depends<seen_version> seen, OrderService& orders) -> Task<TaggedOrder> {
        co_return tagged(co_await orders.place(id, seen->version));
      },
      {.summary = "Buy what is in an order", .errors = {404, 409, 412}});

  api.post<"/{id}/cancel">(
      [](Id id, Cancellation in, Depends<seen_version> seen, OrderService& orders) -> Task<TaggedOrder> {
        co_return tagged(co_await orders.cancel(id, std::move(in.reason), seen->version));
      },
      {.summary = "Cancel an order", .errors = {404, 409, 412}});
  app.include(std::move(api));
}

}  // namespace orders::api
