// Reading and writing JSON without HTTP, each beside its floor.
//   schema_bench parse|write|copy FILE COUNT    one of them; prints one line of JSON
//   schema_bench compare FILE                   all of them in turns, as a table
// `parse` makes a validated Order of the file's bytes and drops it, `write` appends it to a reused string, `copy`
// copies as many bytes; simdjson_floor is the floor of `parse`.
#include <fmt/core.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "order.hpp"

namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Keeps the compiler from dropping work whose result nobody looks at.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

struct Work {
  std::string text;
  simdjson::padded_string padded;
  bench::Order order;
  simdjson::dom::parser dom;
  std::string out;

  explicit Work(std::string json)
      : text(std::move(json)), padded(text), order(ashlar::schema::parse_json<bench::Order>(text)) {}

  void parse() {
    const auto parsed = ashlar::schema::parse_json<bench::Order>(text);
    keep(parsed);
  }
  void write() {
    out.clear();
    ashlar::schema::write_json(order, out);
    keep(out);
  }
  void copy() {
    out.assign(text);
    keep(out);
  }
  void dom_parse() {
    simdjson::dom::element document;
    if (dom.parse(padded).get(document) != simdjson::SUCCESS) std::abort();
    keep(document);
  }
};

double seconds_of(Work& work, void (Work::*step)(), long count) {
  const double before = cpu_seconds();
  for (long i = 0; i < count; ++i) (work.*step)();
  return cpu_seconds() - before;
}

void compare(Work& work) {
  struct Row {
    std::string_view name;
    void (Work::*step)();
    std::vector<double> nanoseconds;
  };
  Row rows[] = {{"parse and validate", &Work::parse, {}},
                {"simdjson DOM parse", &Work::dom_parse, {}},
                {"write", &Work::write, {}},
                {"copy", &Work::copy, {}}};
  constexpr long kCount = 200'000;
  for (int round = 0; round < 7; ++round) {
    for (Row& row : rows) row.nanoseconds.push_back(seconds_of(work, row.step, kCount) / kCount * 1e9);
  }
  for (Row& row : rows) {
    std::ranges::sort(row.nanoseconds);
    const double median = row.nanoseconds[row.nanoseconds.size() / 2];
    fmt::print("{:20} {:8.1f} ns {:8.2f} GB/s\n", row.name, median, static_cast<double>(work.text.size()) / median);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 2 ? argv[1] : "";
  if (mode.empty()) {
    fmt::print(stderr, "usage: schema_bench parse|write|copy FILE COUNT\n       schema_bench compare FILE\n");
    return 2;
  }
  std::ifstream in(argv[2], std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  Work work(text.str());
  if (mode == "compare") {
    compare(work);
    return 0;
  }
  const long count = argc > 3 ? std::atol(argv[3]) : 1'000'000;
  const auto step = mode == "parse" ? &Work::parse : mode == "write" ? &Work::write : &Work::copy;
  const double seconds = seconds_of(work, step, count);
  fmt::print("{{\"cpu_us\": {:.4f}, \"gigabytes_per_second\": {:.3f}}}\n", seconds * 1e6 / static_cast<double>(count),
             static_cast<double>(work.text.size()) * static_cast<double>(count) / seconds / 1e9);
}
