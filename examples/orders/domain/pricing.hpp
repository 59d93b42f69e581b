// Pricing: rules that belong to no single order. A domain service: it has no state of its own.
#pragma once

#include <cstdint>

#include "domain/money.hpp"
#include "domain/order.hpp"

namespace orders::domain {

class Pricing {
 public:
  /// From so many pieces on, so many percent less.
  struct Rule {
    std::int32_t pieces = 10;
    int percent = 5;
  };
  Pricing() : Pricing(Rule{}) {}
  /// Throws ashlar::Invalid for a rule that makes no sense.
  explicit Pricing(Rule rule) : rule_(rule) {
    if (rule.pieces < 1 || rule.percent < 0 || rule.percent > 100)
      throw ashlar::Invalid("a discount is of 0 to 100 percent, from 1 piece on");
  }

  /// Of an order with lines.
  [[nodiscard]] Money discount(const Order& order) const {
    std::int64_t pieces = 0;
    for (const Line& line : order.lines()) pieces += line.quantity;
    return order.sum().percent(pieces >= rule_.pieces ? rule_.percent : 0);
  }

 private:
  Rule rule_;
};

}  // namespace orders::domain
