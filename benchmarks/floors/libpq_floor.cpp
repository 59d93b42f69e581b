// The floor under pg: a bare libpq loop that keeps DEPTH queries in flight on one connection, or feeds one COPY.
//   libpq_floor CONNINFO DEPTH COUNT [WARM_UP [MODE]]
// MODE: single, queries (the same: there is nothing to put together here), batch (one Sync for twenty of them),
// updates, fortunes, copy; see pg_bench.cpp. Prints one line of JSON with the CPU time of this process for each.
#include <endian.h>
#include <poll.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "libpq.hpp"

namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

const char* sql_of(std::string_view mode) {
  if (mode == "updates") return "update world set random_number = $2 where id = $1";
  if (mode == "fortunes") return "select id, message from fortune";
  return "select id, random_number from world where id = $1";
}

void send(floors::Libpq& db, std::string_view mode, std::int32_t id, long number) {
  if (mode == "fortunes") return db.send(0, nullptr, nullptr, nullptr);
  if (mode == "batch") return db.send(id + 1, number % 20 == 19);
  if (mode != "updates") return db.send(id + 1);
  const std::uint32_t wire[] = {htobe32(static_cast<std::uint32_t>(id + 1)), htobe32(static_cast<std::uint32_t>(id))};
  const char* const values[] = {reinterpret_cast<const char*>(&wire[0]), reinterpret_cast<const char*>(&wire[1])};
  const int lengths[] = {4, 4};
  const int formats[] = {1, 1};
  db.send(2, values, lengths, formats);
}

std::int64_t sum_of(PGresult* result, std::string_view mode) {
  if (mode == "updates") return std::atoi(PQcmdTuples(result));
  std::int64_t sum = 0;
  for (int row = 0; row < PQntuples(result); ++row) {
    sum += floors::read_int4(PQgetvalue(result, row, 0));
    // Into a string, as a program would keep it.
    sum += mode == "fortunes" ? static_cast<std::int64_t>(std::string(PQgetvalue(result, row, 1)).size())
                              : floors::read_int4(PQgetvalue(result, row, 1));
  }
  return sum;
}

std::int64_t run(floors::Libpq& db, std::string_view mode, int depth, long queries) {
  std::int64_t sum = 0;  // so that no read is optimized away
  long sent = 0;
  long received = 0;
  std::int32_t id = 0;
  while (received < queries) {
    while (sent < queries && sent - received < depth) {
      id = (id + 7919) % 10'000;
      send(db, mode, id, sent++);
    }
    const bool flushed = db.flush();
    pollfd waiting{.fd = db.fd(), .events = static_cast<short>(flushed ? POLLIN : POLLIN | POLLOUT), .revents = 0};
    poll(&waiting, 1, -1);
    db.receive([&](PGresult* result) {
      sum += sum_of(result, mode);
      ++received;
    });
  }
  return sum;
}

struct Bulk {
  std::int64_t id;
  std::string_view name;
  double value;
};
// Texts as they come: of different lengths, and not known to the compiler.
std::array<std::string_view, 8> names = {
    "Ada", "a name of some length",       "Grace Hopper", "Barbara Liskov, Cambridge", "Edsger W. Dijkstra",
    "x",   "Niklaus Wirth, Zürich, 1934", "Tony Hoare"};

char* put2(char* to, std::uint16_t value) {
  value = htobe16(value);
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}
char* put4(char* to, std::uint32_t value) {
  value = htobe32(value);
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}
char* put8(char* to, std::uint64_t value) {
  value = htobe64(value);
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

// Rows in the binary format, made one at a time; 32 KiB at a time to libpq.
std::int64_t copy(floors::LibpqCopy& db, long rows) {
  constexpr std::size_t kFull = 32 * 1024;
  db.begin("copy bulk (id, name, value) from stdin (format binary)");
  std::vector<char> out(kFull + 1024);
  std::memcpy(out.data(), "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
  char* to = out.data() + 19;
  for (long left = rows; left > 0; --left) {
    const Bulk row{left, names[static_cast<std::size_t>(left) % names.size()], static_cast<double>(left) / 8};
    to = put2(to, 3);
    to = put8(put4(to, 8), static_cast<std::uint64_t>(row.id));
    to = put4(to, static_cast<std::uint32_t>(row.name.size()));
    std::memcpy(to, row.name.data(), row.name.size());
    to = put8(put4(to + row.name.size(), 8), std::bit_cast<std::uint64_t>(row.value));
    if (to < out.data() + kFull) continue;
    db.data({out.data(), to});
    to = out.data();
  }
  to = put2(to, 0xffff);
  db.data({out.data(), to});
  return db.end();
}

template <class Run>
void measure(long count, Run run) {
  const double cpu_before = cpu_seconds();
  const auto before = std::chrono::steady_clock::now();
  const std::int64_t sum = run();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  std::printf("{\"cpu_us\": %.4f, \"per_second\": %.1f, \"checksum\": %lld}\n",
              (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(count), static_cast<double>(count) / seconds,
              static_cast<long long>(sum));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: libpq_floor CONNINFO DEPTH COUNT [WARM_UP [MODE]]\n", stderr);
    return 2;
  }
  const int depth = std::atoi(argv[2]);
  const long count = std::atol(argv[3]);
  const long warm_up = argc > 4 ? std::atol(argv[4]) : 0;
  const std::string_view mode = argc > 5 ? argv[5] : "single";
  try {
    if (mode == "copy") {
      floors::LibpqCopy db(argv[1]);
      copy(db, warm_up);
      db.run("truncate bulk");
      measure(count, [&] { return copy(db, count); });
    } else {
      floors::Libpq db(argv[1], sql_of(mode));
      const std::int64_t warm = run(db, mode, depth, warm_up);
      measure(count, [&] { return warm + run(db, mode, depth, count); });
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "libpq_floor: %s\n", error.what());
    return 1;
  }
}
