// Querying without HTTP: DEPTH coroutines, each with one query in flight, on one connection.
//   pg_bench CONNINFO DEPTH QUERIES [WARM_UP]
// Prints one line of JSON with the CPU time of this process a query. floors/libpq_floor.cpp is its floor.
#include <fmt/core.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>

using namespace ashlar;

namespace {

struct World {
  std::int32_t id;
  std::int32_t random_number;
};

const pg::Query<World(std::int32_t)> world_by_id{"select id, random_number from world where id = $1"};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct Progress {
  long left = 0;
  std::int32_t id = 0;
  std::int64_t sum = 0;
};

Task<void> query_in_turn(pg::Db& db, Progress& progress) {
  while (progress.left-- > 0) {
    progress.id = (progress.id + 7919) % 10'000;
    const World world = co_await db.one(world_by_id, progress.id + 1);
    progress.sum += world.id + world.random_number;
  }
}

Task<void> query_all(pg::Db& db, Progress& progress, int depth, long queries) {
  progress.left = queries;
  co_await async::task_group([&](async::TaskGroup& group) -> Task<void> {
    for (int i = 0; i < depth; ++i) group.spawn(query_in_turn(db, progress));
    co_return;
  });
}

Task<void> measure(pg::Db& db, int depth, long queries, long warm_up) {
  Progress progress;
  co_await query_all(db, progress, depth, warm_up);
  const double cpu_before = cpu_seconds();
  const auto before = async::Clock::now();
  co_await query_all(db, progress, depth, queries);
  const double cpu = cpu_seconds() - cpu_before;
  const double seconds = std::chrono::duration<double>(async::Clock::now() - before).count();
  fmt::print("{{\"cpu_us\": {:.4f}, \"per_second\": {:.1f}, \"checksum\": {}}}\n",
             cpu * 1e6 / static_cast<double>(queries), static_cast<double>(queries) / seconds, progress.sum);
}

Task<void> run(std::string url, int depth, long queries, long warm_up) {
  pg::Db db({.url = url, .shared_connections = 1});
  async::Loop& loop = async::Loop::current();
  co_await db.start();
  co_await db.start_loop(loop);
  co_await measure(db, depth, queries, warm_up);
  co_await db.stop_loop(loop);
  co_await db.stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: pg_bench CONNINFO DEPTH QUERIES [WARM_UP]\n");
    return 2;
  }
  try {
    async::run(run(argv[1], std::atoi(argv[2]), std::atol(argv[3]), argc > 4 ? std::atol(argv[4]) : 0));
  } catch (const std::exception& error) {
    fmt::print(stderr, "pg_bench: {}\n", error.what());
    return 1;
  }
}
