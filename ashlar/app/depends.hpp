// Depends<function>: the result of a dependency, in a handler's or another dependency's parameter list.
#pragma once

#include <type_traits>

#include <ashlar/app/detail/traits.hpp>
#include <ashlar/app/parameters.hpp>

namespace ashlar {

/// Used like a pointer to the result, or as the result itself where a reference to it is wanted. Every Depends of the
/// same function in one request is the same object.
template <auto Function>
class Depends {
 public:
  using Result = detail::unwrapped_t<typename detail::Signature<decltype(Function)>::Result>;
  using value_type = std::remove_cvref_t<Result>;
  static_assert(!std::is_void_v<Result>, "a dependency returns something; one that only checks may return Checked");

  explicit Depends(value_type& value) noexcept : value_(&value) {}
  value_type* operator->() const noexcept { return value_; }
  value_type& operator*() const noexcept { return *value_; }
  operator value_type&() const noexcept { return *value_; }  // NOLINT: meant to be implicit

 private:
  value_type* value_;
};

/// Depends<Function> of a route that only callers with these scopes may use: `Security<current_user, "orders:read">
/// me`. The function, or a dependency of its, takes SecurityScopes and throws Forbidden for who has not got them, or
/// the program does not compile. They show in OpenAPI with the credentials that it reads. The function runs once a
/// request, with all the scopes that the route asks for.
template <auto Function, FixedString... Scopes>
class Security : public Depends<Function> {
 public:
  using Depends<Function>::Depends;
};

/// The result of a dependency that only checks something (and throws when it does not hold).
struct Checked {};

/// Marks a dependency whose result is destroyed after the answer is on its way, not before: specialise for the
/// function. `template <> inline constexpr bool ashlar::kCleanUpAfterAnswer<&trace_file> = true;`
template <auto Function>
inline constexpr bool kCleanUpAfterAnswer = false;

/// Marks a dependency that is made once a connection, by the first request that needs it, shared by the requests of the
/// connection (those of HTTP/2 at the same time, all on one loop; those of its WebSockets too) and destroyed with it:
/// `template <> inline constexpr bool ashlar::kOncePerConnection<&open_cursors> = true;` A connection may carry the
/// requests of many users, when a proxy is in front: so it takes nothing of a request, only resources,
/// ClientCertificate, and dependencies that are of the connection as well. It is no task. Background work and streams
/// may outlive it.
template <auto Function>
inline constexpr bool kOncePerConnection = false;

}  // namespace ashlar
