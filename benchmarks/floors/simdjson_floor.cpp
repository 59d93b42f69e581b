// The floor under parsing a body: simdjson's DOM parse of the same bytes, parser and padded buffer reused.
//   simdjson_floor FILE COUNT
// Prints one line of JSON with the CPU time a parse; its instructions are counted by running it twice under callgrind.
#include <simdjson.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  simdjson::padded_string body;
  if (argc < 3 || simdjson::padded_string::load(argv[1]).get(body) != simdjson::SUCCESS) {
    std::fputs("usage: simdjson_floor FILE COUNT\n", stderr);
    return 2;
  }
  const long count = std::atol(argv[2]);
  simdjson::dom::parser parser;
  const double before = cpu_seconds();
  for (long i = 0; i < count; ++i) {
    simdjson::dom::element document;
    if (parser.parse(body).get(document) != simdjson::SUCCESS || !document.is_object()) return 1;
  }
  const double seconds = cpu_seconds() - before;
  std::printf("{\"cpu_us\": %.4f, \"bytes\": %zu}\n", seconds * 1e6 / static_cast<double>(count), body.size());
}
