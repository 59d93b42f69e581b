// Text put together at compile time, for static_assert messages that name the route and the parameter.
#pragma once

#include <cstddef>
#include <string_view>

namespace ashlar::detail {

struct Message {
  char text[1024]{};
  std::size_t length = 0;
  constexpr Message& add(std::string_view part) {
    for (const char c : part) {
      if (length < sizeof text) text[length++] = c;
    }
    return *this;
  }
  [[nodiscard]] constexpr const char* data() const { return text; }
  [[nodiscard]] constexpr std::size_t size() const { return length; }
};

// "std::vector<int>" out of the pretty function's "… [T = std::vector<int>]".
template <class T>
consteval std::string_view type_name() {
  constexpr std::string_view pretty = __PRETTY_FUNCTION__;
  constexpr auto begin = pretty.find("T = ") + 4;
  return pretty.substr(begin, pretty.rfind(']') - begin);
}

}  // namespace ashlar::detail

// static_assert with a message made by a function where the compiler can (P2741, C++26), with a plain one where not.
// Undefined again at the end of detail/handler.hpp.
#if defined(__cpp_static_assert) && __cpp_static_assert >= 202306L
#define ASHLAR_REQUIRE(condition, message, plain) static_assert(condition, message)
#else
#define ASHLAR_REQUIRE(condition, message, plain) static_assert(condition, plain)
#endif
