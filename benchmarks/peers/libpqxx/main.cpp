// The modes of pg_bench.cpp by libpqxx, as its manual writes them: prepared statements, stream_to.
//   bench CONNINFO DEPTH COUNT [WARM_UP [MODE]]
// DEPTH is of no use to it: a call blocks until its answer is there, and pqxx::pipeline takes no parameters.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::int64_t run(pqxx::connection& db, std::string_view mode, long count) {
  static std::int32_t id = 0;
  std::int64_t sum = 0;
  pqxx::nontransaction session(db);
  if (mode == "copy") {
    pqxx::stream_to rows(session, "bulk", std::vector<std::string>{"id", "name", "value"});
    for (long row = count; row > 0; --row)
      rows << std::make_tuple(static_cast<std::int64_t>(row), std::string("a name of some length"),
                              static_cast<double>(row) / 8);
    rows.complete();
    return count;
  }
  for (long i = 0; i < count; ++i) {
    id = (id + 7919) % 10'000;
    if (mode == "updates") {
      sum += static_cast<std::int64_t>(session.exec_prepared("query", id + 1, id).affected_rows());
    } else if (mode == "fortunes") {
      for (const auto row : session.exec_prepared("query"))
        sum += row[0].as<std::int32_t>() + row[1].as<std::string>().size();
    } else {
      const pqxx::row row = session.exec_prepared1("query", id + 1);
      sum += row[0].as<std::int32_t>() + row[1].as<std::int32_t>();
    }
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: bench CONNINFO DEPTH COUNT [WARM_UP [MODE]]\n", stderr);
    return 2;
  }
  const long count = std::atol(argv[3]);
  const long warm_up = argc > 4 ? std::atol(argv[4]) : 0;
  const std::string_view mode = argc > 5 ? argv[5] : "single";
  try {
    pqxx::connection db(argv[1]);
    db.prepare("query", mode == "updates"    ? "update world set random_number = $2 where id = $1"
                        : mode == "fortunes" ? "select id, message from fortune"
                                             : "select id, random_number from world where id = $1");
    run(db, mode, warm_up);
    if (mode == "copy") pqxx::nontransaction(db).exec("truncate bulk");
    const double cpu_before = cpu_seconds();
    const auto before = std::chrono::steady_clock::now();
    const std::int64_t sum = run(db, mode, count);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    std::printf("{\"cpu_us\": %.4f, \"per_second\": %.1f, \"checksum\": %lld}\n",
                (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(count), static_cast<double>(count) / seconds,
                static_cast<long long>(sum));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
