// Names of enumerators, without macros: the compiler prints them, 256 in one go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ashlar {

namespace schema {

/// The values looked at: enumerators outside have no name and are refused. Specialise for an enum with larger ones:
/// `template <> inline constexpr schema::EnumRange schema::kEnumRange<Code>{0, 1000};`
struct EnumRange {
  std::int64_t first = 0, last = 0;
};
template <class E>
inline constexpr EnumRange kEnumRange = [] {
  using U = std::underlying_type_t<E>;
  if constexpr (std::is_same_v<U, bool>) {
    return EnumRange{0, 1};
  } else if constexpr (std::is_unsigned_v<U>) {
    return EnumRange{0, 255};
  } else if constexpr (sizeof(U) == 1) {
    return EnumRange{-128, 127};
  } else {
    return EnumRange{-64, 255};
  }
}();

/// One enumerator. The name on the wire is its name without a trailing underscore (`delete_` is "delete").
struct Enumerator {
  std::string_view name;
  std::int64_t value;
};

namespace detail {

template <class E, E... Values>
consteval std::string_view printed_enum() {  // "… [E = Color, Values = <Color::red, (Color)1, …>]"
  return __PRETTY_FUNCTION__;
}

template <class E, std::int64_t First, std::size_t... I>
consteval std::string_view printed_range(std::index_sequence<I...>) {
  return printed_enum<E, static_cast<E>(First + static_cast<std::int64_t>(I))...>();
}

// Calls f(index, name) for every value that has a name.
template <class F>
constexpr void each_name(std::string_view text, F&& f) {
  text.remove_prefix(text.rfind('<') + 1);
  std::size_t index = 0;
  while (!text.empty()) {
    std::size_t end = 0;
    while (text[end] != ',' && text[end] != '>') ++end;
    // "blog::Color::red" has a name, "(blog::Color)7" has none; an unnamed namespace prints as "(anonymous
    // namespace)::".
    std::string_view item = text.substr(0, end);
    item.remove_prefix(item.find_last_of(":) ") + 1);
    if (item.front() != '-' && (item.front() < '0' || item.front() > '9')) {
      if (item.size() > 1 && item.back() == '_') item.remove_suffix(1);
      f(index, item);
    }
    if (text[end] == '>') break;
    text.remove_prefix(end + 1);
    ++index;
  }
}

template <class E>
consteval auto enumerators() {
  constexpr EnumRange range = kEnumRange<E>;
  constexpr auto size = static_cast<std::size_t>(range.last - range.first + 1);
  constexpr std::string_view text = printed_range<E, range.first>(std::make_index_sequence<size>{});
  constexpr std::size_t count = [text] {
    std::size_t n = 0;
    each_name(text, [&n](std::size_t, std::string_view) { ++n; });
    return n;
  }();
  static_assert(count > 0, "no enumerator in kEnumRange: specialise it for this enum");
  std::array<Enumerator, count> all{};
  std::size_t n = 0;
  each_name(text, [&](std::size_t index, std::string_view name) {
    all[n++] = {name, range.first + static_cast<std::int64_t>(index)};
  });
  return all;
}

}  // namespace detail

/// All enumerators of E by rising value.
template <class E>
  requires std::is_enum_v<E>
inline constexpr auto kEnumerators = detail::enumerators<E>();

/// The name of a value; empty when it has none.
template <class E>
  requires std::is_enum_v<E>
constexpr std::string_view enum_name(E value) noexcept {
  for (const Enumerator& e : kEnumerators<E>) {
    if (e.value == static_cast<std::int64_t>(value)) return e.name;
  }
  return {};
}

}  // namespace schema
}  // namespace ashlar
