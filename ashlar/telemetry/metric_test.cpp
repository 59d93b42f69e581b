#include <ashlar/telemetry/metric.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <latch>
#include <thread>

#include <ashlar/base/error.hpp>

namespace ashlar::metrics {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

double value_of(const Registry& registry, std::string_view name) {
  for (const Family& family : registry.snapshot()) {
    if (family.name == name) return family.series.at(0).value;
  }
  return NAN;
}

TEST(Counter, CountsWhatEveryThreadAdded) {
  Registry registry;
  Counter counter = registry.counter({.name = "orders"});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10'000; ++i) counter.add();
      });
    }
    while (value_of(registry, "orders") < 10'000) std::this_thread::yield();  // a scrape may come at any time
  }
  counter.add(2);
  EXPECT_EQ(value_of(registry, "orders"), 40'002);
}

TEST(Counter, KeepsTheCountsOfThreadsThatEndedAndReusesTheirCells) {
  Registry registry;
  Counter counter = registry.counter({.name = "orders"});
  for (int i = 0; i < 100; ++i) std::jthread([&] { counter.add(); });
  EXPECT_EQ(value_of(registry, "orders"), 100);
}

TEST(Counter, IsTheSameSeriesForTheSameLabelsInAnyOrder) {
  Registry registry;
  registry.counter({.name = "orders"}, {{"a", "1"}, {"b", "2"}}).add();
  registry.counter({.name = "orders"}, {{"b", "2"}, {"a", "1"}}).add();
  auto families = registry.snapshot();
  ASSERT_EQ(families.size(), 1u);
  ASSERT_EQ(families[0].series.size(), 1u);
  EXPECT_EQ(families[0].series[0].value, 2);
}

TEST(Counter, RecordsNothingWhenItIsOfNoRegistryOrOfOneThatIsGone) {
  Counter().add();
  Gauge().set(1);
  Histogram().record(1.0);
  Counter counter;
  Gauge gauge;
  Histogram histogram;
  {
    Registry registry;
    counter = registry.counter({.name = "a"});
    gauge = registry.gauge({.name = "b"});
    histogram = registry.histogram({.name = "c"});
    counter.add();
  }
  Registry other;
  other.counter({.name = "x"}).add();
  counter.add();
  gauge.set(2);
  histogram.record(1.0);
  EXPECT_EQ(value_of(other, "x"), 1);
}

TEST(UpDownCounter, MayRiseOnOneThreadAndFallOnAnother) {
  Registry registry;
  UpDownCounter active = registry.up_down_counter({.name = "active"});
  active.add(3);
  std::jthread([&] { active.sub(5); }).join();
  EXPECT_EQ(value_of(registry, "active"), -2);
}

TEST(Gauge, HoldsTheLastValueOfAnyThread) {
  Registry registry;
  Gauge gauge = registry.gauge({.name = "temperature"});
  gauge.set(1);
  std::jthread([&] { gauge.set(36.6); }).join();
  EXPECT_EQ(value_of(registry, "temperature"), 36.6);
}

TEST(Histogram, CountsEachValueInTheFirstBucketThatHoldsIt) {
  Registry registry;
  constexpr double kBounds[] = {1, 2, 5};
  Histogram histogram = registry.histogram({.name = "size"}, {}, kBounds);
  for (double value : {0.5, 1.0, 1.5, 5.0, 6.0}) histogram.record(value);
  histogram.record(std::chrono::milliseconds(1500));
  auto series = registry.snapshot().at(0).series.at(0);
  EXPECT_THAT(series.buckets, ElementsAre(2, 2, 1, 1));
  EXPECT_DOUBLE_EQ(series.sum, 15.5);
}

TEST(Registry, RefusesADifferentDescriptionOfTheSameName) {
  Registry registry;
  registry.counter({.name = "a.b", .unit = "s"}, {{"x", "1"}});
  auto message = [](auto f) -> std::string {
    try {
      f();
    } catch (const Internal& error) {
      return error.message();
    }
    return "";
  };
  EXPECT_THAT(message([&] { registry.counter({.name = "a.b", .unit = "s"}, {{"y", "1"}}); }),
              HasSubstr("metric 'a.b': already made with labels [x]"));
  EXPECT_THAT(message([&] { registry.counter({.name = "a_b", .unit = "s"}); }), HasSubstr("cannot tell it from 'a.b'"));
  EXPECT_THAT(message([&] { registry.counter({.name = "no spaces"}); }), HasSubstr("not a legal name"));
  EXPECT_THAT(message([&] { registry.counter({.name = "ok"}, {{"x", "1"}, {"x", "2"}}); }), HasSubstr("twice"));
  registry.gauge({.name = "g"});
  EXPECT_THAT(message([&] { registry.up_down_counter({.name = "g"}); }), HasSubstr("another kind"));
  constexpr double kBounds[] = {2, 1};
  EXPECT_THAT(message([&] { registry.histogram({.name = "h"}, {}, kBounds); }), HasSubstr("must ascend"));
  EXPECT_EQ(registry.snapshot().size(), 2u);
}

TEST(Registry, BoundsTheSeriesOfAMetricAndSaysSo) {
  Registry registry({.max_series = 2});
  for (const char* user : {"a", "b", "c", "d", "a"}) registry.counter({.name = "hits"}, {{"user", user}}).add();
  std::string text = registry.expose();
  EXPECT_THAT(text, HasSubstr("hits_total{user=\"a\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("hits_total{user=\"b\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("hits_total{otel_metric_overflow=\"true\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("ashlar_metrics_series_refused_total{metric=\"hits\"} 2\n"));
}

TEST(Registry, HasRoomForManySeriesOfHistograms) {
  Registry registry;
  std::vector<Histogram> all;
  for (int i = 0; i < 300; ++i) all.push_back(registry.histogram({.name = "h"}, {{"i", std::to_string(i)}}));
  for (Histogram& histogram : all) histogram.record(0.01);
  auto families = registry.snapshot();
  for (const Series& series : families.at(0).series) EXPECT_DOUBLE_EQ(series.sum, 0.01);
}

TEST(Registry, AsksItsCollectionsAtEveryScrapeUntilTheyEnd) {
  Registry registry;
  double open = 1;
  auto first = registry.collect([&](Collector& out) { out.gauge({.name = "pool.open"}, open, {{"pool", "main"}}); });
  {
    auto second = registry.collect([&](Collector& out) { out.gauge({.name = "pool.open"}, 10, {{"pool", "main"}}); });
    EXPECT_EQ(value_of(registry, "pool.open"), 11);
  }
  open = 2;
  EXPECT_EQ(value_of(registry, "pool.open"), 2);
  first = {};
  EXPECT_TRUE(registry.snapshot().empty());
}

TEST(Registry, CanBeReplacedAsTheDefaultOne) {
  Registry& before = default_registry();
  {
    Registry mine;
    ReplaceDefault replaced(mine);
    EXPECT_EQ(&default_registry(), &mine);
  }
  EXPECT_EQ(&default_registry(), &before);
}

TEST(Registry, MayBeScrapedWhileThreadsComeRecordAndGo) {
  Registry registry;
  std::atomic<bool> stop = false;
  std::jthread scraper([&] {
    while (!stop) registry.expose();
  });
  for (int round = 0; round < 50; ++round) {
    std::jthread([&] {
      registry.histogram({.name = "h"}, {{"round", std::to_string(round)}}).record(0.5);
      registry.gauge({.name = "g"}).set(round);
    });
  }
  stop = true;
}

TEST(PrometheusName, FollowsOpenTelemetry) {
  EXPECT_EQ(prometheus_name("http.server.request.duration", "s", Kind::histogram),
            "http_server_request_duration_seconds");
  EXPECT_EQ(prometheus_name("http.server.requests", "{request}", Kind::counter), "http_server_requests_total");
  EXPECT_EQ(prometheus_name("bytes.sent", "By", Kind::counter), "bytes_sent_bytes_total");
  EXPECT_EQ(prometheus_name("process.cpu.seconds.total", "s", Kind::counter), "process_cpu_seconds_total");
  EXPECT_EQ(prometheus_name("cpu.utilization", "1", Kind::gauge), "cpu_utilization_ratio");
  EXPECT_EQ(prometheus_name("a-b", "", Kind::gauge), "a_b");
}

TEST(Exposition, WritesThePrometheusTextFormat) {
  Registry registry;
  registry.counter({.name = "orders", .help = "Orders\nof \\ today."}, {{"shop.name", "a\"b\\c\nd"}}).add(3);
  constexpr double kBounds[] = {0.5, 1};
  registry.histogram({.name = "took", .unit = "s"}, {{"q", "x"}}, kBounds).record(0.75);
  EXPECT_EQ(registry.expose(),
            "# HELP orders_total Orders\\nof \\\\ today.\n"
            "# TYPE orders_total counter\n"
            "orders_total{shop_name=\"a\\\"b\\\\c\\nd\"} 3\n"
            "# TYPE took_seconds histogram\n"
            "took_seconds_bucket{q=\"x\",le=\"0.5\"} 0\n"
            "took_seconds_bucket{q=\"x\",le=\"1\"} 1\n"
            "took_seconds_bucket{q=\"x\",le=\"+Inf\"} 1\n"
            "took_seconds_sum{q=\"x\"} 0.75\n"
            "took_seconds_count{q=\"x\"} 1\n");
}

TEST(Exposition, WritesOpenMetrics) {
  Registry registry;
  registry.counter({.name = "cpu", .help = "Say \"hi\".", .unit = "s"}).add(3);
  constexpr double kBounds[] = {1};
  registry.histogram({.name = "took", .unit = "s"}, {}, kBounds).record(0.75);
  EXPECT_EQ(registry.expose(Exposition::openmetrics),
            "# HELP cpu_seconds Say \\\"hi\\\".\n"
            "# TYPE cpu_seconds counter\n"
            "# UNIT cpu_seconds seconds\n"
            "cpu_seconds_total 3\n"
            "# TYPE took_seconds histogram\n"
            "# UNIT took_seconds seconds\n"
            "took_seconds_bucket{le=\"1.0\"} 1\n"
            "took_seconds_bucket{le=\"+Inf\"} 1\n"
            "took_seconds_sum 0.75\n"
            "took_seconds_count 1\n"
            "# EOF\n");
}

TEST(Exposition, IsChosenByAccept) {
  EXPECT_EQ(negotiate(""), Exposition::prometheus);
  EXPECT_EQ(negotiate("*/*"), Exposition::prometheus);
  EXPECT_EQ(negotiate("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"),
            Exposition::openmetrics);
  EXPECT_EQ(negotiate("application/openmetrics-text; q=0.1, text/plain"), Exposition::prometheus);
  EXPECT_EQ(negotiate("application/openmetrics-text;q=0"), Exposition::prometheus);
}

TEST(ProcessMetrics, TellOfThisProcess) {
  Registry registry;
  auto process = collect_process(registry);
  EXPECT_GT(value_of(registry, "process.cpu"), 0);
  EXPECT_GT(value_of(registry, "process.resident_memory"), 1 << 20);
  EXPECT_GE(value_of(registry, "process.open_fds"), 3);
  EXPECT_GE(value_of(registry, "process.threads"), 1);
  double now = static_cast<double>(::time(nullptr));
  EXPECT_NEAR(value_of(registry, "process.start_time"), now, 600);
  std::string text = registry.expose();
  for (const char* name :
       {"process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_virtual_memory_bytes ",
        "process_open_fds ", "process_max_fds ", "process_start_time_seconds ", "ashlar_log_lines_dropped_total "}) {
    EXPECT_THAT(text, HasSubstr(name));
  }
}

TEST(Exposition, AddsMoreLabelsToSeriesThatLackThem) {
  Registry registry;
  registry.counter({.name = "plain"}).add(1);
  registry.counter({.name = "labelled"}, {{"route", "/a"}}).add(2);
  registry.gauge({.name = "its_own"}, {{"worker", "9"}}).set(3);
  registry.histogram({.name = "took", .unit = "s"}, {}, std::array{1.0}).record(0.5);
  const std::string text = registry.expose(Exposition::prometheus, {{"worker", "2"}});
  EXPECT_THAT(text, HasSubstr("plain_total{worker=\"2\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("labelled_total{route=\"/a\",worker=\"2\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("its_own{worker=\"9\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("took_seconds_bucket{worker=\"2\",le=\"+Inf\"} 1\n"));
}

TEST(Exposition, MergesTheTextsOfSeveralProcesses) {
  const auto text_of = [](const char* worker, bool more, Exposition form) {
    Registry registry;
    registry.counter({.name = "orders", .help = "Orders paid."}).add(5);
    if (more) registry.gauge({.name = "ages", .unit = "s"}).set(7);
    return registry.expose(form, {{"worker", worker}});
  };
  const std::vector prometheus{text_of("0", false, Exposition::prometheus), text_of("1", true, Exposition::prometheus)};
  EXPECT_EQ(merge_expositions(prometheus, Exposition::prometheus),
            "# TYPE ages_seconds gauge\n"
            "ages_seconds{worker=\"1\"} 7\n"
            "# HELP orders_total Orders paid.\n"
            "# TYPE orders_total counter\n"
            "orders_total{worker=\"0\"} 5\n"
            "orders_total{worker=\"1\"} 5\n");
  const std::vector openmetrics{text_of("0", false, Exposition::openmetrics),
                                text_of("1", true, Exposition::openmetrics)};
  const std::string merged = merge_expositions(openmetrics, Exposition::openmetrics);
  EXPECT_THAT(merged,
              HasSubstr("# TYPE ages_seconds gauge\n# UNIT ages_seconds seconds\nages_seconds{worker=\"1\"} 7\n"));
  EXPECT_THAT(merged, testing::EndsWith("orders_total{worker=\"1\"} 5\n# EOF\n"));
  EXPECT_EQ(merged.find("# EOF"), merged.rfind("# EOF"));
}

}  // namespace
}  // namespace ashlar::metrics
