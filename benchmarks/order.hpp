// The body of POST /order, and what it is answered with. data/order.json is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/schema/schema.hpp>

namespace bench {

using namespace ashlar;  // NOLINT: an example of how users write

struct Customer {
  Annotated<std::string, min_length{1}, max_length{100}> name;
  Annotated<std::string, min_length{3}, max_length{254}> email;
  std::optional<std::string> phone = {};
};

struct Address {
  Annotated<std::string, min_length{1}, max_length{200}> street;
  Annotated<std::string, min_length{1}, max_length{100}> city;
  Annotated<std::string, min_length{2}, max_length{12}> postcode;
  Annotated<std::string, min_length{2}, max_length{2}> country;
};

struct Line {
  Annotated<std::string, min_length{3}, max_length{20}> sku;
  Annotated<std::string, min_length{1}, max_length{200}> title;
  Annotated<std::int32_t, ge{1}, le{10'000}> quantity;
  Annotated<double, ge{0}> price;
  std::vector<std::string> tags = {};
};

enum class Priority : std::uint8_t { economy, standard, express };

struct Order {
  Annotated<std::string, min_length{1}, max_length{40}> reference;
  Customer customer;
  Address shipping;
  Annotated<std::vector<Line>, min_items{1}, max_items{100}> lines;
  Priority priority = Priority::standard;
  bool gift = false;
  std::optional<std::string> note = {};
};

struct Receipt {
  std::string reference;
  std::string customer;
  std::int64_t lines;
  std::int64_t units;
  double total;
  std::string status;
};

inline Receipt accept(const Order& order) {
  Receipt receipt{.reference = order.reference, .customer = order.customer.name, .status = "accepted"};
  for (const Line& line : order.lines) {
    ++receipt.lines;
    receipt.units += line.quantity;
    receipt.total += line.quantity * line.price;
  }
  return receipt;
}

}  // namespace bench
