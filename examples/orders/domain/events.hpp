// What has happened to orders: facts that other parts of the business are told of. They are stored and sent, so their
// members only grow.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <ashlar/base/uuid.hpp>

namespace orders::domain {

struct OrderedItem {
  std::string sku;
  std::int32_t quantity;
};

struct OrderPlaced {
  ashlar::Uuid order;
  std::string customer;
  std::vector<OrderedItem> items;
  std::int64_t total_cents;
  std::string currency;
};
struct OrderCancelled {
  ashlar::Uuid order;
  std::string customer;
  std::string reason;
  std::vector<OrderedItem> taken;  ///< from the stock
};

using Event = std::variant<OrderPlaced, OrderCancelled>;

}  // namespace orders::domain
