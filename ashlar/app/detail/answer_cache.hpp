// AnswerCache: what ResponseCache keeps, and who makes what is not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <ashlar/app/detail/tag_index.hpp>
#include <ashlar/app/response_cache.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {

/// One answer; never changed.
struct KeptAnswer {
  std::string_view content_type;  ///< static storage, as in http::Response
  std::string headers;            ///< "Name: value\r\n"…, ETag and Cache-Control with them
  std::string etag;
  std::string body;
  async::TimePoint made;
  async::TimePoint stale;  ///< from then on it is none
  [[nodiscard]] std::size_t size() const noexcept { return headers.size() + etag.size() + body.size(); }
};

/// Where an answer is found again. The path comes first, so that those below a path are neighbours.
struct CacheKey {
  std::string text;
  std::vector<std::string> tags;
};

/// All loops share it. Any thread.
class AnswerCache {
 public:
  /// One run of a handler that others wait for.
  struct Flight {
    async::Event ended;
    // Written before `ended`.
    std::shared_ptr<const KeptAnswer> answer;  ///< for all who wait
    std::optional<Problem> problem;            ///< for all who wait
    bool again = false;  ///< who flew has been cancelled: another may try. None of the three: each for himself
    // Guarded by the cache.
    std::vector<std::string> tags;
    bool invalidated = false;
  };

  explicit AnswerCache(ResponseCacheOptions options);

  /// Null: it is not there.
  [[nodiscard]] std::shared_ptr<const KeptAnswer> find(std::string_view key);

  struct Turn {
    std::shared_ptr<const KeptAnswer> answer;  ///< it is there meanwhile
    std::shared_ptr<Flight> flight;            ///< to wait for, or to end
    bool leads = false;                        ///< the caller runs the handler, and calls land()
  };
  [[nodiscard]] Turn take_turn(const CacheKey& key);
  /// Ends a flight; keeps its answer, if there is one and nobody has invalidated it.
  void land(const CacheKey& key, const std::shared_ptr<Flight>& flight) noexcept;

  std::size_t invalidate_tag(std::string_view tag);
  std::size_t invalidate_prefix(std::string_view path);
  [[nodiscard]] ResponseCacheStats stats() const;
  [[nodiscard]] const ResponseCacheOptions& options() const noexcept { return options_; }

  void count_bypassed();
  void count_not_kept();

 private:
  struct Entry;
  using Entries = std::list<Entry>;  // the one used last at the front
  using Tags = TagIndex<Entries::iterator>;
  struct Entry {
    CacheKey key;
    std::shared_ptr<const KeptAnswer> answer;
    std::size_t bytes;
    std::vector<Tags::Place> in_tags = {};
  };

  std::shared_ptr<const KeptAnswer> find_locked(std::string_view key);
  void keep_locked(const CacheKey& key, std::shared_ptr<const KeptAnswer> answer);
  void drop_locked(Entries::iterator entry);
  void forget_flight_locked(std::map<std::string, std::shared_ptr<Flight>, std::less<>>::iterator flight);

  const ResponseCacheOptions options_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::map<std::string_view, Entries::iterator> by_key_;  // views of the entries
  Tags by_tag_;
  std::map<std::string, std::shared_ptr<Flight>, std::less<>> flights_;
  ResponseCacheStats stats_;
  metrics::Counter hits_, misses_, shared_, bypassed_, not_kept_, evicted_, invalidated_;
  metrics::UpDownCounter bytes_;
};

}  // namespace ashlar::detail
