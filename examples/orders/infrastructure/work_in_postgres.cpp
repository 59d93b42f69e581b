#include "infrastructure/work_in_postgres.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <utility>
#include <variant>

#include <ashlar/pg/query.hpp>

#include "application/reactions.hpp"
#include "infrastructure/tables.hpp"

namespace orders::infrastructure {
namespace {

struct ChangedOrder {
  ashlar::Uuid id;
  std::int64_t version;
  domain::State state;
  std::int64_t discount_cents;
};
struct NewOrder {
  ashlar::Uuid id;
  std::string customer;
  domain::State state;
  std::int64_t discount_cents;
};
struct NewMail {
  std::string recipient, text;
};

const pg::Query<OrderRow(std::string, int)> newest_of_customer{
    "select id, customer, state, discount_cents, version, created_at from orders where customer = $1 "
    "order by id desc limit $2",
    {.name = "newest_of_customer"}};
const pg::Query<void(ashlar::Uuid, std::vector<std::string>)> remove_other_lines{
    "delete from order_lines where order_id = $1 and not sku = any($2)", {.name = "remove_other_lines"}};
const pg::Query<void(std::vector<std::string>, std::vector<std::int32_t>)> take_stock{
    "update products p set stock = stock - i.quantity from unnest($1::text[], $2::int[]) i (sku, quantity) "
    "where p.sku = i.sku and p.stock >= i.quantity",
    {.name = "take_stock"}};
const pg::Query<void(std::vector<std::string>, std::vector<std::int32_t>)> put_stock_back{
    "update products p set stock = stock + i.quantity from unnest($1::text[], $2::int[]) i (sku, quantity) "
    "where p.sku = i.sku",
    {.name = "put_stock_back"}};

domain::Order to_order(OrderRow row, std::vector<LineRow> lines) {
  domain::Order::Memento stored{.id = row.id,
                                .customer = std::move(row.customer),
                                .state = row.state,
                                .discount_cents = row.discount_cents,
                                .lines = {},
                                .version = row.version};
  for (LineRow& line : lines)
    stored.lines.push_back({std::move(line.sku), line.quantity, {line.price_cents, std::move(line.currency)}});
  return domain::Order::restore(std::move(stored));
}

// sample: events
pg::NewOutboxMessage to_message(const domain::Event& event) {
  const auto key = [](const auto& of) { return "order/" + of.order.to_string(); };
  if (const auto* placed = std::get_if<domain::OrderPlaced>(&event))
    return pg::outbox_message("order.placed", key(*placed), *placed);
  const auto& cancelled = std::get<domain::OrderCancelled>(event);
  return pg::outbox_message("order.cancelled", key(cancelled), cancelled);
}
// end of sample

std::pair<std::vector<std::string>, std::vector<std::int32_t>> columns(const std::vector<domain::OrderedItem>& items) {
  std::pair<std::vector<std::string>, std::vector<std::int32_t>> out;
  for (const domain::OrderedItem& item : items) {
    out.first.push_back(item.sku);
    out.second.push_back(item.quantity);
  }
  return out;
}

struct OutOfStock : std::exception {};

}  // namespace

Task<domain::Order> OrdersInPostgres::get(domain::OrderId id) {
  OrderRow row = co_await order_rows.get(tx_, id);
  co_return to_order(std::move(row), co_await line_rows.all_by<"order_id">(tx_, id));
}

// sample: no-n-plus-1
Task<std::vector<domain::Order>> OrdersInPostgres::of(std::string customer, int limit) {
  std::vector<OrderRow> rows = co_await tx_.all(newest_of_customer, customer, limit);
  std::vector<ashlar::Uuid> ids;
  for (const OrderRow& row : rows) ids.push_back(row.id);
  std::map<ashlar::Uuid, std::vector<LineRow>> lines;  // of all orders, by one statement
  for (LineRow& line : co_await line_rows.all_in<"order_id">(tx_, ids)) lines[line.order_id].push_back(std::move(line));

  std::vector<domain::Order> out;
  for (OrderRow& row : rows) {
    std::vector<LineRow> own = std::move(lines[row.id]);
    out.push_back(to_order(std::move(row), std::move(own)));
  }
  co_return out;
}
// end of sample

// sample: store
Task<domain::Order> OrdersInPostgres::store(domain::Order order, Version version) {
  domain::Order::Memento stored = order.memento();
  if (stored.version == 0) {
    const NewOrder row{stored.id, stored.customer, stored.state, stored.discount_cents};
    stored.version = (co_await order_rows.insert(tx_, row)).version;
  } else {  // pg::StaleVersion: somebody was faster
    const ChangedOrder row{stored.id, stored.version, stored.state, stored.discount_cents};
    const auto expected = version == Version::as_named ? pg::Expected::by_client : pg::Expected::by_program;
    stored.version = (co_await order_rows.update(tx_, row, expected)).version;
  }

  std::vector<LineRow> lines;
  std::vector<std::string> skus;
  for (const domain::Line& line : stored.lines) {
    lines.push_back({stored.id, line.sku, line.quantity, line.price.cents(), line.price.currency()});
    skus.push_back(line.sku);
  }
  co_await tx_.exec(remove_other_lines, stored.id, skus);
  (void)co_await line_rows.upsert_all(tx_, lines);

  std::vector<pg::NewOutboxMessage> messages;
  for (const domain::Event& event : order.take_events()) messages.push_back(to_message(event));
  co_await outbox_.put(tx_, std::move(messages));
  co_return domain::Order::restore(std::move(stored));
}
// end of sample

Task<domain::Money> ProductsInPostgres::price(std::string sku) {
  const auto product = co_await product_rows.find(tx_, sku);
  if (!product) throw ashlar::NotFound("there is no product " + sku);
  co_return domain::Money(product->price_cents, product->currency);
}

Task<bool> ProductsInPostgres::take(std::vector<domain::OrderedItem> items) {
  try {
    co_await tx_.savepoint([&]() -> Task<void> {
      const auto [skus, quantities] = columns(items);
      if (co_await tx_.exec(take_stock, skus, quantities) != items.size()) throw OutOfStock{};
    });
  } catch (const OutOfStock&) {  // what was taken of the others is back
    co_return false;
  }
  co_return true;
}

Task<void> ProductsInPostgres::put_back(std::vector<domain::OrderedItem> items) {
  if (items.empty()) co_return;
  const auto [skus, quantities] = columns(items);
  co_await tx_.exec(put_stock_back, skus, quantities);
}

Task<void> MailInPostgres::send(std::string to, std::string text) {
  (void)co_await mail_rows.insert(tx_, NewMail{std::move(to), std::move(text)});
}

Task<void> WorkInPostgres::run(std::function<Task<void>(Work work)> body) {
  co_await db_.transaction([&](pg::Tx& tx) -> Task<void> {
    OrdersInPostgres orders(tx, outbox_);
    ProductsInPostgres products(tx);
    MailInPostgres mail(tx);
    co_await body({orders, products, mail});
  });
}

// sample: reactions
void add_reactions(pg::Outbox& outbox) {
  outbox.on<domain::OrderPlaced>("order.placed", [&outbox](pg::Tx& tx, domain::OrderPlaced event) -> Task<void> {
    OrdersInPostgres orders(tx, outbox);
    ProductsInPostgres products(tx);
    MailInPostgres mail(tx);
    co_await application::when_placed({orders, products, mail}, std::move(event));
  });
  outbox.on<domain::OrderCancelled>("order.cancelled",
                                    [&outbox](pg::Tx& tx, domain::OrderCancelled event) -> Task<void> {
                                      OrdersInPostgres orders(tx, outbox);
                                      ProductsInPostgres products(tx);
                                      MailInPostgres mail(tx);
                                      co_await application::when_cancelled({orders, products, mail}, std::move(event));
                                    });
}
// end of sample

}  // namespace orders::infrastructure
