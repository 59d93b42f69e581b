// Methods: several of HTTP's methods as one template argument.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <ashlar/http/request.hpp>

namespace ashlar {

/// One handler for several methods of a path: `app.add<Methods{http::Method::put, http::Method::patch},
/// "/items/{id}">(…)`. The handler must fit each of them; each is a route of its own, in OpenAPI too.
struct Methods {
  std::uint16_t bits = 0;  ///< one each, by http::Method

  template <std::same_as<http::Method>... M>
    requires(sizeof...(M) > 1)
  consteval Methods(M... methods)  // NOLINT: a single method is no set, so that nothing converts by mistake
      : bits(static_cast<std::uint16_t>((... | (1U << static_cast<unsigned>(methods))))) {}

  [[nodiscard]] constexpr bool has(http::Method method) const noexcept {
    return ((bits >> static_cast<unsigned>(method)) & 1U) != 0;
  }
  [[nodiscard]] constexpr http::Method first() const noexcept {
    unsigned at = 0;
    while (((bits >> at) & 1U) == 0) ++at;
    return static_cast<http::Method>(at);
  }
};

}  // namespace ashlar
