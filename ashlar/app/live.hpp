// live{}: marks settings that may change while the program runs.
#pragma once

#include <type_traits>
#include <utility>

#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/reflect.hpp>

namespace ashlar {

/// `Annotated<int, live{}> page_size = 20;`. Of a struct, all that is in it. See Live.
struct live {};

namespace detail {

template <class T>
inline constexpr bool kIsLive = false;
template <class T, auto... R>
inline constexpr bool kIsLive<Annotated<T, R...>> =
    (std::is_same_v<std::remove_cvref_t<decltype(R)>, live> || ...) || kIsLive<T>;

/// Whether it is live, or has a member that is.
template <class T>
consteval bool contains_live() {
  using Plain = schema::unannotated_t<T>;
  if constexpr (kIsLive<T>) {
    return true;
  } else if constexpr (schema::Reflected<Plain>) {
    return decltype(schema::visit_members(std::declval<Plain&>(), []<class... M>(M&...) {
      return std::integral_constant<bool, (contains_live<M>() || ...)>{};
    }))::value;
  } else {
    return false;
  }
}

}  // namespace detail
}  // namespace ashlar
