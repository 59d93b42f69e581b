// Querying without HTTP: DEPTH coroutines at a time. floors/libpq_floor.cpp is its floor.
//   pg_bench CONNINFO DEPTH COUNT [WARM_UP [MODE [CONNECTIONS]]]
// MODE, and what COUNT counts:
//   single    a row by its key (queries; what is done without a MODE)
//   queries   twenty of them at a time, each by itself (queries)
//   batch     twenty of them as one batch (queries)
//   updates   an update by key (updates)
//   fortunes  a table of twelve texts (queries)
//   copy      rows of a number, a text and a float by COPY; without DEPTH (rows)
//   copy-out  rows of the same as text, out by COPY, ten thousand at a time; without DEPTH (rows)
//   pool      as single, and how long one takes, with just CONNECTIONS shared ones; 0: as many as a Db uses (queries)
// Prints one line of JSON with the CPU time of this process for each.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/db.hpp>

using namespace ashlar;

namespace {

struct World {
  std::int32_t id;
  std::int32_t random_number;
};
struct Fortune {
  std::int32_t id;
  std::string message;
};
struct Bulk {
  std::int64_t id;
  std::string_view name;
  double value;
};
// Texts as they come: of different lengths, and not known to the compiler.
std::array<std::string_view, 8> names = {
    "Ada", "a name of some length",       "Grace Hopper", "Barbara Liskov, Cambridge", "Edsger W. Dijkstra",
    "x",   "Niklaus Wirth, Zürich, 1934", "Tony Hoare"};

const pg::Query<World(std::int32_t)> world_by_id{"select id, random_number from world where id = $1"};
const pg::Query<void(std::int32_t, std::int32_t)> set_number{"update world set random_number = $2 where id = $1"};
const pg::Query<Fortune()> fortunes{"select id, message from fortune"};
const pg::Query<void()> empty_bulk{"truncate bulk"};
const pg::CopyInto<Bulk> into_bulk{"bulk"};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct Progress {
  long left = 0;
  std::int32_t id = 0;
  std::int64_t sum = 0;  // so that no read is optimized away
  std::vector<float>* micros = nullptr;

  std::int32_t next() { return id = (id + 7919) % 10'000; }
};

Task<void> single(pg::Db& db, Progress& progress) {
  while (progress.left-- > 0) {
    const auto before = async::Clock::now();
    const World world = co_await db.one(world_by_id, progress.next() + 1);
    progress.sum += world.id + world.random_number;
    if (progress.micros != nullptr)
      progress.micros->push_back(std::chrono::duration<float, std::micro>(async::Clock::now() - before).count());
  }
}

Task<void> twenty(pg::Db& db, Progress& progress) {
  while ((progress.left -= 20) > -20) {
    std::vector<Task<World>> tasks;
    tasks.reserve(20);
    for (int i = 0; i < 20; ++i) tasks.push_back(db.one(world_by_id, progress.next() + 1));
    for (const World& world : co_await async::all(std::move(tasks))) progress.sum += world.id + world.random_number;
  }
}

Task<void> batch(pg::Db& db, Progress& progress) {
  while ((progress.left -= 20) > -20) {
    const auto queries = [&](int) { return pg::one(world_by_id, progress.next() + 1); };
    for (const World& world : co_await db.batch(std::views::iota(0, 20) | std::views::transform(queries)))
      progress.sum += world.id + world.random_number;
  }
}

Task<void> update(pg::Db& db, Progress& progress) {
  while (progress.left-- > 0) {
    const std::int32_t id = progress.next();
    progress.sum += static_cast<std::int64_t>(co_await db.exec(set_number, id + 1, id));
  }
}

Task<void> read_fortunes(pg::Db& db, Progress& progress) {
  while (progress.left-- > 0) {
    for (const Fortune& fortune : co_await db.all(fortunes))
      progress.sum += fortune.id + static_cast<std::int64_t>(fortune.message.size());
  }
}

Task<void> copy(pg::Db& db, Progress& progress) {
  const auto rows = [&progress](pg::CopyRows<Bulk>& out) -> Task<void> {
    for (long left = std::exchange(progress.left, 0); left > 0; --left)
      co_await out.add({left, names[static_cast<std::size_t>(left) % names.size()], static_cast<double>(left) / 8});
  };
  progress.sum += static_cast<std::int64_t>(co_await db.copy_in(into_bulk, rows));
}

Task<void> copy_out(pg::Db& db, Progress& progress) {
  for (; progress.left > 0; progress.left -= 10'000) {
    auto chunks =
        db.copy_out("copy (select i, 'a name of some length', i / 8.0 from generate_series(1, 10000) i) to stdout");
    while (const auto chunk = co_await chunks.next()) progress.sum += static_cast<std::int64_t>(chunk->size());
  }
}

using Work = Task<void> (*)(pg::Db&, Progress&);

Work work_of(std::string_view mode) {
  if (mode == "single" || mode == "pool") return &single;
  if (mode == "queries") return &twenty;
  if (mode == "batch") return &batch;
  if (mode == "updates") return &update;
  if (mode == "fortunes") return &read_fortunes;
  if (mode == "copy") return &copy;
  if (mode == "copy-out") return &copy_out;
  throw std::runtime_error(fmt::format("`{}` is no mode", mode));
}

Task<void> run_all(pg::Db& db, Progress& progress, Work work, int depth, long count) {
  progress.left = count;
  co_await async::task_group([&](async::TaskGroup& group) -> Task<void> {
    for (int i = 0; i < depth; ++i) group.spawn(work(db, progress));
    co_return;
  });
}

struct Settings {
  std::string url;
  int depth = 1;
  long count = 0;
  long warm_up = 0;
  std::string mode = "single";
  unsigned connections = 1;
};

Task<void> measure(pg::Db& db, const Settings& settings) {
  const Work work = work_of(settings.mode);
  const int depth = settings.mode.starts_with("copy") ? 1 : settings.depth;
  Progress progress;
  if (settings.warm_up > 0) co_await run_all(db, progress, work, depth, settings.warm_up);
  if (settings.mode == "copy") co_await db.exec(empty_bulk);
  std::vector<float> micros;
  if (settings.mode == "pool") {
    micros.reserve(static_cast<std::size_t>(settings.count));
    progress.micros = &micros;
  }
  const double cpu_before = cpu_seconds();
  const auto before = async::Clock::now();
  co_await run_all(db, progress, work, depth, settings.count);
  const double cpu = cpu_seconds() - cpu_before;
  const double seconds = std::chrono::duration<double>(async::Clock::now() - before).count();
  std::string latency;
  if (!micros.empty()) {
    std::ranges::sort(micros);
    const auto at = [&](double part) {
      return micros[static_cast<std::size_t>(part * static_cast<double>(micros.size() - 1))];
    };
    latency = fmt::format(", \"p50_us\": {:.0f}, \"p99_us\": {:.0f}", at(0.5), at(0.99));
  }
  fmt::print("{{\"cpu_us\": {:.4f}, \"per_second\": {:.1f}, \"checksum\": {}{}}}\n",
             cpu * 1e6 / static_cast<double>(settings.count), static_cast<double>(settings.count) / seconds,
             progress.sum, latency);
}

Task<void> run(Settings settings) {
  pg::Options options{.url = settings.url};
  if (settings.connections != 0) options.shared_connections = options.shared_connections_most = settings.connections;
  pg::Db db(options);
  async::Loop& loop = async::Loop::current();
  co_await db.start();
  co_await db.start_loop(loop);
  co_await measure(db, settings);
  co_await db.stop_loop(loop);
  co_await db.stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: pg_bench CONNINFO DEPTH COUNT [WARM_UP [MODE [CONNECTIONS]]]\n");
    return 2;
  }
  Settings settings{.url = argv[1], .depth = std::atoi(argv[2]), .count = std::atol(argv[3])};
  if (argc > 4) settings.warm_up = std::atol(argv[4]);
  if (argc > 5) settings.mode = argv[5];
  if (argc > 6) settings.connections = static_cast<unsigned>(std::atoi(argv[6]));
  try {
    async::run(run(std::move(settings)));
  } catch (const std::exception& error) {
    fmt::print(stderr, "pg_bench: {}\n", error.what());
    return 1;
  }
}
