// How orders lie in the database. The domain does not know it.
#pragma once

#include <cstdint>
#include <string>

#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/pg/repository.hpp>
#include <ashlar/pg/table.hpp>

#include "domain/order.hpp"

namespace orders::infrastructure {

namespace pg = ashlar::pg;

// sample: tables
struct OrderRow {
  ashlar::Uuid id;
  std::string customer;
  domain::State state;
  std::int64_t discount_cents;
  std::int64_t version;
  ashlar::DateTime created_at;
};
struct LineRow {
  ashlar::Uuid order_id;
  std::string sku;
  std::int32_t quantity;
  std::int64_t price_cents;
  std::string currency;
};

inline const pg::Table<OrderRow, "orders", pg::primary_key{"id"}, pg::version{"version"},
                       pg::default_value{"created_at", "now()"}, pg::index{"customer", "id"}>
    order_table;
inline const pg::Table<LineRow, "order_lines", pg::primary_key{"order_id", "sku"},
                       pg::references{"order_id", "orders(id) on delete cascade"}>
    line_table;
inline const pg::Repository order_rows{order_table};
inline const pg::Repository line_rows{line_table};
// end of sample

struct ProductRow {
  std::string sku;
  std::int64_t price_cents;
  std::string currency;
  std::int32_t stock;
};
inline const pg::Table<ProductRow, "products", pg::primary_key{"sku"}> product_table;
inline const pg::Repository product_rows{product_table};

// Mail that was written; what sends it reads it from here.
struct MailRow {
  std::int64_t id;
  std::string recipient;
  std::string text;
};
inline const pg::Table<MailRow, "mails", pg::primary_key{"id"}, pg::identity{"id"}> mail_table;
inline const pg::Repository mail_rows{mail_table};

}  // namespace orders::infrastructure
