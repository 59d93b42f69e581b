// RateLimit: how many requests one client may send in a time, for the whole application or for some routes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <ashlar/app/middleware.hpp>

namespace ashlar {

class RateLimit;
namespace detail {
class RateTable;
/// Asks one limit on behalf of a route. False: the response is a problem.
bool ask_rate_limit(const RateLimit& limit, const Core& core, http::Exchange& exchange);
/// Adds the headers of all limits that were asked.
void write_rate_limit_headers(http::Exchange& exchange) noexcept;
}  // namespace detail

/// Who a request counts for: bytes that live as long as the exchange. Empty: it is not limited.
using RateLimitKey = std::function<std::string_view(http::Exchange&)>;

/// By the address of the client; IPv6 by its /64, which is what one customer gets. Behind a proxy it takes
/// TrustedProxies to see the client. Peers on Unix sockets are not limited.
[[nodiscard]] RateLimitKey by_peer();
/// By the value of a header, such as an API key; without the header by the address. Where made-up keys are not refused
/// anyhow, limit by address too: each new key begins anew.
[[nodiscard]] RateLimitKey by_header(std::string name);

struct RateLimitOptions {
  std::uint32_t requests = 100;  ///< in each `per`, evenly
  std::chrono::nanoseconds per = std::chrono::minutes{1};
  std::uint32_t burst = 0;  ///< so many at once, after a pause; 0: `requests`
  RateLimitKey key = by_peer();
  /// In metrics, ashlar_rate_limit_refused_total{limit="default"}, and in the answer's headers. ASCII that prints.
  std::string name = "default";
  std::size_t max_keys = 32'768;  ///< clients remembered, 16 bytes each; the one nearest to a fresh start is forgotten
};

/// The generic cell rate algorithm (ITU-T I.371): one time a client, no windows with edges. More than the limit is
/// answered with 429 and Retry-After; every answer says what the limit is and what is left of it, of several limits
/// each by its name (draft-ietf-httpapi-ratelimit-headers-11):
///
///   RateLimit-Policy: "default";q=600;w=60, "sign-in";q=5;w=60     600 in 60 seconds, 5 in 60 seconds
///   RateLimit: "default";r=412;t=1, "sign-in";r=0;t=12             0 left, and one more in 12 seconds
///
/// Several with one name are told as one, the one with the least left.
///
/// `app.use(RateLimit{{.requests = 600}})` limits everything; `RateLimit logins{{.requests = 5}}` in the options of
/// routes, `{.rate_limits = {logins}}`, limits these, together. Copies share their counts. Counts are exact over all
/// loops of the process; several processes count each for itself.
class RateLimit final : public Middleware {
 public:
  /// Throws Invalid when no request would ever be allowed, no key be kept, or the name is no ASCII.
  explicit RateLimit(RateLimitOptions options = {});

  bool before(http::Exchange& exchange) override;

 private:
  friend bool detail::ask_rate_limit(const RateLimit&, const detail::Core&, http::Exchange&);
  std::shared_ptr<detail::RateTable> table_;
};

}  // namespace ashlar
