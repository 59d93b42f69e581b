// PrincipalLimit: how many requests one user, customer or key may send in a time, once it is known who asks.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <ashlar/app/scope.hpp>
#include <ashlar/http/exchange.hpp>

namespace ashlar {

class PrincipalLimit;
namespace detail {
class RateTable;
/// Asks one limit on behalf of a route, whose scope's dependency has run. False: the response is a problem.
bool ask_principal_limit(const PrincipalLimit& limit, Call& call);
}  // namespace detail

struct PrincipalLimitOptions {
  std::uint32_t requests = 100;  ///< in each `per`, evenly
  std::chrono::nanoseconds per = std::chrono::minutes{1};
  std::uint32_t burst = 0;        ///< so many at once, after a pause; 0: `requests`
  std::string name = "default";   ///< in metrics and in the answer's headers
  std::size_t max_keys = 32'768;  ///< principals remembered; see RateLimitOptions
};

/// As RateLimit, but by who has signed in, not by what anybody can write into a request:
///
///   PrincipalLimit reports{per<current_user, &User::id>, {.requests = 20, .per = 1h, .name = "reports"}};
///   app.post<"/reports">(make_report, {.principal_limits = {reports}});
///
/// It is asked after the dependencies of routers and its own, before those of the handler. Whoever is refused by them
/// (401) is not counted; limit those by address. app.use() of it does not compile: middleware runs before anybody has
/// signed in.
class PrincipalLimit {
 public:
  static constexpr bool kOfRoutes = true;

  /// Throws Invalid when no request would ever be allowed, or no key be kept.
  explicit PrincipalLimit(Scope of, PrincipalLimitOptions options = {});

  [[nodiscard]] const Scope& scope() const noexcept { return scope_; }

 private:
  friend bool detail::ask_principal_limit(const PrincipalLimit&, detail::Call&);
  Scope scope_;
  std::shared_ptr<detail::RateTable> table_;
};

}  // namespace ashlar
