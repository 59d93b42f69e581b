// The signature of a handler or dependency, taken apart.
#pragma once

#include <type_traits>

#include <ashlar/async/task.hpp>

namespace ashlar::detail {

template <class... T>
struct List {
  static constexpr unsigned size = sizeof...(T);
};

template <class T, class L>
inline constexpr bool kContains = false;
template <class T, class... Ts>
inline constexpr bool kContains<T, List<Ts...>> = (std::is_same_v<T, Ts> || ...);

template <class L, class T>
struct AppendTo;
template <class... Ts, class T>
struct AppendTo<List<Ts...>, T> {
  using type = List<Ts..., T>;
};

template <class F>
struct Signature : Signature<decltype(&F::operator())> {};
template <class R, class... P>
struct Signature<R(P...)> {
  using Result = R;
  using Parameters = List<P...>;
};
template <class R, class... P>
struct Signature<R (*)(P...)> : Signature<R(P...)> {};
template <class R, class... P>
struct Signature<R (*)(P...) noexcept> : Signature<R(P...)> {};
template <class C, class R, class... P>
struct Signature<R (C::*)(P...)> : Signature<R(P...)> {};
template <class C, class R, class... P>
struct Signature<R (C::*)(P...) const> : Signature<R(P...)> {};
template <class C, class R, class... P>
struct Signature<R (C::*)(P...) noexcept> : Signature<R(P...)> {};
template <class C, class R, class... P>
struct Signature<R (C::*)(P...) const noexcept> : Signature<R(P...)> {};

// A generic lambda has no signature to read.
template <class F>
concept HasSignature = std::is_function_v<std::remove_pointer_t<F>> || requires { &F::operator(); };

template <class T>
struct Unwrapped {
  using type = T;
};
template <class T>
struct Unwrapped<Task<T>> {
  using type = T;
};
// The value that a function gives, whether by Task or not.
template <class T>
using unwrapped_t = typename Unwrapped<T>::type;

template <class T, template <class...> class Of>
inline constexpr bool kIs = false;
template <class... T, template <class...> class Of>
inline constexpr bool kIs<Of<T...>, Of> = true;

}  // namespace ashlar::detail
