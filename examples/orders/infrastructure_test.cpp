// The ports on PostgreSQL: aggregates, versions, events and what follows from them.
#include "orders_test.hpp"

namespace orders {
namespace {

using ashlar::Task;
using domain::Order;
using domain::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class InPostgres : public OrdersTest {};

TEST_F(InPostgres, AnOrderComesBackAsItWasStored) {
  const auto id = run(service.open("ann")).id();
  run(service.set_line(id, "brick", 3));
  run(service.set_line(id, "trowel", 1));
  run(service.set_line(id, "brick", 2));
  const Order order = run(service.get(id));
  EXPECT_EQ(order.version(), 4);
  EXPECT_THAT(order.lines(),
              ElementsAre(domain::Line{"brick", 2, {200, "EUR"}}, domain::Line{"trowel", 1, {1500, "EUR"}}));
  run(service.remove_line(id, "brick"));
  EXPECT_EQ(run(service.get(id)).lines().size(), 1U);
}

TEST_F(InPostgres, OfTwoWhoReadTheSameVersionOneIsRefused) {
  const auto id = run(service.open("ann")).id();
  const auto store_twice = [&](application::Version version) -> Task<void> {
    std::optional<Order> read;
    co_await work.run([&](application::Work in) -> Task<void> { read = co_await in.orders.get(id); });
    co_await work.run([&](application::Work in) -> Task<void> { (void)co_await in.orders.store(*read); });
    co_await work.run([&](application::Work in) -> Task<void> { (void)co_await in.orders.store(*read, version); });
  };
  const auto kind = [&](application::Version version) {
    try {
      run(store_twice(version));
    } catch (const ashlar::pg::StaleVersion& stale) {
      return stale.kind();
    }
    return ashlar::ErrorKind::internal;
  };
  EXPECT_EQ(kind(application::Version::as_read), ashlar::ErrorKind::conflict);
  EXPECT_EQ(kind(application::Version::as_named), ashlar::ErrorKind::precondition_failed);
}

TEST_F(InPostgres, AUnitOfWorkThatFailsLeavesNothing) {
  const auto id = domain::OrderId::v7();
  EXPECT_THROW(run(work.run([&](application::Work in) -> Task<void> {
                 Order order = Order::open(id, "ann");
                 order.set_line("brick", 1, {200, "EUR"});
                 order.place({0, "EUR"});
                 (void)co_await in.orders.store(std::move(order));
                 co_await in.mail.send("ann", "hello");
                 throw ashlar::Invalid("no");
               })),
               ashlar::Invalid);
  EXPECT_THROW(run(service.get(id)), ashlar::NotFound);
  EXPECT_THAT(mails("ann"), IsEmpty());
  EXPECT_EQ(run(outbox.state()).waiting, 0);
}

TEST_F(InPostgres, ManyOrdersAreReadByTwoStatements) {
  for (int i = 0; i < 5; ++i) run(service.set_line(run(service.open("bob")).id(), "brick", i + 1));
  run(service.open("bob"));
  const auto before = run([](ashlar::pg::Db& of) -> Task<std::uint64_t> { co_return of.stats().queries; }(db));
  std::vector<Order> read;
  run(work.run([&](application::Work in) -> Task<void> { read = co_await in.orders.of("bob", 100); }));
  const auto after = run([](ashlar::pg::Db& of) -> Task<std::uint64_t> { co_return of.stats().queries; }(db));
  ASSERT_EQ(read.size(), 6U);
  EXPECT_THAT(read[0].lines(), IsEmpty());
  EXPECT_EQ(read[1].lines().at(0).quantity, 5) << "the newest first";
  EXPECT_LE(after - before, 4U) << "begin, orders, lines, commit";
}

TEST_F(InPostgres, WhatFollowsFromAnOrderIsDoneOnceAfterIt) {
  const auto id = placed(3);
  EXPECT_EQ(stock("brick"), 5) << "not in the transaction of the order";
  EXPECT_EQ(run(outbox.deliver()), 1U);
  EXPECT_EQ(stock("brick"), 2);
  EXPECT_EQ(run(service.get(id)).state(), State::confirmed);
  EXPECT_THAT(mails("ann"), ElementsAre(HasSubstr("on its way")));
  EXPECT_EQ(run(outbox.deliver()), 0U);
}

TEST_F(InPostgres, AnOrderThatIsOutOfStockIsCancelledAndSaysSo) {
  const auto id = run(service.open("ann")).id();
  run(service.set_line(id, "brick", 5));
  run(service.set_line(id, "trowel", 2));  // one is there
  run(service.place(id));
  EXPECT_EQ(run(outbox.deliver()), 2U) << "placed, and the cancellation that follows";
  EXPECT_EQ(run(service.get(id)).state(), State::cancelled);
  EXPECT_EQ(stock("brick"), 5) << "all or nothing";
  EXPECT_THAT(mails("ann"), ElementsAre(HasSubstr("out of stock")));
}

TEST_F(InPostgres, ACancelledOrderGivesBackWhatItHadTaken) {
  const auto id = placed(3);
  run(outbox.deliver());
  run(service.cancel(id, "changed my mind"));
  run(outbox.deliver());
  EXPECT_EQ(stock("brick"), 5);
  EXPECT_THAT(mails("ann"), ElementsAre(HasSubstr("on its way"), HasSubstr("changed my mind")));
}

TEST_F(InPostgres, ACancellationBeforeTheReactionLeavesTheStock) {
  const auto id = placed(3);
  run(service.cancel(id, "at once"));
  EXPECT_EQ(run(outbox.deliver()), 2U);
  EXPECT_EQ(stock("brick"), 5);
  EXPECT_THAT(mails("ann"), ElementsAre(HasSubstr("at once")));
}

}  // namespace
}  // namespace orders
