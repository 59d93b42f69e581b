#include "application/order_service.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>

namespace orders::application {

using domain::Order;
using domain::OrderId;

Task<Order> OrderService::open(std::string customer) {
  std::optional<Order> out;
  co_await work_.run(
      [&](Work work) -> Task<void> { out = co_await work.orders.store(Order::open(OrderId::v7(), customer)); });
  co_return std::move(*out);
}

Task<Order> OrderService::get(OrderId id) {
  std::optional<Order> out;
  co_await work_.run([&](Work work) -> Task<void> { out = co_await work.orders.get(id); });
  co_return std::move(*out);
}

Task<std::vector<Order>> OrderService::of(std::string customer, int limit) {
  std::vector<Order> out;
  co_await work_.run([&](Work work) -> Task<void> { out = co_await work.orders.of(customer, limit); });
  co_return out;
}

// sample: change
Task<Order> OrderService::change(OrderId id, Seen seen, Change change) {
  std::optional<Order> out;
  co_await work_.run([&](Work work) -> Task<void> {
    Order order = co_await work.orders.get(id);
    if (seen && *seen != order.version())
      throw ashlar::PreconditionFailed("this order has changed since you read it: read it again");
    co_await change(work, order);
    out = co_await work.orders.store(std::move(order), seen ? Version::as_named : Version::as_read);
  });
  co_return std::move(*out);
}
// end of sample

Task<Order> OrderService::set_line(OrderId id, std::string sku, std::int32_t quantity, Seen seen) {
  return change(id, seen, [sku = std::move(sku), quantity](Work& work, Order& order) -> Task<void> {
    const domain::Money price = co_await work.products.price(sku);
    order.set_line(sku, quantity, price);
  });
}

Task<Order> OrderService::remove_line(OrderId id, std::string sku, Seen seen) {
  return change(id, seen, [sku = std::move(sku)](Work&, Order& order) -> Task<void> {
    order.remove_line(sku);
    co_return;
  });
}

Task<Order> OrderService::place(OrderId id, Seen seen) {
  return change(id, seen, [this](Work&, Order& order) -> Task<void> {
    if (order.lines().empty()) throw ashlar::Invalid("an order without lines cannot be placed");
    order.place(pricing_.discount(order));
    co_return;
  });
}

Task<Order> OrderService::cancel(OrderId id, std::string reason, Seen seen) {
  return change(id, seen, [reason = std::move(reason)](Work&, Order& order) -> Task<void> {
    order.cancel(reason);
    co_return;
  });
}

}  // namespace orders::application
