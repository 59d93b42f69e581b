// Orders: a small service in layers. ./orders serve, and see http://127.0.0.1:8000/docs
#include <memory>

#include <ashlar/ashlar.hpp>

#include "api/routes.hpp"
#include "application/order_service.hpp"
#include "infrastructure/tables.hpp"
#include "infrastructure/work_in_postgres.hpp"

using namespace ashlar;
using namespace orders;

int main(int argc, char** argv) {
  App app{{.title = "Orders", .version = "1.0.0"}};

  pg::Db db{{.migrations = ORDERS_MIGRATIONS}};
  pg::Outbox outbox{db};
  infrastructure::add_reactions(outbox);
  infrastructure::WorkInPostgres work{db, outbox};
  app.provide(db).provide(outbox);
  app.provide<application::OrderService>([&work] { return std::make_unique<application::OrderService>(work); });
  api::add_routes(app);

  app.on_start([](pg::Db& own) -> Task<void> {
    if (own.private_server() == nullptr) co_return;  // something to buy, on a database of its own
    const std::vector<infrastructure::ProductRow> products{{"brick", 120, "EUR", 1000}, {"trowel", 1490, "EUR", 20}};
    for (const auto& product : products) {
      if (!co_await infrastructure::product_rows.exists(own, product.sku))
        (void)co_await infrastructure::product_rows.insert(own, product);
    }
  });
  return run(app, argc, argv);
}
