// `Annotated<T, rules...>`: a T that carries its constraints and description in its type.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <ashlar/schema/rules.hpp>

namespace ashlar {

namespace schema::detail {
template <class T>
concept Inheritable = std::is_class_v<T> && !std::is_final_v<T>;
}

/// Wherever a T goes: a class type is derived from, so `in.title` is a std::string; numbers, bool and enums convert
/// both ways by themselves, and `.value` names the T. The rules are checked when the value is read from outside (JSON,
/// query, settings), not when the program assigns it.
template <class T, auto... R>
struct Annotated {
  T value;

  constexpr Annotated() = default;
  constexpr Annotated(T v) : value(std::move(v)) {}               // NOLINT: a drop-in for T
  constexpr operator T&() noexcept { return value; }              // NOLINT
  constexpr operator const T&() const noexcept { return value; }  // NOLINT
};

template <class T, auto... R>
  requires schema::detail::Inheritable<T>
struct Annotated<T, R...> : T {
  using T::T;
  using T::operator=;
  Annotated() = default;
  Annotated(const T& v) : T(v) {}                                                          // NOLINT: a drop-in for T
  Annotated(T&& v) noexcept(std::is_nothrow_move_constructible_v<T>) : T(std::move(v)) {}  // NOLINT
};

namespace schema {

namespace detail {
template <class T>
struct Unannotated {
  using type = T;
};
template <class T, auto... R>
struct Unannotated<Annotated<T, R...>> {
  using type = typename Unannotated<T>::type;
};
}  // namespace detail

/// T without its annotations.
template <class T>
using unannotated_t = typename detail::Unannotated<std::remove_cv_t<T>>::type;

template <class T>
inline constexpr bool kIsAnnotated = !std::is_same_v<std::remove_cv_t<T>, unannotated_t<T>>;

/// The value itself, whatever annotations it wears.
template <class T>
constexpr auto& unannotated(T& value) noexcept {
  if constexpr (!kIsAnnotated<T>) {
    return value;
  } else if constexpr (requires { value.value; } && !detail::Inheritable<unannotated_t<T>>) {
    return unannotated(value.value);
  } else {
    using Plain = std::conditional_t<std::is_const_v<T>, const unannotated_t<T>, unannotated_t<T>>;
    return static_cast<Plain&>(value);
  }
}

}  // namespace schema
}  // namespace ashlar
