// The ports on PostgreSQL: a unit of work is a transaction, and events go into the outbox of the same transaction.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/outbox.hpp>

#include "application/ports.hpp"

namespace orders::infrastructure {

using application::Task;
using application::Version;
using application::Work;

class OrdersInPostgres final : public application::Orders {
 public:
  OrdersInPostgres(ashlar::pg::Tx& tx, ashlar::pg::Outbox& outbox) noexcept : tx_(tx), outbox_(outbox) {}
  Task<domain::Order> get(domain::OrderId id) override;
  Task<std::vector<domain::Order>> of(std::string customer, int limit) override;
  Task<domain::Order> store(domain::Order order, Version version) override;

 private:
  ashlar::pg::Tx& tx_;
  ashlar::pg::Outbox& outbox_;
};

class ProductsInPostgres final : public application::Products {
 public:
  explicit ProductsInPostgres(ashlar::pg::Tx& tx) noexcept : tx_(tx) {}
  Task<domain::Money> price(std::string sku) override;
  Task<bool> take(std::vector<domain::OrderedItem> items) override;
  Task<void> put_back(std::vector<domain::OrderedItem> items) override;

 private:
  ashlar::pg::Tx& tx_;
};

class MailInPostgres final : public application::Mail {
 public:
  explicit MailInPostgres(ashlar::pg::Tx& tx) noexcept : tx_(tx) {}
  Task<void> send(std::string to, std::string text) override;

 private:
  ashlar::pg::Tx& tx_;
};

class WorkInPostgres final : public application::UnitOfWork {
 public:
  WorkInPostgres(ashlar::pg::Db& db, ashlar::pg::Outbox& outbox) noexcept : db_(db), outbox_(outbox) {}
  Task<void> run(std::function<Task<void>(Work work)> body) override;

 private:
  ashlar::pg::Db& db_;
  ashlar::pg::Outbox& outbox_;
};

/// Has the outbox hand events to the reactions, each in the transaction of the relay: what a reaction does is there
/// once.
void add_reactions(ashlar::pg::Outbox& outbox);

}  // namespace orders::infrastructure
