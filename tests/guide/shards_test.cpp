// The code of docs/guide/shards.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/private_server.hpp>
#include <ashlar/pg/shards.hpp>

namespace {

using namespace ashlar;

// sample: queries
struct Order {
  std::int64_t tenant, id;
  std::string title;
};

inline const pg::ShardQuery<void(std::int64_t, std::int64_t, std::string)> add_order{
    "insert into guide_orders (tenant, id, title) values ($1, $2, $3)"};
inline const pg::ShardQuery<Order(std::int64_t, std::int64_t), 1> order_of{
    // the second argument is the key
    "select tenant, id, title from guide_orders where id = $1 and tenant = $2"};
inline const pg::EveryShardQuery<Order(std::int64_t)> newest_orders{
    "select tenant, id, title from guide_orders order by id desc limit $1"};
// end of sample

Task<void> use(std::string url_of_a, std::string url_of_b) {
  // sample: shards
  pg::Shards shards{{.urls = {url_of_a, url_of_b},
                     .tables = {{"guide_orders", "tenant"}},
                     .reference_tables = {"guide_countries"},
                     .each = {.check_queries = false}}};
  // end of sample
  co_await shards.start();
  co_await shards.start_loop(async::Loop::current());
  {
    const std::int64_t tenant = 7;
    // sample: use
    co_await shards.exec(add_order, tenant, 1, "ten stones");
    Order order = co_await shards.one(order_of, 1, tenant);
    co_await shards.transaction(tenant, [&](pg::ShardTx& tx) -> Task<void> {
      co_await tx.exec(add_order, tenant, 2, "mortar");
      co_await tx.exec(add_order, tenant, 3, "a trowel");  // of another tenant's shard: pg::CrossShard, nothing is done
    });
    std::vector<Order> newest = co_await shards.merged<std::greater<>>(20, &Order::id, newest_orders, 20);
    // end of sample
    EXPECT_EQ(order.title, "ten stones");
    EXPECT_EQ(newest.at(0).title, "a trowel");
  }
  co_await shards.stop_loop(async::Loop::current());
  co_await shards.stop();
}

TEST(Guide, ShardsHoldRowsWhereTheirKeysSay) {
  auto server = pg::PrivateServer::start();
  for (const char* const name : {"a", "b"}) {
    server->create_database(name);
    server->run_sql(name,
                    "create table guide_orders (tenant bigint not null, id bigint not null, title text not null)");
  }
  async::run(use(server->url("a"), server->url("b")));
}

}  // namespace
