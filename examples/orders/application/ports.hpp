// What the use cases need of the world. The infrastructure implements it; tests do it in memory.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/async/task.hpp>

#include "domain/order.hpp"

namespace orders::application {

using ashlar::Task;

/// Whether a client named the version that it wants to change (If-Match), or the use case has just read it: 412 or 409
/// when another one was faster.
enum class Version : std::uint8_t { as_read, as_named };

/// All orders, as if they were in memory.
class Orders {
 public:
  virtual ~Orders() = default;
  /// Throws ashlar::NotFound.
  virtual Task<domain::Order> get(domain::OrderId id) = 0;
  /// The newest of a customer.
  virtual Task<std::vector<domain::Order>> of(std::string customer, int limit) = 0;
  /// Stores an order with its lines, and its events, together. Gives it as it is stored, with its new version. Throws
  /// an error of kind conflict, or precondition_failed, when somebody else stored it after it was read.
  virtual Task<domain::Order> store(domain::Order order, Version version = Version::as_read) = 0;
};

class Products {
 public:
  virtual ~Products() = default;
  /// Throws ashlar::NotFound.
  virtual Task<domain::Money> price(std::string sku) = 0;
  /// Takes them from the stock; false, and takes nothing, when there are not enough of each.
  virtual Task<bool> take(std::vector<domain::OrderedItem> items) = 0;
  virtual Task<void> put_back(std::vector<domain::OrderedItem> items) = 0;
};

class Mail {
 public:
  virtual ~Mail() = default;
  /// Sent when the work is done, and not when it fails.
  virtual Task<void> send(std::string to, std::string text) = 0;
};

/// One unit of work: what is done through it is done as a whole, or not at all.
struct Work {
  Orders& orders;
  Products& products;
  Mail& mail;
};

class UnitOfWork {
 public:
  virtual ~UnitOfWork() = default;
  /// Runs the body, perhaps more than once: it has no effects but through Work.
  virtual Task<void> run(std::function<Task<void>(Work work)> body) = 0;
};

}  // namespace orders::application
