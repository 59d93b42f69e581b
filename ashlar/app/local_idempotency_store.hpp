// LocalIdempotencyStore: idempotency keys in the memory of this process.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <ashlar/async/context.hpp>
#include <ashlar/async/idempotency_store.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar {

struct LocalIdempotencyOptions {
  /// Bytes of keys and answers. When they are used up, the oldest answer is forgotten before its time, which
  /// ashlar_idempotency_forgotten_total counts; when all requests still run, new keys are refused with 503.
  std::size_t memory = 64 * 1024 * 1024;
  async::TimePoint (*now)() = &async::Clock::now;
};

/// All loops share it. Any thread.
class LocalIdempotencyStore final : public async::IdempotencyStore {
 public:
  explicit LocalIdempotencyStore(LocalIdempotencyOptions options = {});

  Task<Found> begin(Attempt attempt) override;
  Task<bool> complete(std::string key, Uuid attempt, Answer answer) override;
  Task<void> abandon(std::string key, Uuid attempt) override;

  /// Now.
  [[nodiscard]] std::size_t keys() const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    std::string fingerprint;
    Uuid attempt;
    async::TimePoint lease_ends;
    async::TimePoint forget_at;
    std::optional<Answer> answer;
    [[nodiscard]] std::size_t size() const noexcept;
  };
  using Entries = std::list<Entry>;  // the oldest first

  void drop(Entries::iterator entry);
  void make_room(async::TimePoint now, std::size_t size, const Entry* keep);
  Entries::iterator find_running(std::string_view key, Uuid attempt);

  const LocalIdempotencyOptions options_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_key_;  // views of the entries
  std::size_t bytes_ = 0;
  metrics::Counter forgotten_;
};

}  // namespace ashlar
