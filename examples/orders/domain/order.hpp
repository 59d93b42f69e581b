// Order: the root of an aggregate. An order and its lines are read, changed and stored together, and all rules about
// them are here; whoever holds an Order holds one that keeps them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/base/uuid.hpp>

#include "domain/events.hpp"
#include "domain/money.hpp"

namespace orders::domain {

using OrderId = ashlar::Uuid;

enum class State : std::uint8_t { open, placed, confirmed, cancelled };

struct Line {
  std::string sku;
  std::int32_t quantity;
  Money price;  ///< of one, when it was put in

  [[nodiscard]] Money total() const { return price.times(quantity); }
  bool operator==(const Line&) const = default;
};

/// The state of the order does not allow it.
class NotAllowed : public ashlar::Conflict {
 public:
  using Conflict::Conflict;
};

class Order {
 public:
  static constexpr std::size_t kMostLines = 50;
  static constexpr std::int32_t kMostOfOne = 1000;

  /// A new one, open and empty. Throws ashlar::Invalid.
  [[nodiscard]] static Order open(OrderId id, std::string customer);

  /// What is stored of it, whoever stores it.
  struct Memento {
    OrderId id;
    std::string customer;
    State state;
    std::int64_t discount_cents;
    std::vector<Line> lines;
    std::int64_t version;
  };
  [[nodiscard]] static Order restore(Memento stored) { return Order(std::move(stored)); }
  [[nodiscard]] const Memento& memento() const noexcept { return stored_; }

  /// So many of a product, instead of what the order had of it. Throws NotAllowed, ashlar::Invalid.
  void set_line(std::string sku, std::int32_t quantity, const Money& price);
  /// Throws NotAllowed, ashlar::NotFound.
  void remove_line(const std::string& sku);
  /// The customer buys. The discount is what Pricing says. Throws NotAllowed, ashlar::Invalid.
  void place(const Money& discount);
  /// The stock has been taken for it. Throws NotAllowed.
  void confirm();
  /// Throws NotAllowed, ashlar::Invalid.
  void cancel(std::string reason);

  [[nodiscard]] OrderId id() const noexcept { return stored_.id; }
  [[nodiscard]] State state() const noexcept { return stored_.state; }
  [[nodiscard]] const std::vector<Line>& lines() const noexcept { return stored_.lines; }
  /// Counts what was stored of it; 0: nothing yet.
  [[nodiscard]] std::int64_t version() const noexcept { return stored_.version; }
  /// Of all lines. An empty order has no currency, so no sum: throws ashlar::Invalid.
  [[nodiscard]] Money sum() const;
  /// The sum without the discount.
  [[nodiscard]] Money total() const;

  /// What has happened since it was read; whoever stores the order stores these with it.
  [[nodiscard]] std::vector<Event> take_events() noexcept { return std::exchange(events_, {}); }

 private:
  explicit Order(Memento stored) : stored_(std::move(stored)) {}
  void require(State state, const char* what) const;
  [[nodiscard]] std::vector<OrderedItem> items() const;

  Memento stored_;
  std::vector<Event> events_;
};

}  // namespace orders::domain
