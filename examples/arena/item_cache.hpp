// Items that were read lately, for all loops of the process.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <ashlar/async/loop.hpp>

namespace arena {

/// At most `Places` values for `ttl` each; in a full part the place of an old one, or else of any other, is taken. A
/// value that was read before its item changed is not kept: put() takes the ticket of the miss that led to reading it.
template <class T, std::size_t Places = 16'384>
class ItemCache {
 public:
  explicit ItemCache(std::chrono::milliseconds ttl) : ttl_(ttl) {}

  struct Found {
    std::shared_ptr<const T> value;  // null: not here
    std::uint64_t ticket = 0;
  };
  Found get(std::int64_t id) {
    Part& part = part_of(id);
    const std::lock_guard lock(part.mutex);
    const auto at = part.entries.find(id);
    if (at == part.entries.end() || at->second.until <= ashlar::async::Clock::now()) return {nullptr, part.changes};
    return {at->second.value, part.changes};
  }
  void put(std::int64_t id, std::shared_ptr<const T> value, std::uint64_t ticket) {
    Part& part = part_of(id);
    const auto now = ashlar::async::Clock::now();
    const std::lock_guard lock(part.mutex);
    if (part.changes != ticket) return;
    if (part.entries.size() >= Places / kParts && !part.entries.contains(id)) make_room(part, now);
    part.entries.insert_or_assign(id, Entry{std::move(value), now + ttl_});
  }
  /// The item has changed. After the commit.
  void forget(std::int64_t id) {
    Part& part = part_of(id);
    const std::lock_guard lock(part.mutex);
    ++part.changes;
    part.entries.erase(id);
  }

 private:
  struct Entry {
    std::shared_ptr<const T> value;
    ashlar::async::TimePoint until;
  };
  struct Part {
    std::mutex mutex;
    std::unordered_map<std::int64_t, Entry> entries;
    std::uint64_t changes = 0;
  };
  static constexpr std::size_t kParts = 64;

  Part& part_of(std::int64_t id) { return parts_[static_cast<std::uint64_t>(id) % kParts]; }
  static void make_room(Part& part, ashlar::async::TimePoint now) {
    std::erase_if(part.entries, [&](const auto& one) { return one.second.until <= now; });
    if (part.entries.size() >= Places / kParts) part.entries.erase(part.entries.begin());
  }

  std::chrono::milliseconds ttl_;
  std::array<Part, kParts> parts_;
};

}  // namespace arena
