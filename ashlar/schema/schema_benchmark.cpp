// How fast reading and writing are, beside simdjson's parse of the same bytes. Run:
// build/release/benchmarks/schema_benchmark
#include <fmt/format.h>
#include <simdjson.h>

#include <chrono>
#include <cstdio>

#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/json.hpp>

namespace {

using namespace ashlar;

struct Address {
  std::string street, city;
  Annotated<std::string, min_length{2}, max_length{2}> country;
  std::optional<std::string> zip;
};
struct Line {
  std::int64_t product_id;
  Annotated<std::string, min_length{1}, max_length{100}> name;
  Annotated<int, ge{1}, le{1000}> quantity;
  double price;
};
struct Order {
  Uuid id;
  Annotated<std::string, min_length{1}, max_length{80}> customer;
  std::string email;
  DateTime created_at;
  bool paid;
  Address shipping;
  std::vector<Line> lines;
  std::vector<std::string> tags;
  std::optional<std::string> note;
};
struct Text {
  std::string text;
};

constexpr std::string_view kOrder =
    R"({"id":"0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f","customer":"Jürgen Example","email":"juergen@example.com",)"
    R"("created_at":"2026-01-02T03:04:05.678Z","paid":true,"shipping":{"street":"Long Street 12","city":"Springfield",)"
    R"("country":"DE","zip":"12345"},"lines":[{"product_id":1234567,"name":"Blue widget, large","quantity":3,)"
    R"("price":19.99},{"product_id":7654321,"name":"Red widget, small, boxed","quantity":12,"price":4.5},)"
    R"({"product_id":42,"name":"Gift wrap","quantity":1,"price":2.25}],"tags":["priority","gift","eu"],)"
    R"("note":"Please ring twice and leave it with the neighbour on the second floor."})";

// Nanoseconds a call, the best of many short runs.
template <class F>
double measure(F&& f) {
  double best = 1e18;
  for (int round = 0; round < 40; ++round) {
    constexpr int kCalls = 5000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) f();
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count() / kCalls);
  }
  return best;
}

void row(std::string_view name, double nanos, std::size_t bytes, double base = 0) {
  fmt::print("{:<44} {:>9.0f} ns {:>8.0f} MB/s", name, nanos, static_cast<double>(bytes) / nanos * 1000);
  if (base > 0) fmt::print("   {:.2f} x the DOM parse", nanos / base);
  fmt::print("\n");
}

}  // namespace

int main() {
  fmt::print("order of {} bytes\n", kOrder.size());
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(kOrder);
  std::size_t sink = 0;
  const double dom = measure([&] { sink += parser.parse(padded).value_unsafe().is_object(); });
  row("simdjson DOM parse", dom, kOrder.size());
  const double dom_copy =
      measure([&] { sink += parser.parse(kOrder.data(), kOrder.size()).value_unsafe().is_object(); });
  row("simdjson DOM parse, copying to padded memory", dom_copy, kOrder.size(), dom);
  const double read = measure([&] { sink += schema::parse_json<Order>(kOrder).lines.size(); });
  row("parse_json: parse and validate into structs", read, kOrder.size(), dom);
  const auto order = schema::parse_json<Order>(kOrder);
  std::string out;
  const double write = measure([&] {
    out.clear();
    schema::write_json(order, out);
    sink += out.size();
  });
  row("write_json of the order", write, out.size(), dom);

  const Text text{std::string(4000, 'x')};
  const double long_text = measure([&] {
    out.clear();
    schema::write_json(text, out);
    sink += out.size();
  });
  row("write_json of a 4 kB string", long_text, out.size());
  const std::string json = out;
  const double read_text = measure([&] { sink += schema::parse_json<Text>(json).text.size(); });
  row("parse_json of a 4 kB string", read_text, json.size());
  std::vector<double> numbers(500, 1234.5678);
  const double doubles = measure([&] {
    out.clear();
    schema::write_json(numbers, out);
    sink += out.size();
  });
  row("write_json of 500 doubles", doubles, out.size());
  return sink == 0;
}
