#include <ashlar/app/detail/answer_cache.hpp>

#include <iterator>
#include <new>
#include <utility>

#include <ashlar/base/error.hpp>

namespace ashlar::detail {
namespace {

// What the list and the indexes need for an entry, and for each of its tags.
constexpr std::size_t kEntryOverhead = 320;
constexpr std::size_t kTagOverhead = 104;

std::size_t size_of(const CacheKey& key, const KeptAnswer& answer) noexcept {
  std::size_t size = kEntryOverhead + key.text.size() + answer.size();
  for (const std::string& tag : key.tags) size += kTagOverhead + 2 * tag.size();
  return size;
}

}  // namespace

AnswerCache::AnswerCache(ResponseCacheOptions options) : options_(std::move(options)) {
  if (options_.memory == 0 || options_.max_answer == 0) {
    throw Invalid("response cache '" + options_.name + "': memory and max_answer are above 0");
  }
  auto& registry = metrics::default_registry();
  const metrics::Label label{"cache", options_.name};
  const auto counter = [&](std::string_view name, std::string_view help) {
    return registry.counter({.name = name, .help = help}, {label});
  };
  hits_ = counter("ashlar.response_cache.hits", "Requests answered from the cache.");
  misses_ = counter("ashlar.response_cache.misses", "Requests whose handler ran.");
  shared_ = counter("ashlar.response_cache.shared", "Requests that waited for the handler of another.");
  bypassed_ = counter("ashlar.response_cache.bypassed", "Requests with credentials, that went past the cache.");
  not_kept_ = counter("ashlar.response_cache.not_kept", "Answers that must not be kept.");
  evicted_ = counter("ashlar.response_cache.evicted", "Answers that went to make room.");
  invalidated_ = counter("ashlar.response_cache.invalidated", "Answers forgotten by tag or prefix.");
  bytes_ = registry.up_down_counter(
      {.name = "ashlar.response_cache.size", .help = "Memory of the kept answers.", .unit = "By"}, {label});
}

std::shared_ptr<const KeptAnswer> AnswerCache::find_locked(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto entry = found->second;
  if (entry->answer->stale <= options_.now()) {
    drop_locked(entry);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  ++stats_.hits;
  hits_.add();
  return entry->answer;
}

std::shared_ptr<const KeptAnswer> AnswerCache::find(std::string_view key) {
  const std::lock_guard lock(mutex_);
  return find_locked(key);
}

AnswerCache::Turn AnswerCache::take_turn(const CacheKey& key) {
  const std::lock_guard lock(mutex_);
  Turn turn;
  turn.answer = find_locked(key.text);
  if (turn.answer != nullptr) return turn;
  if (const auto known = flights_.find(key.text); known != flights_.end()) {
    turn.flight = known->second;
    ++stats_.shared;
    shared_.add();
    return turn;
  }
  turn.flight = std::make_shared<Flight>();
  turn.flight->tags = key.tags;
  flights_.emplace(key.text, turn.flight);
  turn.leads = true;
  ++stats_.misses;
  misses_.add();
  return turn;
}

void AnswerCache::land(const CacheKey& key, const std::shared_ptr<Flight>& flight) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!flight->invalidated) {
      if (const auto known = flights_.find(key.text); known != flights_.end() && known->second == flight) {
        flights_.erase(known);
      }
      try {
        if (flight->answer != nullptr) keep_locked(key, flight->answer);
      } catch (const std::bad_alloc&) {  // it is as good without
      }
    }
  }
  flight->ended.set();
}

void AnswerCache::keep_locked(const CacheKey& key, std::shared_ptr<const KeptAnswer> answer) {
  const std::size_t bytes = size_of(key, *answer);
  if (bytes > options_.memory) return;
  if (const auto known = by_key_.find(key.text); known != by_key_.end()) drop_locked(known->second);
  while (stats_.bytes + bytes > options_.memory) {
    ++stats_.evicted;
    evicted_.add();
    drop_locked(std::prev(entries_.end()));
  }
  entries_.push_front({key, std::move(answer), bytes});
  const auto entry = entries_.begin();
  stats_.bytes += bytes;
  ++stats_.entries;
  bytes_.add(static_cast<std::int64_t>(bytes));
  by_key_.emplace(entry->key.text, entry);
  entry->in_tags.reserve(entry->key.tags.size());
  for (const std::string& tag : entry->key.tags) entry->in_tags.push_back(by_tag_.add(tag, entry));
}

void AnswerCache::drop_locked(Entries::iterator entry) {
  for (const Tags::Place place : entry->in_tags) by_tag_.remove(place);
  by_key_.erase(entry->key.text);
  stats_.bytes -= entry->bytes;
  --stats_.entries;
  bytes_.sub(static_cast<std::int64_t>(entry->bytes));
  entries_.erase(entry);
}

// Who waits for it gets its answer, which was asked for before; nobody gets it later.
void AnswerCache::forget_flight_locked(std::map<std::string, std::shared_ptr<Flight>, std::less<>>::iterator flight) {
  flight->second->invalidated = true;
  flights_.erase(flight);
}

std::size_t AnswerCache::invalidate_tag(std::string_view tag) {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  while (const auto* const entry = by_tag_.find(tag)) {
    drop_locked(*entry);
    ++count;
  }
  for (auto flight = flights_.begin(); flight != flights_.end();) {
    const auto one = flight++;
    for (const std::string& its : one->second->tags) {
      if (its != tag) continue;
      forget_flight_locked(one);
      break;
    }
  }
  stats_.invalidated += count;
  invalidated_.add(count);
  return count;
}

std::size_t AnswerCache::invalidate_prefix(std::string_view path) {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (auto one = by_key_.lower_bound(path); one != by_key_.end() && one->first.starts_with(path);) {
    const auto entry = (one++)->second;
    drop_locked(entry);
    ++count;
  }
  for (auto flight = flights_.lower_bound(path); flight != flights_.end() && flight->first.starts_with(path);) {
    forget_flight_locked(flight++);
  }
  stats_.invalidated += count;
  invalidated_.add(count);
  return count;
}

ResponseCacheStats AnswerCache::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void AnswerCache::count_bypassed() {
  bypassed_.add();
  const std::lock_guard lock(mutex_);
  ++stats_.bypassed;
}

void AnswerCache::count_not_kept() {
  not_kept_.add();
  const std::lock_guard lock(mutex_);
  ++stats_.not_kept;
}

}  // namespace ashlar::detail
