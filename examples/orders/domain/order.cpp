#include "domain/order.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orders::domain {
namespace {

std::string_view name_of(State state) {
  switch (state) {
    case State::open:
      return "open";
    case State::placed:
      return "placed";
    case State::confirmed:
      return "confirmed";
    case State::cancelled:
      return "cancelled";
  }
  return {};
}

}  // namespace

Order Order::open(OrderId id, std::string customer) {
  if (customer.empty() || customer.size() > 200) throw ashlar::Invalid("a customer has a name of 1 to 200 characters");
  return Order({.id = id,
                .customer = std::move(customer),
                .state = State::open,
                .discount_cents = 0,
                .lines = {},
                .version = 0});
}

void Order::require(State state, const char* what) const {
  if (stored_.state == state) return;
  throw NotAllowed("this order is " + std::string(name_of(stored_.state)) + ": " + what);
}

void Order::set_line(std::string sku, std::int32_t quantity, const Money& price) {
  require(State::open, "its lines stay as they are");
  if (quantity < 1 || quantity > kMostOfOne)
    throw ashlar::Invalid("an order takes 1 to " + std::to_string(kMostOfOne) + " of a product");
  if (price.cents() < 0) throw ashlar::Invalid("a price is not below 0");
  const auto at = std::ranges::find(stored_.lines, sku, &Line::sku);
  const bool is_new = at == stored_.lines.end();
  if (is_new && stored_.lines.size() == kMostLines)
    throw ashlar::Invalid("an order has at most " + std::to_string(kMostLines) + " lines");
  for (const Line& other : stored_.lines) {
    if (other.sku != sku) (void)other.price.plus(price);  // throws: another currency
  }
  Line line{std::move(sku), quantity, price};
  if (is_new) {
    stored_.lines.push_back(std::move(line));
  } else {
    *at = std::move(line);
  }
}

void Order::remove_line(const std::string& sku) {
  require(State::open, "its lines stay as they are");
  if (std::erase_if(stored_.lines, [&](const Line& line) { return line.sku == sku; }) == 0)
    throw ashlar::NotFound("this order has no line of " + sku);
}

void Order::place(const Money& discount) {
  require(State::open, "it cannot be placed");
  if (stored_.lines.empty()) throw ashlar::Invalid("an order without lines cannot be placed");
  const Money left = sum().minus(discount);
  if (discount.cents() < 0 || left.cents() < 0) throw ashlar::Invalid("a discount is from 0 to the whole sum");
  stored_.discount_cents = discount.cents();
  stored_.state = State::placed;
  OrderPlaced event{.order = stored_.id,
                    .customer = stored_.customer,
                    .items = {},
                    .total_cents = left.cents(),
                    .currency = left.currency()};
  event.items = items();
  events_.emplace_back(std::move(event));
}

void Order::confirm() {
  require(State::placed, "it cannot be confirmed");
  stored_.state = State::confirmed;
}

void Order::cancel(std::string reason) {
  if (stored_.state == State::cancelled) throw NotAllowed("this order is cancelled already");
  if (reason.empty() || reason.size() > 1000) throw ashlar::Invalid("a reason has 1 to 1000 characters");
  // What was taken for it goes back.
  std::vector<OrderedItem> taken = stored_.state == State::confirmed ? items() : std::vector<OrderedItem>{};
  stored_.state = State::cancelled;
  events_.emplace_back(OrderCancelled{stored_.id, stored_.customer, std::move(reason), std::move(taken)});
}

std::vector<OrderedItem> Order::items() const {
  std::vector<OrderedItem> out;
  for (const Line& line : stored_.lines) out.push_back({line.sku, line.quantity});
  return out;
}

Money Order::sum() const {
  if (stored_.lines.empty()) throw ashlar::Invalid("an order without lines has no sum");
  Money sum = stored_.lines.front().total();
  for (std::size_t i = 1; i < stored_.lines.size(); ++i) sum = sum.plus(stored_.lines[i].total());
  return sum;
}

Money Order::total() const {
  const Money all = sum();
  return all.minus({stored_.discount_cents, all.currency()});
}

}  // namespace orders::domain
