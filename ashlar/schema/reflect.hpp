// Reflection of plain structs: how many members, what they are called, where they lie. No macros, no std::tuple.
//
// A struct takes part by itself when it is an aggregate of 1…128 members (at most one base, and either the base or the
// struct has the members). Any other class says so with `static constexpr auto members = ashlar::members<&T::a,
// &T::b>;`, or `inherited_members<Base, &T::a>` when a base has members too. Members must be neither references,
// bit-fields nor C arrays. Everything else in `schema`, `pg` and the command line is built on the functions of this
// header, so that C++26 reflection can replace what is behind them.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ashlar/schema/detail/bind.hpp>

namespace ashlar {

/// The explicit list of members of a class that is not an aggregate, or has members beside those of its base.
template <auto... Pointers>
struct Members {};
template <auto... Pointers>
inline constexpr Members<Pointers...> members{};

/// Those of a base struct and then these: `static constexpr auto members = ashlar::inherited_members<Base, &T::a>;`.
template <class Base, auto... Pointers>
struct InheritedMembers {};
template <class Base, auto... Pointers>
inline constexpr InheritedMembers<Base, Pointers...> inherited_members{};

namespace schema {

/// A value that is one thing, not a struct of members, though the language sees an aggregate. Specialise for your own;
/// a class with `static parse(std::string_view)` and `to_string()` is one by itself.
template <class T>
inline constexpr bool kIsValue = requires(const T& v, std::string_view text) {
  T::parse(text);
  v.to_string();
};
template <class T, std::size_t N>
inline constexpr bool kIsValue<std::array<T, N>> = true;

namespace detail {

template <class T>
concept ListsMembers = requires { T::members; };

// Stand-ins for a member or base of any type; never called.
template <class Owner>
struct AnyMember {
  template <class T>
    requires(!std::is_base_of_v<std::remove_cvref_t<T>, Owner>)
  constexpr operator T() const noexcept {
    __builtin_unreachable();
  }
};

template <class Owner>
struct AnyBase {
  template <class T>
    requires(std::is_base_of_v<std::remove_cvref_t<T>, Owner> && !std::is_same_v<std::remove_cvref_t<T>, Owner>)
  constexpr operator T() const noexcept {
    __builtin_unreachable();
  }
};

template <class T, std::size_t>
using AnyMemberAt = AnyMember<T>;

template <class T, std::size_t... I>
consteval bool takes(std::index_sequence<I...>) {
  return requires { T{AnyMemberAt<T, I>{}...}; };
}

template <class T, std::size_t... I>
consteval bool takes_after_base(std::index_sequence<I...>) {
  return requires { T{AnyBase<T>{}, AnyMemberAt<T, I>{}...}; };
}

inline constexpr std::size_t kMaxMembers = 128;

// A struct whose last members cannot be left out (no default constructor) takes no shorter list, so the search walks up
// to the first count that fits and on to the last.
template <class T, bool AfterBase, std::size_t N = 0, bool Found = false>
consteval std::size_t count_members() {
  constexpr bool fits = [] {
    if constexpr (AfterBase) {
      return takes_after_base<T>(std::make_index_sequence<N>{});
    } else {
      return takes<T>(std::make_index_sequence<N>{});
    }
  }();
  if constexpr (fits && N < kMaxMembers) {
    return count_members<T, AfterBase, N + 1, true>();
  } else if constexpr (fits) {
    return N;
  } else if constexpr (Found) {
    return N - 1;
  } else if constexpr (N < kMaxMembers) {
    return count_members<T, AfterBase, N + 1, false>();
  } else {
    return 0;
  }
}

template <class T>
inline constexpr bool kHasBase = takes_after_base<T>(std::index_sequence<>{});

// A base with members gives them to a flat list by brace elision; an empty one cannot be skipped that way.
template <class T>
inline constexpr std::size_t kMembersWithBase = count_members<T, false>();
template <class T>
inline constexpr std::size_t kOwnMembers = count_members<T, kHasBase<T>>();

template <class T>
consteval bool base_and_own_members() {
  if constexpr (kHasBase<T>) {
    return kMembersWithBase<T> > 0 && kOwnMembers<T> > 0;
  } else {
    return false;
  }
}

template <auto... Pointers>
consteval std::size_t count_listed(Members<Pointers...>) {
  return sizeof...(Pointers);
}

template <class T>
consteval std::size_t member_count();
template <class Base, auto... Pointers>
consteval std::size_t count_listed(InheritedMembers<Base, Pointers...>) {
  return member_count<Base>() + sizeof...(Pointers);
}

template <class T>
consteval std::size_t member_count() {
  if constexpr (ListsMembers<T>) {
    return count_listed(T::members);
  } else {
    return kMembersWithBase<T> > 0 ? kMembersWithBase<T> : kOwnMembers<T>;
  }
}

template <class T, class F, auto... Pointers>
constexpr decltype(auto) visit_listed(T& value, F&& f, Members<Pointers...>) {
  return f((value.*Pointers)...);
}

template <class T, class F, class Base, auto... Pointers>
constexpr decltype(auto) visit_listed(T& value, F&& f, InheritedMembers<Base, Pointers...>);

// Never defined: only the addresses of its members are named, at compile time.
template <class T>
struct Holder {
  T value;
};
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
template <class T>
extern const Holder<T> kFake;
#pragma clang diagnostic pop

template <std::size_t N>
struct Addresses {
  const void* at[N == 0 ? 1 : N];
};

// One instantiation a struct: the compiler prints "… = Addresses<2>{{&kFake.value.id, &kFake.value.title}}]".
template <Addresses Members>
consteval std::string_view printed() {
  return __PRETTY_FUNCTION__;
}

template <auto Pointer>
consteval std::string_view printed_pointer() {  // "… [Pointer = &Account::id_]"
  return __PRETTY_FUNCTION__;
}

constexpr std::string_view last_identifier(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0 && (text[end - 1] == ']' || text[end - 1] == '}')) --end;
  std::size_t begin = end;
  while (begin > 0 && text[begin - 1] != '.' && text[begin - 1] != ':') --begin;
  return text.substr(begin, end - begin);
}

template <auto... Pointers>
consteval auto listed_names(Members<Pointers...>) {
  return std::array<std::string_view, sizeof...(Pointers)>{last_identifier(printed_pointer<Pointers>())...};
}

}  // namespace detail

/// The number of members, in order of declaration.
template <class T>
inline constexpr std::size_t kMemberCount = detail::member_count<std::remove_cv_t<T>>();

/// A struct that readers and writers can walk through.
template <class T>
concept Reflected = std::is_class_v<T> && !kIsValue<std::remove_cv_t<T>> &&
                    (detail::ListsMembers<T> || (std::is_aggregate_v<T> && !std::is_empty_v<T>));

/// Calls f(member&...) once with all members of `value` and gives back what it gives.
template <class T, class F>
constexpr decltype(auto) visit_members(T& value, F&& f) {
  using Struct = std::remove_cv_t<T>;
  if constexpr (detail::ListsMembers<Struct>) {
    return detail::visit_listed(value, f, Struct::members);
  } else {
    static_assert(!detail::base_and_own_members<Struct>(),
                  "a struct with members of its own and of its base must list its own: "
                  "static constexpr auto members = ashlar::inherited_members<Base, &T::a, &T::b>;");
    static_assert(kMemberCount<Struct> > 0, "this struct cannot be reflected: are its members references or C arrays?");
    return detail::Bind<kMemberCount<Struct>>::visit(value, f);
  }
}

namespace detail {

template <class T, class F, class Base, auto... Pointers>
constexpr decltype(auto) visit_listed(T& value, F&& f, InheritedMembers<Base, Pointers...>) {
  using Part = std::conditional_t<std::is_const_v<T>, const Base, Base>;
  return visit_members(static_cast<Part&>(value),
                       [&](auto&... inherited) -> decltype(auto) { return f(inherited..., (value.*Pointers)...); });
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
template <class T>
consteval auto addresses() {
  return visit_members(kFake<T>.value, [](auto&... m) { return Addresses<sizeof...(m)>{{&m...}}; });
}

// Pointer differences inside the fake are folded by the compiler, though reinterpret_cast is not a constant expression:
// that is what __builtin_constant_p in front of ?: is for.
template <class T>
consteval auto offsets() {
  return visit_members(kFake<T>.value, [](auto&... m) {
    const auto& start = kFake<T>.value;
    return std::array<std::size_t, sizeof...(m)>{static_cast<std::size_t>(
        __builtin_constant_p(reinterpret_cast<const char*>(&m) - reinterpret_cast<const char*>(&start))
            ? reinterpret_cast<const char*>(&m) - reinterpret_cast<const char*>(&start)
            : reinterpret_cast<const char*>(&m) - reinterpret_cast<const char*>(&start))...};
  });
}
#pragma clang diagnostic pop

template <class T>
consteval auto member_names();
template <class Base, auto... Pointers>
consteval auto listed_names(InheritedMembers<Base, Pointers...>) {
  constexpr auto base = member_names<Base>();
  constexpr auto own = listed_names(Members<Pointers...>{});
  std::array<std::string_view, base.size() + own.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = i < base.size() ? base[i] : own[i - base.size()];
  return names;
}

template <class T>
consteval auto member_names() {
  if constexpr (ListsMembers<T>) {
    return listed_names(T::members);
  } else {
    constexpr std::string_view text = printed<addresses<T>()>();
    std::array<std::string_view, kMemberCount<T>> names{};
    std::size_t end = text.size();
    for (std::size_t i = names.size(); i-- > 0;) {
      names[i] = last_identifier(text.substr(0, end));
      end = text.rfind(',', end - 1);
    }
    return names;
  }
}

}  // namespace detail

/// The members' names as they stand in the source.
template <class T>
inline constexpr auto kMemberNames = detail::member_names<std::remove_cv_t<T>>();

/// The members' distances in bytes from the start of the struct.
template <class T>
inline constexpr auto kMemberOffsets = detail::offsets<std::remove_cv_t<T>>();

template <class T>
constexpr std::string_view member_name(std::size_t index) {
  return kMemberNames<T>[index];
}

/// Calls f(name, member&) for each member, in order of declaration.
template <class T, class F>
constexpr void for_each_member(T& value, F&& f) {
  visit_members(value, [&f](auto&... m) {
    std::size_t i = 0;
    (f(kMemberNames<T>[i++], m), ...);
  });
}

}  // namespace schema
}  // namespace ashlar
