#include <ashlar/app/local_idempotency_store.hpp>

#include <chrono>
#include <iterator>
#include <utility>

#include <ashlar/base/error.hpp>

namespace ashlar {

using std::chrono::milliseconds;

LocalIdempotencyStore::LocalIdempotencyStore(LocalIdempotencyOptions options)
    : options_(options),
      forgotten_(metrics::default_registry().counter(
          {.name = "ashlar.idempotency.forgotten", .help = "Idempotency keys forgotten before their time: memory."})) {}

// With what the list and the index need.
std::size_t LocalIdempotencyStore::Entry::size() const noexcept {
  constexpr std::size_t kOverhead = 128;
  return sizeof(Entry) + kOverhead + key.size() + fingerprint.size() +
         (answer ? answer->headers.size() + answer->body.size() : 0);
}

void LocalIdempotencyStore::drop(Entries::iterator entry) {
  bytes_ -= entry->size();
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void LocalIdempotencyStore::make_room(async::TimePoint now, std::size_t size, const Entry* keep) {
  while (!entries_.empty() && entries_.front().forget_at <= now && &entries_.front() != keep) drop(entries_.begin());
  for (auto entry = entries_.begin(); bytes_ + size > options_.memory && entry != entries_.end();) {
    const auto one = entry++;
    const bool dead = !one->answer && one->lease_ends <= now;
    if (&*one == keep || (!one->answer && !dead)) continue;
    if (one->forget_at > now) forgotten_.add();
    drop(one);
  }
}

Task<async::IdempotencyStore::Found> LocalIdempotencyStore::begin(Attempt attempt) {
  const async::TimePoint now = options_.now();
  const std::lock_guard lock(mutex_);
  if (const auto known = by_key_.find(attempt.key); known != by_key_.end()) {
    Entry& entry = *known->second;
    if (entry.forget_at <= now) {
      drop(known->second);
    } else if (entry.fingerprint != attempt.fingerprint) {
      co_return Found{.state = State::other_request};
    } else if (entry.answer) {
      co_return Found{.state = State::answered, .answer = *entry.answer};
    } else if (entry.lease_ends > now) {
      co_return Found{.state = State::running, .lease_left = std::chrono::ceil<milliseconds>(entry.lease_ends - now)};
    } else {
      drop(known->second);  // whoever did it is gone
    }
  }
  Entry entry{.key = std::move(attempt.key),
              .fingerprint = std::move(attempt.fingerprint),
              .attempt = attempt.id,
              .lease_ends = now + attempt.lease,
              .forget_at = now + attempt.keep,
              .answer = {}};
  make_room(now, entry.size(), nullptr);
  if (bytes_ + entry.size() > options_.memory) {
    throw Unavailable("there are more requests under way than their idempotency keys can be remembered");
  }
  bytes_ += entry.size();
  entries_.push_back(std::move(entry));
  const auto last = std::prev(entries_.end());
  by_key_.emplace(last->key, last);
  co_return Found{};
}

LocalIdempotencyStore::Entries::iterator LocalIdempotencyStore::find_running(std::string_view key, Uuid attempt) {
  const auto known = by_key_.find(key);
  if (known == by_key_.end() || known->second->attempt != attempt || known->second->answer) return entries_.end();
  return known->second;
}

Task<bool> LocalIdempotencyStore::complete(std::string key, Uuid attempt, Answer answer) {
  const async::TimePoint now = options_.now();
  const std::lock_guard lock(mutex_);
  const auto entry = find_running(key, attempt);
  if (entry == entries_.end()) co_return false;
  const std::size_t size = answer.headers.size() + answer.body.size();
  // Others are not forgotten for what would not fit without them either.
  if (entry->size() + size <= options_.memory) make_room(now, size, &*entry);
  bytes_ -= entry->size();
  // That it was done is what must not be forgotten.
  entry->answer = bytes_ + size <= options_.memory ? std::move(answer) : Answer{.status = 0};
  bytes_ += entry->size();
  co_return true;
}

Task<void> LocalIdempotencyStore::abandon(std::string key, Uuid attempt) {
  const std::lock_guard lock(mutex_);
  const auto entry = find_running(key, attempt);
  if (entry != entries_.end()) drop(entry);
  co_return;
}

std::size_t LocalIdempotencyStore::keys() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::size_t LocalIdempotencyStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace ashlar
