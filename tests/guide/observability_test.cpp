// The code of docs/guide/observability.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace {

using namespace ashlar;
using ::testing::HasSubstr;

struct Order {
  std::int64_t id = 42;
  double total = 19.9;
};

void pay(const Order& order, std::chrono::nanoseconds elapsed) {
  // sample: log
  log::info("order paid", {{"order", order.id}, {"amount", order.total}, {"took", elapsed}});
  // end of sample
}

TEST(ObservabilityGuide, CapturesLines) {
  Order order;
  // sample: capture
  log::Capture capture;
  pay(order, std::chrono::milliseconds(12));
  EXPECT_EQ(capture.find("order paid")->field("order"), "42");
  // end of sample
  EXPECT_EQ(capture.find("order paid")->field("took"), "0.012");
}

// sample: logger
const log::Logger invoices{"billing.invoices"};

void render(int pages) { invoices.debug("rendering", {{"pages", pages}}); }
// end of sample

TEST(ObservabilityGuide, ChangesLevelsByName) {
  log::Capture capture(log::Level::info);
  render(1);
  // sample: levels
  log::set_level("billing", log::Level::debug);  // rules billing.invoices too
  // end of sample
  render(2);
  ASSERT_EQ(capture.lines().size(), 1u);
  EXPECT_EQ(capture.lines()[0].field("pages"), "2");
  // sample: all-levels
  log::set_levels("info,pg=debug,http=warn");  // all at once, as from a setting
  // end of sample
  EXPECT_EQ(log::levels(), "info,http=warn,pg=debug");
}

void on_garbage() {
  // sample: rate-limit
  static log::RateLimit limit{std::chrono::seconds(1)};
  if (auto suppressed = limit.pass()) log::warn("peer sends garbage", {{"suppressed", *suppressed}});
  // end of sample
}

TEST(ObservabilityGuide, KeepsALineThatRepeatsToOneAPeriod) {
  log::Capture capture;
  for (int i = 0; i < 100; ++i) on_garbage();
  EXPECT_LT(capture.lines().size(), 100u);
  EXPECT_TRUE(capture.find("peer sends garbage"));
}

// sample: metrics
struct Billing {
  metrics::Counter paid = metrics::default_registry().counter({.name = "orders.paid", .help = "Orders that were paid."},
                                                              {{"currency", "EUR"}});
  metrics::Histogram rendering =
      metrics::default_registry().histogram({.name = "invoice.render.duration", .unit = "s"});

  void on_paid() { paid.add(); }
  void on_rendered(std::chrono::nanoseconds elapsed) { rendering.record(elapsed); }
};
// end of sample

TEST(ObservabilityGuide, TestsMetrics) {
  // sample: test-metrics
  metrics::Registry mine;
  metrics::ReplaceDefault replaced(mine);
  Billing billing;
  billing.on_paid();
  EXPECT_THAT(mine.expose(), HasSubstr("orders_paid_total{currency=\"EUR\"} 1\n"));
  // end of sample
  billing.on_rendered(std::chrono::milliseconds(3));
  EXPECT_THAT(mine.expose(), HasSubstr("invoice_render_duration_seconds_count 1\n"));
}

// sample: collect
class Pool {
 public:
  explicit Pool(metrics::Registry& registry)
      : values_(registry.collect([this](metrics::Collector& out) {
          out.gauge({.name = "pool.connections.open"}, static_cast<double>(open_), {{"pool", "main"}});
        })) {}

 private:
  std::atomic<int> open_ = 3;
  metrics::Registry::Collection values_;  // last, so that it goes first
};
// end of sample

TEST(ObservabilityGuide, CollectsWhatAnObjectKnows) {
  metrics::Registry registry;
  {
    Pool pool(registry);
    EXPECT_THAT(registry.expose(), HasSubstr("pool_connections_open{pool=\"main\"} 3\n"));
  }
  EXPECT_EQ(registry.expose(), "");
}

}  // namespace
