// What recording costs: run with --preset release.
#include <fmt/core.h>

#include <chrono>

#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace {

template <class F>
void measure(const char* name, F&& f) {
  constexpr int kRuns = 10'000'000;
  for (int i = 0; i < kRuns / 10; ++i) f(i);
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRuns; ++i) f(i);
  std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  fmt::print("{:<24} {:>6.2f} ns\n", name, took.count() / kRuns);
}

}  // namespace

int main() {
  using namespace ashlar;
  metrics::Registry registry;
  metrics::Counter counter = registry.counter({.name = "counter"});
  metrics::Gauge gauge = registry.gauge({.name = "gauge"});
  metrics::Histogram histogram = registry.histogram({.name = "histogram", .unit = "s"});
  measure("Counter::add", [&](int) { counter.add(); });
  measure("Gauge::set", [&](int i) { gauge.set(i); });
  measure("Histogram::record", [&](int i) { histogram.record(std::chrono::nanoseconds((i % 64) * 100'000)); });
  measure("log below its level", [&](int i) { log::debug("off", {{"i", i}}); });
  log::configure({.format = log::Format::json, .fd = 2, .queue_bytes = 0});  // formats and drops
  measure("log line, JSON", [&](int i) {
    if (i % 100 == 0) log::info("order paid", {{"order", i}, {"amount", 1.5}, {"customer", "Ada"}});
  });
  fmt::print("(one in a hundred calls of the last writes a line)\n");
}
