// A query for the shard of its second argument, and it has one.
// expect: pg::ShardQuery: no argument has this number; they are counted from 0
#include <ashlar/pg/shards.hpp>

using namespace ashlar;

struct Order {
  std::int64_t id;
};

#ifdef ASHLAR_FIXED
const pg::ShardQuery<Order(std::int64_t), 0> orders_of{"select id from orders where customer_id = $1"};
#else
const pg::ShardQuery<Order(std::int64_t), 1> orders_of{"select id from orders where customer_id = $1"};
#endif
