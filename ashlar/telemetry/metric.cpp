#include <ashlar/telemetry/metric.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <list>
#include <map>
#include <mutex>
#include <ranges>

#include <ashlar/base/error.hpp>

namespace ashlar::metrics {
namespace detail {

constinit thread_local ThreadCache t_cache;

Shard::~Shard() {
  for (auto& chunk : chunks) delete[] chunk.load(std::memory_order_relaxed);
}

Cell* Shard::chunk(std::uint32_t index) {
  Cell* cells = chunks[index].load(std::memory_order_acquire);
  if (cells == nullptr) {
    cells = new Cell[kChunkCells]();
    chunks[index].store(cells, std::memory_order_release);
  }
  return cells;
}

namespace {

// The shards of one registry. Outlives the registry while threads hold their shard.
struct Shards {
  std::uint64_t id = 0;
  Shard common;
  std::mutex mutex;
  std::list<Shard> all;  // stable addresses; as many as threads recorded at the same time
  std::atomic<bool> alive{true};

  Shard& take() {
    std::lock_guard lock(mutex);
    for (Shard& shard : all) {
      // Acquire pairs with the release of the thread that ended: its last values are there to add to.
      bool free = false;
      if (shard.in_use.compare_exchange_strong(free, true, std::memory_order_acquire)) return shard;
    }
    Shard& shard = all.emplace_back();
    shard.in_use.store(true, std::memory_order_relaxed);
    return shard;
  }
};

struct LiveRegistries {
  std::mutex mutex;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::shared_ptr<Shards>> shards;
};
LiveRegistries& live_registries() {
  static auto* live = new LiveRegistries;  // never destroyed: threads may end after main
  return *live;
}

struct Held {
  std::shared_ptr<Shards> shards;
  Shard* own;
};
constinit thread_local bool t_thread_ended = false;
struct ThreadShards {
  std::vector<Held> held;
  ~ThreadShards() {
    t_cache = ThreadCache{};
    t_thread_ended = true;
    for (Held& entry : held) entry.own->in_use.store(false, std::memory_order_release);
  }
};
thread_local ThreadShards t_shards;

}  // namespace

bool enter_registry(std::uint64_t registry) {
  if (registry == 0 || t_thread_ended) return false;
  auto& held = t_shards.held;
  for (Held& entry : held) {
    if (entry.shards->id == registry && entry.shards->alive.load(std::memory_order_relaxed)) {
      t_cache = {registry, entry.own, &entry.shards->common};
      return true;
    }
  }
  std::shared_ptr<Shards> shards;
  {
    LiveRegistries& live = live_registries();
    std::lock_guard lock(live.mutex);
    auto found = live.shards.find(registry);
    if (found == live.shards.end()) return false;
    shards = found->second;
  }
  t_cache = ThreadCache{};  // may point into what is dropped next
  std::erase_if(held, [](const Held& entry) { return !entry.shards->alive.load(std::memory_order_relaxed); });
  Shard& own = shards->take();
  t_cache = {registry, &own, &shards->common};
  held.push_back({std::move(shards), &own});
  return true;
}

Cell* new_chunk(std::uint64_t registry, std::uint32_t cell) {
  if (t_cache.registry != registry && !enter_registry(registry)) return nullptr;
  return t_cache.own->chunk(cell / kChunkCells) + cell % kChunkCells;
}

namespace {

// Bounds live for ever, so that handles may outlive registries; programs have a handful of different ones.
Buckets intern(Buckets bounds) {
  static auto* mutex = new std::mutex;
  static auto* all = new std::list<std::vector<double>>;
  std::lock_guard lock(*mutex);
  for (const auto& known : *all) {
    if (std::ranges::equal(known, bounds)) return known;
  }
  return all->emplace_back(bounds.begin(), bounds.end());
}

enum class Instrument : std::uint8_t { counter, up_down_counter, gauge, histogram };

constexpr Kind kind_of(Instrument instrument) {
  switch (instrument) {
    case Instrument::counter:
      return Kind::counter;
    case Instrument::up_down_counter:
    case Instrument::gauge:
      return Kind::gauge;
    case Instrument::histogram:
      return Kind::histogram;
  }
  return Kind::gauge;
}

bool legal_name(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (name.empty() || !letter(name.front())) return false;
  return std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; });
}

struct StoredFamily {
  std::string name, help, unit;
  Instrument instrument = Instrument::counter;
  Buckets bounds;
  std::vector<std::string> label_names;
  std::map<std::vector<std::string>, std::uint32_t> cells;  // label values → first cell
  std::uint32_t overflow_cell = 0;                          // 0: none yet
  std::uint64_t refused = 0;
};

// Sorted by name, so that {a, b} and {b, a} are the same series.
std::vector<std::pair<std::string, std::string>> sorted(Labels labels) {
  std::vector<std::pair<std::string, std::string>> result;
  result.reserve(labels.size());
  for (const Label& label : labels) result.emplace_back(label.name, label.value);
  std::ranges::sort(result);
  return result;
}

}  // namespace
}  // namespace detail

using detail::Cell;
using detail::Instrument;
using detail::kChunkCells;
using detail::kMaxChunks;

struct Registry::Collection::State {
  std::mutex mutex;  // held while the function runs
  std::function<void(Collector&)> function;
};

Registry::Collection& Registry::Collection::operator=(Collection&& other) noexcept {
  if (this == &other) return *this;
  Collection before(std::move(state_));
  state_ = std::move(other.state_);
  return *this;
}
Registry::Collection::~Collection() {
  if (state_ == nullptr) return;
  std::lock_guard lock(state_->mutex);
  state_->function = nullptr;
}

struct Registry::Core {
  RegistryOptions options;
  std::shared_ptr<detail::Shards> shards = std::make_shared<detail::Shards>();
  mutable std::mutex mutex;                              // of all below
  std::map<std::string, detail::StoredFamily> families;  // by name without dots and dashes: what Prometheus sees
  std::uint32_t next_cell = 1;                           // 0 means none
  mutable std::vector<std::weak_ptr<Collection::State>> collections;

  detail::StoredFamily& family(const Description& description, Instrument instrument, Buckets bounds,
                               const std::vector<std::pair<std::string, std::string>>& labels);
  std::uint32_t allocate(std::uint32_t count);
  detail::Slot slot(const Description& description, Labels labels, Instrument instrument, Buckets bounds);
  std::uint64_t read(std::uint32_t cell) const;
  std::uint64_t read_common(std::uint32_t cell) const;
  Series series(const detail::StoredFamily& family, std::uint32_t cell) const;
};

detail::StoredFamily& Registry::Core::family(const Description& description, Instrument instrument, Buckets bounds,
                                             const std::vector<std::pair<std::string, std::string>>& labels) {
  auto refuse = [&](std::string_view why) {
    throw Internal(fmt::format("metric '{}': {}; give it one description everywhere", description.name, why));
  };
  if (!detail::legal_name(description.name)) refuse("not a legal name (letters, digits, '.', '_', '-')");
  std::string key = prometheus_name(description.name, description.unit, kind_of(instrument));
  auto [found, fresh] = families.try_emplace(std::move(key));
  detail::StoredFamily& family = found->second;
  if (fresh) {
    try {
      for (const auto& [name, value] : labels) {
        if (!detail::legal_name(name)) refuse(fmt::format("label '{}' is not a legal name", name));
        family.label_names.push_back(name);
      }
      if (std::ranges::adjacent_find(family.label_names) != family.label_names.end()) refuse("a label is given twice");
      if (bounds.size() > 64 || !std::ranges::is_sorted(bounds, std::less_equal{})) {
        refuse("histogram buckets must ascend and be at most 64");
      }
    } catch (...) {
      families.erase(found);
      throw;
    }
    family.name = description.name;
    family.help = description.help;
    family.unit = description.unit;
    family.instrument = instrument;
    family.bounds = instrument == Instrument::histogram ? detail::intern(bounds) : Buckets{};
    return family;
  }
  if (family.name != description.name) refuse(fmt::format("Prometheus cannot tell it from '{}'", family.name));
  if (family.instrument != instrument) refuse("already made as another kind of metric");
  if (family.unit != description.unit) refuse(fmt::format("already made with unit '{}'", family.unit));
  if (instrument == Instrument::histogram && !std::ranges::equal(family.bounds, bounds)) {
    refuse("already made with other buckets");
  }
  auto names = labels | std::views::keys;
  if (!std::ranges::equal(family.label_names, names)) {
    refuse(fmt::format("already made with labels [{}]", fmt::join(family.label_names, ", ")));
  }
  return family;
}

std::uint32_t Registry::Core::allocate(std::uint32_t count) {
  std::uint32_t room = kChunkCells - next_cell % kChunkCells;
  if (room < count) next_cell += room;  // the cells of a series stay in one chunk
  if (next_cell + count > kChunkCells * kMaxChunks) return 0;
  std::uint32_t cell = next_cell;
  next_cell += count;
  return cell;
}

detail::Slot Registry::Core::slot(const Description& description, Labels given, Instrument instrument, Buckets bounds) {
  auto labels = detail::sorted(given);
  std::lock_guard lock(mutex);
  detail::StoredFamily& stored = family(description, instrument, bounds, labels);
  std::vector<std::string> values;
  values.reserve(labels.size());
  for (auto& [name, value] : labels) values.push_back(std::move(value));
  if (auto known = stored.cells.find(values); known != stored.cells.end()) return {shards->id, known->second};

  // A histogram has a cell a bucket, one for +Inf and one for the sum.
  std::uint32_t count = instrument == Instrument::histogram ? static_cast<std::uint32_t>(stored.bounds.size()) + 2 : 1;
  std::uint32_t cell = stored.cells.size() < options.max_series ? allocate(count) : 0;
  if (cell != 0) {
    stored.cells.emplace(std::move(values), cell);
  } else {
    ++stored.refused;
    if (stored.overflow_cell == 0) stored.overflow_cell = allocate(count);
    cell = stored.overflow_cell;
    if (cell == 0) return {};  // half a million cells are taken; what is refused is counted
  }
  if (instrument == Instrument::gauge) shards->common.chunk(cell / kChunkCells);
  return {shards->id, cell};
}

std::uint64_t Registry::Core::read_common(std::uint32_t cell) const {
  const Cell* chunk = shards->common.chunks[cell / kChunkCells].load(std::memory_order_acquire);
  return chunk == nullptr ? 0 : chunk[cell % kChunkCells].load(std::memory_order_relaxed);
}

std::uint64_t Registry::Core::read(std::uint32_t cell) const {
  std::uint64_t sum = 0;
  for (const detail::Shard& shard : shards->all) {
    const Cell* chunk = shard.chunks[cell / kChunkCells].load(std::memory_order_acquire);
    if (chunk != nullptr) sum += chunk[cell % kChunkCells].load(std::memory_order_relaxed);
  }
  return sum;
}

// Under mutex and shards->mutex.
Series Registry::Core::series(const detail::StoredFamily& family, std::uint32_t cell) const {
  Series result;
  switch (family.instrument) {
    case Instrument::counter:
      result.value = static_cast<double>(read(cell));
      break;
    case Instrument::up_down_counter:
      result.value = static_cast<double>(static_cast<std::int64_t>(read(cell)));
      break;
    case Instrument::gauge:
      result.value = std::bit_cast<double>(read_common(cell));
      break;
    case Instrument::histogram: {
      auto size = static_cast<std::uint32_t>(family.bounds.size());
      for (std::uint32_t i = 0; i <= size; ++i) result.buckets.push_back(read(cell + i));
      std::uint32_t sum_cell = cell + size + 1;
      for (const detail::Shard& shard : shards->all) {
        const Cell* chunk = shard.chunks[sum_cell / kChunkCells].load(std::memory_order_acquire);
        if (chunk == nullptr) continue;
        result.sum += std::bit_cast<double>(chunk[sum_cell % kChunkCells].load(std::memory_order_relaxed));
      }
    }
  }
  return result;
}

Registry::Registry(RegistryOptions options) : core_(std::make_shared<Core>()) {
  core_->options = options;
  detail::LiveRegistries& live = detail::live_registries();
  std::lock_guard lock(live.mutex);
  core_->shards->id = ++live.last_id;
  live.shards.emplace(core_->shards->id, core_->shards);
}

Registry::~Registry() {
  core_->shards->alive.store(false, std::memory_order_relaxed);
  detail::LiveRegistries& live = detail::live_registries();
  std::lock_guard lock(live.mutex);
  live.shards.erase(core_->shards->id);
}

Counter Registry::counter(const Description& description, Labels labels) {
  return Counter(core_->slot(description, labels, Instrument::counter, {}));
}
UpDownCounter Registry::up_down_counter(const Description& description, Labels labels) {
  return UpDownCounter(core_->slot(description, labels, Instrument::up_down_counter, {}));
}
Gauge Registry::gauge(const Description& description, Labels labels) {
  return Gauge(core_->slot(description, labels, Instrument::gauge, {}));
}
Histogram Registry::histogram(const Description& description, Labels labels, Buckets buckets) {
  detail::Slot slot = core_->slot(description, labels, Instrument::histogram, buckets);
  return Histogram(slot, detail::intern(buckets));
}

Registry::Collection Registry::collect(std::function<void(Collector&)> function) {
  auto state = std::make_shared<Collection::State>();
  state->function = std::move(function);
  std::lock_guard lock(core_->mutex);
  std::erase_if(core_->collections, [](const auto& weak) { return weak.expired(); });
  core_->collections.push_back(state);
  return Collection(std::move(state));
}

namespace {

class SnapshotCollector final : public Collector {
 public:
  explicit SnapshotCollector(std::map<std::string, Family>& families) : families_(families) {}
  void counter(const Description& description, double value, Labels labels) override {
    add(description, value, labels, Kind::counter);
  }
  void gauge(const Description& description, double value, Labels labels) override {
    add(description, value, labels, Kind::gauge);
  }

 private:
  void add(const Description& description, double value, Labels labels, Kind kind) {
    if (!detail::legal_name(description.name)) return;
    Family& family = families_[prometheus_name(description.name, description.unit, kind)];
    if (family.name.empty()) {
      family.name = description.name;
      family.help = description.help;
      family.unit = description.unit;
      family.kind = kind;
    }
    if (family.kind != kind || family.unit != description.unit || family.name != description.name) return;
    auto sorted = detail::sorted(labels);
    // The same series from several owners (a pool a loop) adds up: Prometheus refuses a page that has it twice.
    for (Series& known : family.series) {
      if (known.labels == sorted) {
        known.value += value;
        return;
      }
    }
    family.series.push_back({.labels = std::move(sorted), .value = value});
  }
  std::map<std::string, Family>& families_;
};

}  // namespace

std::vector<Family> Registry::snapshot() const {
  std::map<std::string, Family> families;
  std::vector<std::shared_ptr<Collection::State>> collections;
  SnapshotCollector collector(families);
  {
    std::scoped_lock lock(core_->mutex, core_->shards->mutex);
    for (const auto& [key, stored] : core_->families) {
      Family& family = families[key];
      family.name = stored.name;
      family.help = stored.help;
      family.unit = stored.unit;
      family.kind = kind_of(stored.instrument);
      family.bounds.assign(stored.bounds.begin(), stored.bounds.end());
      for (const auto& [values, cell] : stored.cells) {
        Series& series = family.series.emplace_back(core_->series(stored, cell));
        for (std::size_t i = 0; i < values.size(); ++i) series.labels.emplace_back(stored.label_names[i], values[i]);
      }
      if (stored.overflow_cell != 0) {
        family.series.push_back(core_->series(stored, stored.overflow_cell));
        family.series.back().labels.emplace_back("otel.metric.overflow", "true");
      }
      if (stored.refused != 0) {
        collector.counter({.name = "ashlar.metrics.series_refused", .help = "Label sets refused: too many series."},
                          static_cast<double>(stored.refused), {{"metric", stored.name}});
      }
    }
    for (const auto& weak : core_->collections) {
      if (auto state = weak.lock()) collections.push_back(std::move(state));
    }
  }
  // Without our locks: the functions may make metrics.
  for (const auto& state : collections) {
    std::lock_guard lock(state->mutex);
    if (state->function) state->function(collector);
  }
  std::vector<Family> result;
  result.reserve(families.size());
  for (auto& [key, family] : families) result.push_back(std::move(family));
  return result;
}

namespace {
std::atomic<Registry*>& replaced_default() {
  static std::atomic<Registry*> registry{nullptr};
  return registry;
}
}  // namespace

Registry& default_registry() {
  if (Registry* replaced = replaced_default().load(std::memory_order_acquire)) return *replaced;
  struct Default {
    Registry registry;
    Registry::Collection process = collect_process(registry);
  };
  static auto* instance = new Default;  // never destroyed: recorded to until the last thread ends
  return instance->registry;
}

ReplaceDefault::ReplaceDefault(Registry& registry)
    : before_(replaced_default().exchange(&registry, std::memory_order_acq_rel)) {}
ReplaceDefault::~ReplaceDefault() { replaced_default().store(before_, std::memory_order_release); }

}  // namespace ashlar::metrics
