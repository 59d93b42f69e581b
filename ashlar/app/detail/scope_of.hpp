// From the result of a dependency to the text that tells one principal from another.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>

#include <ashlar/app/detail/resolve.hpp>
#include <ashlar/app/scope.hpp>

namespace ashlar::detail {

template <class T>
concept HasText = requires(const T& value) {
  { value.to_string() } -> std::convertible_to<std::string>;
};

// The dependency has run (Prelude), or a test's value stands in for it.
template <auto Function, auto Member>
void append_scope(Call& call, std::string& out) {
  using T = typename Depends<Function>::value_type;
  const auto* const result = static_cast<const T*>(call.find_shared(&kFunctionKey<Function>, &kTypeKey<T>));
  const auto append = [&](const auto& value) {
    using V = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::convertible_to<const V&, std::string_view>) {
      out += std::string_view(value);
    } else if constexpr (std::integral<V>) {
      out += std::to_string(value);
    } else if constexpr (HasText<V>) {
      out += value.to_string();
    } else {
      static_assert(kNever<V>,
                    "per<function>: its result does not tell who it is; name the member that does: per<function, "
                    "&User::id>, which is text, a number, or has to_string()");
    }
  };
  if constexpr (std::is_same_v<std::remove_cv_t<decltype(Member)>, std::nullptr_t>) {
    append(*result);
  } else {
    append(std::invoke(Member, *result));
  }
}

}  // namespace ashlar::detail
