// A shard chosen by a number that is not exact.
// expect: pg::ShardQuery: a shard key is an integer, a std::string or a Uuid, and never NULL
#include <ashlar/pg/shards.hpp>

using namespace ashlar;

struct Reading {
  std::int64_t id;
};

#ifdef ASHLAR_FIXED
const pg::ShardQuery<Reading(std::int64_t)> readings_at{"select id from readings where sensor = $1"};
#else
const pg::ShardQuery<Reading(double)> readings_at{"select id from readings where latitude = $1"};
#endif
