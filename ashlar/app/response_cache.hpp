// ResponseCache: answers of GET routes kept in memory and given again, in the words of RFC 9111.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/scope.hpp>
#include <ashlar/async/context.hpp>

namespace ashlar {

namespace detail {
class AnswerCache;
struct CacheRules;
}  // namespace detail

struct ResponseCacheOptions {
  std::size_t memory = 64 * 1024 * 1024;  ///< bytes of all answers; the one used least recently goes
  std::size_t max_answer = 1024 * 1024;   ///< bytes; a larger one is not kept
  std::string name = "default";           ///< in metrics: ashlar_response_cache_hits_total{cache="default"}
  async::TimePoint (*now)() = &async::Clock::now;
};

/// What a route's answers depend on, and how long they stay.
struct CacheOptions {
  std::chrono::milliseconds ttl = std::chrono::minutes{1};
  /// How old the client's copy may become before it asks again; 0: it asks each time, and gets 304 when nothing has
  /// changed. Invalidating reaches no copies outside.
  std::chrono::seconds client_ttl{0};
  /// The query parameters that count; default: the query string as it was sent.
  std::optional<std::vector<std::string>> query = {};
  std::vector<std::string> vary = {};  ///< request headers that count; they are named in Vary
  /// For invalidate_tag; "{slug}" is replaced by the parameter of the path: "article:{slug}".
  std::vector<std::string> tags = {};
  /// The answer is the same for everybody, whoever asks. Without a scope and without this, requests with Authorization
  /// or cookies are not answered from the cache, nor are their answers kept.
  bool ignore_credentials = false;
};

/// The rule of one route, for its options: `{.cache = pages.keep({.ttl = 30s})}`.
class CachedAnswers {
 public:
  static constexpr bool kOfRoutes = true;

  explicit CachedAnswers(std::shared_ptr<const detail::CacheRules> rules) noexcept : rules_(std::move(rules)) {}
  /// For the application that uses it.
  [[nodiscard]] const std::shared_ptr<const detail::CacheRules>& rules() const noexcept { return rules_; }

 private:
  std::shared_ptr<const detail::CacheRules> rules_;
};

struct ResponseCacheStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;       ///< the handler ran
  std::uint64_t shared = 0;       ///< waited for the handler of another request
  std::uint64_t bypassed = 0;     ///< credentials
  std::uint64_t not_kept = 0;     ///< answers that must not be
  std::uint64_t evicted = 0;      ///< to make room
  std::uint64_t invalidated = 0;  ///< by tag or prefix
  std::size_t entries = 0;        ///< now
  std::size_t bytes = 0;          ///< now
};

/// Of many requests for the same answer at the same time one runs the handler, and the others wait for it, over all
/// loops of the process. Kept are answers with 200 and a body in memory, but not those with Set-Cookie, with
/// Cache-Control no-store, no-cache or (but for a scope of its own) private, or with a Vary that the rule does not
/// name. max-age and s-maxage of the handler shorten the ttl. Each answer has a strong ETag of its content, unless the
/// handler gives one, so that conditional requests get 304.
///
/// On a hit neither the handler nor its dependencies run: only the dependencies of routers and of the scope do. So
/// start-up refuses a rule under which a route reads a header, a cookie or credentials that the rule does not know.
/// What a client says in Cache-Control is not obeyed: it would let everybody go past the cache.
///
///   ResponseCache pages;
///   app.get<"/articles/{slug}">(article, {.cache = pages.keep({.ttl = 5min, .tags = {"article:{slug}"}})});
///   pages.invalidate_tag("article:" + slug);
///
/// Copies are the same cache. Any thread.
class ResponseCache {
 public:
  static constexpr bool kOfRoutes = true;

  explicit ResponseCache(ResponseCacheOptions options = {});

  /// For everybody.
  [[nodiscard]] CachedAnswers keep(CacheOptions options = {}) const { return keep(anyone, std::move(options)); }
  /// For each by himself: `pages.keep(per<current_user, &User::id>, {.ttl = 10s})`.
  [[nodiscard]] CachedAnswers keep(Scope of, CacheOptions options = {}) const;

  /// Forgets answers, and those that handlers are making now. Give how many were there.
  std::size_t invalidate_tag(std::string_view tag) const;
  /// By the path as it was sent: "/articles/".
  std::size_t invalidate_prefix(std::string_view path) const;
  void clear() const;

  /// Of this process.
  [[nodiscard]] ResponseCacheStats stats() const;

 private:
  std::shared_ptr<detail::AnswerCache> cache_;
};

}  // namespace ashlar
