// What the tests with a database share: products to buy, and the ports on a database of the test's own.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/outbox.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/database.hpp>

#include "api/routes.hpp"
#include "application/order_service.hpp"
#include "infrastructure/tables.hpp"
#include "infrastructure/work_in_postgres.hpp"

namespace orders {

class OrdersTest : public ::testing::Test {
 protected:
  OrdersTest() {
    infrastructure::add_reactions(outbox);
    app.provide(db).provide(outbox).provide(service);
    api::add_routes(app);
    client.emplace(app);
    client->run([](ashlar::pg::Db& to) -> ashlar::Task<void> {
      const std::vector<infrastructure::ProductRow> products{{"brick", 200, "EUR", 5}, {"trowel", 1500, "EUR", 1}};
      (void)co_await infrastructure::product_rows.insert_all(to, products);
    }(db));
  }

  template <class T>
  T run(ashlar::Task<T> task) {
    return client->run(std::move(task));
  }
  std::int32_t stock(std::string sku) { return run(infrastructure::product_rows.get(db, sku)).stock; }
  std::vector<std::string> mails(std::string recipient) {
    std::vector<std::string> out;
    for (const auto& mail : run(infrastructure::mail_rows.all_by<"recipient">(db, recipient))) out.push_back(mail.text);
    return out;
  }
  /// An order of ann with so many bricks.
  domain::OrderId placed(std::int32_t bricks) {
    const domain::OrderId id = run(service.open("ann")).id();
    run(service.set_line(id, "brick", bricks));
    run(service.place(id));
    return id;
  }

  ashlar::testing::Database database{ORDERS_MIGRATIONS};
  ashlar::App app{{.title = "Orders"}};
  ashlar::pg::Db db{{.url = database.url(), .check_queries = false}};  // checked when the template was made
  ashlar::pg::Outbox outbox{db, {.relay = false}};                     // the tests say when
  infrastructure::WorkInPostgres work{db, outbox};
  application::OrderService service{work};
  std::optional<ashlar::testing::Client> client;
};

}  // namespace orders
