// Metrics: counters, gauges and histograms that cost a few nanoseconds to record and are read by a scrape.
//
// A metric is named as OpenTelemetry names it (`http.server.request.duration`, unit `s`) and is exposed as Prometheus
// expects it (`http_server_request_duration_seconds`). A handle is a metric with its labels already resolved: resolve
// it once (a mutex and a map), keep it, record through it (no lock, no allocation, no shared cache line).
//
//   metrics::Registry& registry = metrics::default_registry();
//   metrics::Histogram duration = registry.histogram(
//       {.name = "http.server.request.duration", .help = "Duration of requests.", .unit = "s"}, {{"http.route",
//       "/articles"}});
//   duration.record(elapsed);
//
// Every thread records into cells of its own; a scrape adds them up. A thread that ends leaves its cells to the next.
// Handles are small values, usable from any thread, and may outlive their registry (then they record nothing).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar::metrics {

struct Label {
  std::string_view name;
  std::string_view value;
};

// A view of labels; lives as long as what it was made from (as a parameter: the call).
class Labels {
 public:
  Labels() = default;
  Labels(std::initializer_list<Label> labels) : labels_(labels.begin(), labels.size()) {}
  Labels(std::span<const Label> labels) : labels_(labels) {}
  const Label* begin() const noexcept { return labels_.data(); }
  const Label* end() const noexcept { return labels_.data() + labels_.size(); }
  std::size_t size() const noexcept { return labels_.size(); }

 private:
  std::span<const Label> labels_;
};

enum class Kind : std::uint8_t { counter, gauge, histogram };

// What a metric is. `unit` is UCUM as OpenTelemetry writes it: "s", "By", "1", "{request}".
struct Description {
  std::string_view name;
  std::string_view help = {};
  std::string_view unit = {};
};

// Upper bounds of histogram buckets, ascending, at most 64; the last bucket (+Inf) is implied.
using Buckets = std::span<const double>;
// What OpenTelemetry's semantic conventions advise for `http.server.request.duration`, and below it the resolution that
// a server answering in microseconds needs.
inline constexpr std::array<double, 18> kLatencyBuckets{0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075,
                                                        0.1,    0.25,    0.5,    0.75,  1,     2.5,  5,     7.5,  10};
inline constexpr std::array<double, 8> kSizeBuckets{128, 1024, 8192, 65536, 262144, 1048576, 8388608, 67108864};

namespace detail {

using Cell = std::atomic<std::uint64_t>;
inline constexpr std::uint32_t kChunkCells = 512;
inline constexpr std::uint32_t kMaxChunks = 1024;

// Cells written by one thread (or, the registry's common shard, by all with plain stores), read by the scrape.
struct Shard {
  std::array<std::atomic<Cell*>, kMaxChunks> chunks{};
  std::atomic<bool> in_use{false};
  Shard() = default;
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard();
  Cell* chunk(std::uint32_t index);  // allocates it on first use; owner thread only
};

// The registry this thread recorded into last. Ids are never reused, so a stale entry cannot match.
struct ThreadCache {
  std::uint64_t registry = ~std::uint64_t{0};
  Shard* own = nullptr;
  Shard* common = nullptr;
};
extern constinit thread_local ThreadCache t_cache;

bool enter_registry(std::uint64_t registry);  // fills t_cache; false: that registry is gone
Cell* new_chunk(std::uint64_t registry, std::uint32_t cell);

struct Slot {
  std::uint64_t registry = 0;  // 0: a handle of nothing
  std::uint32_t cell = 0;

  Cell* own() const {
    if (t_cache.registry == registry) [[likely]] {
      Cell* chunk = t_cache.own->chunks[cell / kChunkCells].load(std::memory_order_relaxed);
      if (chunk != nullptr) [[likely]]
        return chunk + cell % kChunkCells;
    }
    return new_chunk(registry, cell);
  }
};

// One writer a cell: a load and a store, no locked instruction.
inline void add(Cell& cell, std::uint64_t n) noexcept {
  cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace detail

// Only grows. A default-made handle records nothing (so do the others).
class Counter {
 public:
  Counter() = default;
  void add(std::uint64_t n = 1) {
    if (auto* cell = slot_.own()) detail::add(*cell, n);
  }

 private:
  friend class Registry;
  explicit Counter(detail::Slot slot) : slot_(slot) {}
  detail::Slot slot_;
};

// Goes up and down by steps, from any thread: requests in flight, open connections. Exposed as a gauge.
class UpDownCounter {
 public:
  UpDownCounter() = default;
  void add(std::int64_t n = 1) {
    if (auto* cell = slot_.own()) detail::add(*cell, static_cast<std::uint64_t>(n));
  }
  void sub(std::int64_t n = 1) { add(-n); }

 private:
  friend class Registry;
  explicit UpDownCounter(detail::Slot slot) : slot_(slot) {}
  detail::Slot slot_;
};

// Holds the value set last, by whichever thread. For a value that something else already knows, prefer
// Registry::collect(), which costs nothing between scrapes.
class Gauge {
 public:
  Gauge() = default;
  void set(double value) {
    if (detail::t_cache.registry != slot_.registry && !detail::enter_registry(slot_.registry)) return;
    detail::Cell* chunk =
        detail::t_cache.common->chunks[slot_.cell / detail::kChunkCells].load(std::memory_order_acquire);
    if (chunk == nullptr) return;
    chunk[slot_.cell % detail::kChunkCells].store(std::bit_cast<std::uint64_t>(value), std::memory_order_relaxed);
  }

 private:
  friend class Registry;
  explicit Gauge(detail::Slot slot) : slot_(slot) {}
  detail::Slot slot_;
};

// Counts values in fixed buckets, with their sum.
class Histogram {
 public:
  Histogram() = default;
  void record(double value) {
    detail::Cell* cells = slot_.own();
    if (cells == nullptr) return;
    std::uint32_t bucket = 0;
    while (bucket < size_ && !(value <= bounds_[bucket])) ++bucket;  // NaN falls into +Inf
    detail::add(cells[bucket], 1);
    detail::Cell& sum = cells[size_ + 1];
    sum.store(std::bit_cast<std::uint64_t>(std::bit_cast<double>(sum.load(std::memory_order_relaxed)) + value),
              std::memory_order_relaxed);
  }
  // In seconds, the unit of every duration.
  void record(std::chrono::nanoseconds elapsed) { record(static_cast<double>(elapsed.count()) * 1e-9); }

 private:
  friend class Registry;
  Histogram(detail::Slot slot, Buckets bounds)
      : slot_(slot), size_(static_cast<std::uint32_t>(bounds.size())), bounds_(bounds.data()) {}
  detail::Slot slot_;
  std::uint32_t size_ = 0;
  const double* bounds_ = nullptr;  // interned, never freed
};

// One time series as a scrape sees it.
struct Series {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;                    // counters and gauges
  std::vector<std::uint64_t> buckets;  // histograms: each bucket's own count, +Inf last
  double sum = 0;                      // histograms
};
struct Family {
  std::string name;  // as given
  std::string help;
  std::string unit;
  Kind kind = Kind::counter;
  std::vector<double> bounds;
  std::vector<Series> series;
};

// Given to the functions of Registry::collect(): hand over the values you know at this moment.
class Collector {
 public:
  // Several series of one name must agree on kind and unit; a value that does not is left out.
  virtual void counter(const Description& description, double value, Labels labels = {}) = 0;
  virtual void gauge(const Description& description, double value, Labels labels = {}) = 0;

 protected:
  ~Collector() = default;
};

enum class Exposition : std::uint8_t { prometheus, openmetrics };
// What a scraper asked for in its Accept header (RFC 9110 §12.5.1): OpenMetrics if named and not ranked below
// text/plain, else the Prometheus text format.
Exposition negotiate(std::string_view accept) noexcept;
std::string_view content_type(Exposition exposition) noexcept;

// `http.server.request.duration`, "s", histogram → `http_server_request_duration_seconds`. Counters end in `_total`.
// https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
std::string prometheus_name(std::string_view name, std::string_view unit, Kind kind);

struct RegistryOptions {
  // Of one metric. Further label sets share one series labelled otel_metric_overflow="true" and are counted in
  // ashlar_metrics_series_refused_total{metric}: a label from user input must not eat the memory.
  std::size_t max_series = 1000;
};

// Metrics that are exposed together. All functions: any thread.
class Registry {
 public:
  explicit Registry(RegistryOptions options = {});
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Each gives the same series again for the same name and labels. Throws Internal when the name is already used with
  // another kind, unit, buckets or label names, or is not a legal name: a programming error.
  Counter counter(const Description& description, Labels labels = {});
  UpDownCounter up_down_counter(const Description& description, Labels labels = {});
  Gauge gauge(const Description& description, Labels labels = {});
  Histogram histogram(const Description& description, Labels labels = {}, Buckets buckets = kLatencyBuckets);

  // Runs at every scrape, on the thread that scrapes, until the returned token is destroyed (which waits for a running
  // scrape, so the function may refer to its owner). It must not block, nor destroy a token.
  class Collection {
   public:
    Collection() = default;
    Collection(Collection&&) noexcept = default;
    Collection& operator=(Collection&& other) noexcept;
    ~Collection();

   private:
    friend class Registry;
    struct State;
    explicit Collection(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };
  [[nodiscard]] Collection collect(std::function<void(Collector&)> function);

  // All families with all their series, by name.
  std::vector<Family> snapshot() const;
  // For /metrics. https://prometheus.io/docs/instrumenting/exposition_formats/, OpenMetrics 1.0
  // `more` labels are added to every series that has no label of that name.
  std::string expose(Exposition exposition = Exposition::prometheus, Labels more = {}) const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

// What several processes expose as one text: each family once, with the series of all. They must differ in a label.
std::string merge_expositions(std::span<const std::string> texts, Exposition exposition);

// The registry of this process, with its process metrics, unless a test replaced it.
Registry& default_registry();

// Makes `registry` the default one while this lives. For tests; take handles afresh inside.
class ReplaceDefault {
 public:
  explicit ReplaceDefault(Registry& registry);
  ~ReplaceDefault();
  ReplaceDefault(const ReplaceDefault&) = delete;
  ReplaceDefault& operator=(const ReplaceDefault&) = delete;

 private:
  Registry* before_;
};

// process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds,
// process_max_fds, process_threads, process_start_time_seconds (the names every Prometheus dashboard knows), and
// ashlar_log_lines_dropped_total.
[[nodiscard]] Registry::Collection collect_process(Registry& registry);

}  // namespace ashlar::metrics
