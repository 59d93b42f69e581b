// The floor under pg: a bare libpq loop that keeps DEPTH queries in flight on one connection.
//   libpq_floor CONNINFO DEPTH QUERIES [WARM_UP]
// Prints one line of JSON with the CPU time of this process a query.
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>

#include "libpq.hpp"

namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::int64_t run(floors::Libpq& db, int depth, long queries) {
  std::int64_t sum = 0;  // so that no read is optimized away
  long sent = 0;
  long received = 0;
  std::int32_t id = 0;
  while (received < queries) {
    while (sent < queries && sent - received < depth) {
      id = (id + 7919) % 10'000;
      db.send(id + 1);
      ++sent;
    }
    const bool flushed = db.flush();
    pollfd waiting{.fd = db.fd(), .events = static_cast<short>(flushed ? POLLIN : POLLIN | POLLOUT), .revents = 0};
    poll(&waiting, 1, -1);
    db.receive([&](PGresult* result) {
      sum += floors::read_int4(PQgetvalue(result, 0, 0)) + floors::read_int4(PQgetvalue(result, 0, 1));
      ++received;
    });
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: libpq_floor CONNINFO DEPTH QUERIES [WARM_UP]\n", stderr);
    return 2;
  }
  try {
    floors::Libpq db(argv[1], "select id, random_number from world where id = $1");
    const int depth = std::atoi(argv[2]);
    const long queries = std::atol(argv[3]);
    std::int64_t sum = run(db, depth, argc > 4 ? std::atol(argv[4]) : 0);
    const double cpu_before = cpu_seconds();
    const auto before = std::chrono::steady_clock::now();
    sum += run(db, depth, queries);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    std::printf("{\"cpu_us\": %.4f, \"per_second\": %.1f, \"checksum\": %lld}\n",
                (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(queries),
                static_cast<double>(queries) / seconds, static_cast<long long>(sum));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "libpq_floor: %s\n", error.what());
    return 1;
  }
}
