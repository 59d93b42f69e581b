// Scope: whose a request is. Limits, idempotency keys and cached answers are kept apart by it.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/async/task.hpp>

namespace ashlar {

struct OperationInfo;
namespace detail {
class Call;
template <class T>
inline constexpr bool kNever = false;
/// What goes around single routes, after authentication.
template <class T>
concept OfRoutes = T::kOfRoutes;
}  // namespace detail

/// `per<current_user, &User::id>` (router.hpp): each for himself, as a dependency of the route says who it is. It runs
/// before whatever asks for the scope; the handler that depends on it, too, gets the same result. `anyone`: all
/// together.
struct Scope {
  Task<void> (*run)(detail::Call&) = nullptr;  ///< the dependency; null: anyone
  void (*describe)(OperationInfo&) = nullptr;
  void (*append)(detail::Call&, std::string& out) = nullptr;  ///< once it has run: who it is, as text

  [[nodiscard]] constexpr bool is_anyone() const noexcept { return run == nullptr; }

  // In place of a RateLimitKey.
  template <class Exchange>
  std::string_view operator()(Exchange&) const {
    static_assert(detail::kNever<Exchange>,
                  "a RateLimit asks before anybody has signed in, so per<…> is not known yet; use PrincipalLimit "
                  "limit{per<…>, {…}} in the options of routes: {.principal_limits = {limit}}");
    return {};
  }
};
inline constexpr Scope anyone{};

}  // namespace ashlar
