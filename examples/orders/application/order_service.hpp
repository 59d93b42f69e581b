// The use cases of orders: what a user can do, each a unit of work. They ask the domain and keep no rules themselves.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "application/ports.hpp"
#include "domain/pricing.hpp"

namespace orders::application {

class OrderService {
 public:
  explicit OrderService(UnitOfWork& work, domain::Pricing pricing = domain::Pricing{})
      : work_(work), pricing_(pricing) {}

  /// The version that a client has seen, when it said which: changed since, it is PreconditionFailed.
  using Seen = std::optional<std::int64_t>;

  Task<domain::Order> open(std::string customer);
  Task<domain::Order> get(domain::OrderId id);
  Task<std::vector<domain::Order>> of(std::string customer, int limit);
  Task<domain::Order> set_line(domain::OrderId id, std::string sku, std::int32_t quantity, Seen seen = {});
  Task<domain::Order> remove_line(domain::OrderId id, std::string sku, Seen seen = {});
  Task<domain::Order> place(domain::OrderId id, Seen seen = {});
  Task<domain::Order> cancel(domain::OrderId id, std::string reason, Seen seen = {});

 private:
  using Change = std::function<Task<void>(Work& work, domain::Order& order)>;
  Task<domain::Order> change(domain::OrderId id, Seen seen, Change change);

  UnitOfWork& work_;
  domain::Pricing pricing_;
};

}  // namespace orders::application
