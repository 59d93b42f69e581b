#include "application/reactions.hpp"

#include <utility>

namespace orders::application {

Task<void> when_placed(Work work, domain::OrderPlaced event) {
  domain::Order order = co_await work.orders.get(event.order);
  if (order.state() != domain::State::placed) co_return;  // cancelled in the meantime
  if (co_await work.products.take(event.items)) {
    order.confirm();
    co_await work.mail.send(event.customer, "Your order " + event.order.to_string() + " is on its way.");
  } else {
    order.cancel("out of stock");
  }
  (void)co_await work.orders.store(std::move(order));
}

Task<void> when_cancelled(Work work, domain::OrderCancelled event) {
  co_await work.products.put_back(event.taken);
  co_await work.mail.send(event.customer, "Your order " + event.order.to_string() + " is cancelled: " + event.reason);
}

}  // namespace orders::application
