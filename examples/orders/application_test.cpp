// The use cases, on ports in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/runtime.hpp>

#include "application/order_service.hpp"
#include "application/reactions.hpp"

namespace orders::application {
namespace {

using domain::Order;
using domain::OrderId;
using domain::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Memory final : public UnitOfWork, public Orders, public Products, public Mail {
 public:
  Task<void> run(std::function<Task<void>(Work)> body) override { co_await body(work()); }
  Work work() { return {*this, *this, *this}; }

  Task<Order> get(OrderId id) override {
    const auto at = stored.find(id);
    if (at == stored.end()) throw ashlar::NotFound("no order");
    co_return Order::restore(at->second);
  }
  Task<std::vector<Order>> of(std::string customer, int limit) override {
    std::vector<Order> out;
    for (const auto& [id, order] : stored) {
      if (order.customer == customer && out.size() < static_cast<std::size_t>(limit))
        out.push_back(Order::restore(order));
    }
    co_return out;
  }
  Task<Order> store(Order order, Version version) override {
    last_version = version;
    Order::Memento memento = order.memento();
    ++memento.version;
    stored.insert_or_assign(order.id(), memento);
    for (auto& event : order.take_events()) events.push_back(std::move(event));
    co_return Order::restore(std::move(memento));
  }
  Task<domain::Money> price(std::string sku) override {
    if (sku != "brick") throw ashlar::NotFound("there is no product " + sku);
    co_return domain::Money(100, "EUR");
  }
  Task<bool> take(std::vector<domain::OrderedItem> items) override {
    if (stock < items.at(0).quantity) co_return false;
    stock -= items.at(0).quantity;
    co_return true;
  }
  Task<void> put_back(std::vector<domain::OrderedItem> items) override {
    for (const auto& item : items) stock += item.quantity;
    co_return;
  }
  Task<void> send(std::string to, std::string text) override {
    mails.push_back(to + ": " + text);
    co_return;
  }

  std::map<OrderId, Order::Memento> stored;
  std::vector<domain::Event> events;
  std::vector<std::string> mails;
  std::optional<Version> last_version;
  int stock = 5;
};

class UseCases : public ::testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return ashlar::async::run(std::move(task));
  }
  OrderId placed(int quantity) {
    const OrderId id = run(service.open("ann")).id();
    run(service.set_line(id, "brick", quantity));
    run(service.place(id));
    return id;
  }
  domain::OrderPlaced last_placed() { return std::get<domain::OrderPlaced>(memory.events.back()); }

  Memory memory;
  OrderService service{memory};
};

TEST_F(UseCases, AnOrderIsOpenedFilledAndPlaced) {
  const Order open = run(service.open("ann"));
  EXPECT_EQ(open.version(), 1);
  const Order filled = run(service.set_line(open.id(), "brick", 10));
  EXPECT_EQ(filled.sum().cents(), 1000);
  const Order order = run(service.place(open.id()));
  EXPECT_EQ(order.state(), State::placed);
  EXPECT_EQ(order.total().cents(), 950) << "the discount of the domain";
  EXPECT_EQ(memory.events.size(), 1U);
  EXPECT_EQ(run(service.of("ann", 10)).size(), 1U);
}

TEST_F(UseCases, RefusesWhatTheWorldDoesNotHave) {
  EXPECT_THROW(run(service.get(OrderId::v7())), ashlar::NotFound);
  const OrderId id = run(service.open("ann")).id();
  EXPECT_THROW(run(service.set_line(id, "gold", 1)), ashlar::NotFound);
  EXPECT_THROW(run(service.place(id)), ashlar::Invalid);
  EXPECT_EQ(memory.stored.at(id).version, 1) << "nothing was stored";
}

TEST_F(UseCases, AVersionThatIsNotTheLastIsRefused) {
  const Order open = run(service.open("ann"));
  run(service.set_line(open.id(), "brick", 1));
  EXPECT_THROW(run(service.set_line(open.id(), "brick", 2, open.version())), ashlar::PreconditionFailed);
  EXPECT_EQ(run(service.get(open.id())).lines().at(0).quantity, 1);
  run(service.set_line(open.id(), "brick", 2, 2));
  EXPECT_EQ(memory.last_version, Version::as_named);
  run(service.remove_line(open.id(), "brick"));
  EXPECT_EQ(memory.last_version, Version::as_read);
}

TEST_F(UseCases, APlacedOrderIsConfirmedFromTheStock) {
  const OrderId id = placed(3);
  run(when_placed(memory.work(), last_placed()));
  EXPECT_EQ(memory.stored.at(id).state, State::confirmed);
  EXPECT_EQ(memory.stock, 2);
  EXPECT_THAT(memory.mails, ElementsAre(HasSubstr("on its way")));
}

TEST_F(UseCases, AnOrderThatCannotBeServedIsCancelled) {
  const OrderId id = placed(9);
  run(when_placed(memory.work(), last_placed()));
  EXPECT_EQ(memory.stored.at(id).state, State::cancelled);
  EXPECT_EQ(memory.stock, 5);
  const auto event = std::get<domain::OrderCancelled>(memory.events.back());
  EXPECT_EQ(event.reason, "out of stock");
  run(when_cancelled(memory.work(), event));
  EXPECT_EQ(memory.stock, 5) << "nothing had been taken";
  EXPECT_THAT(memory.mails, ElementsAre(HasSubstr("out of stock")));
}

TEST_F(UseCases, AnOrderThatWasCancelledBeforeIsNotConfirmed) {
  const OrderId id = placed(3);
  const auto event = last_placed();
  run(service.cancel(id, "changed my mind"));
  run(when_placed(memory.work(), event));
  EXPECT_EQ(memory.stored.at(id).state, State::cancelled);
  EXPECT_EQ(memory.stock, 5);
  EXPECT_THAT(memory.mails, IsEmpty());
}

TEST_F(UseCases, WhatACancelledOrderHadTakenGoesBack) {
  const OrderId id = placed(3);
  run(when_placed(memory.work(), last_placed()));
  run(service.cancel(id, "changed my mind"));
  run(when_cancelled(memory.work(), std::get<domain::OrderCancelled>(memory.events.back())));
  EXPECT_EQ(memory.stock, 5);
}

}  // namespace
}  // namespace orders::application
