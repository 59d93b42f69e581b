// The server under test, written as a user would: routing, typed binding, request ids, security headers and metrics are
// on, as they are by default.
#include <ashlar/app/app.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>

#include <ashlar/pg/db.hpp>

#include "order.hpp"

using namespace ashlar;

namespace {

struct Message {
  std::string message;
};

struct World {
  std::int32_t id;
  std::int32_t random_number;
};

const pg::Query<World(std::int32_t)> world_by_id{"select id, random_number from world where id = $1"};

}  // namespace

int main(int argc, char** argv) {
  App app{{.title = "Benchmark"}};

  app.get<"/plaintext">([] { return Text{"Hello, World!"}; });
  app.get<"/json">([] { return Message{"Hello, World!"}; });
  app.post<"/order">([](bench::Order order) { return bench::accept(order); });

  if (std::getenv("DATABASE_URL") != nullptr) {
    app.get<"/query/{id}">(
        [](Path<"id", std::int32_t> id, pg::Db& db) -> Task<World> { co_return co_await db.one(world_by_id, id); });
  }
  return run(app, argc, argv);
}
