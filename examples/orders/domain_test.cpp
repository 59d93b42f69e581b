// The rules, without a database and without a server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "domain/order.hpp"
#include "domain/pricing.hpp"

namespace orders::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Money euros(std::int64_t amount) { return {amount * 100, "EUR"}; }
Order an_order() {
  Order order = Order::open(OrderId::v7(), "ann");
  order.set_line("brick", 3, euros(2));
  return order;
}
Order placed() {
  Order order = an_order();
  order.place(euros(0));
  (void)order.take_events();
  return order;
}

TEST(Money, IsExactAndOfOneCurrency) {
  EXPECT_EQ(euros(2).plus(euros(3)), euros(5));
  EXPECT_EQ(euros(2).times(3), euros(6));
  EXPECT_EQ(Money(199, "EUR").percent(5), Money(9, "EUR"));
  EXPECT_THROW((void)euros(2).plus({1, "USD"}), ashlar::Invalid);
  EXPECT_THROW(Money(1, "euro"), ashlar::Invalid);
  EXPECT_THROW((void)Money(std::numeric_limits<std::int64_t>::max(), "EUR").times(2), ashlar::Invalid);
}

TEST(Order, SumsItsLines) {
  Order order = an_order();
  order.set_line("trowel", 1, euros(15));
  EXPECT_EQ(order.sum(), euros(21));
  order.set_line("brick", 1, euros(2));
  EXPECT_EQ(order.sum(), euros(17)) << "instead of what it had";
  order.remove_line("trowel");
  EXPECT_EQ(order.sum(), euros(2));
  EXPECT_THROW(order.remove_line("trowel"), ashlar::NotFound);
}

TEST(Order, RefusesLinesThatMakeNoSense) {
  Order order = an_order();
  EXPECT_THROW(order.set_line("x", 0, euros(1)), ashlar::Invalid);
  EXPECT_THROW(order.set_line("x", 1001, euros(1)), ashlar::Invalid);
  EXPECT_THROW(order.set_line("x", 1, euros(-1)), ashlar::Invalid);
  EXPECT_THROW(order.set_line("x", 1, {1, "USD"}), ashlar::Invalid);
  for (int i = 1; i < 50; ++i) order.set_line(std::to_string(i), 1, euros(1));
  EXPECT_THROW(order.set_line("one more", 1, euros(1)), ashlar::Invalid);
  EXPECT_EQ(order.lines().size(), 50U);
}

TEST(Order, TellsThatItWasPlaced) {
  Order order = an_order();
  order.place(euros(1));
  EXPECT_EQ(order.state(), State::placed);
  EXPECT_EQ(order.total(), euros(5));
  const std::vector<Event> events = order.take_events();
  ASSERT_EQ(events.size(), 1U);
  const auto& event = std::get<OrderPlaced>(events[0]);
  EXPECT_EQ(event.order, order.id());
  EXPECT_EQ(event.total_cents, 500);
  EXPECT_EQ(event.items.at(0).sku, "brick");
  EXPECT_EQ(event.items.at(0).quantity, 3);
  EXPECT_THAT(order.take_events(), IsEmpty());
}

TEST(Order, IsPlacedOnceAndNotEmpty) {
  Order empty = Order::open(OrderId::v7(), "ann");
  EXPECT_THROW(empty.place(euros(0)), ashlar::Invalid);
  Order order = placed();
  EXPECT_THROW(order.place(euros(0)), NotAllowed);
  EXPECT_THROW(order.set_line("brick", 1, euros(1)), NotAllowed);
  EXPECT_THROW(order.remove_line("brick"), NotAllowed);
  EXPECT_THROW(an_order().place(euros(7)), ashlar::Invalid) << "a discount above the sum";
}

TEST(Order, GivesBackWhatWasTakenWhenItIsCancelled) {
  Order order = placed();
  order.confirm();
  order.cancel("changed my mind");
  const std::vector<Event> events = order.take_events();
  const auto& event = std::get<OrderCancelled>(events.at(0));
  EXPECT_EQ(event.reason, "changed my mind");
  EXPECT_EQ(event.taken.size(), 1U);
  EXPECT_THROW(order.cancel("again"), NotAllowed);

  Order early = placed();
  early.cancel("at once");
  EXPECT_THAT(std::get<OrderCancelled>(early.take_events().at(0)).taken, IsEmpty());
  EXPECT_THROW(early.confirm(), NotAllowed);
  EXPECT_THROW(placed().cancel(""), ashlar::Invalid);
}

TEST(Order, ComesBackAsItWasStored) {
  const Order order = placed();
  const Order back = Order::restore(order.memento());
  EXPECT_EQ(back.state(), State::placed);
  EXPECT_THAT(back.lines(), ElementsAre(Line{"brick", 3, euros(2)}));
  EXPECT_EQ(back.total(), order.total());
}

TEST(Pricing, TakesSomethingOffFromTenPiecesOn) {
  Order order = an_order();
  EXPECT_EQ(Pricing().discount(order), euros(0));
  order.set_line("brick", 10, euros(2));
  EXPECT_EQ(Pricing().discount(order), euros(1));
  EXPECT_EQ(Pricing({.pieces = 1, .percent = 50}).discount(order), euros(10));
  EXPECT_THROW(Pricing({.pieces = 1, .percent = 101}), ashlar::Invalid);
}

}  // namespace
}  // namespace orders::domain
