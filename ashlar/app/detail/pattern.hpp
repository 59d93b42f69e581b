// Route patterns, checked while the program compiles: "/articles/{slug}/comments/{id}", "/files/{rest:path}".
#pragma once

#include <cstddef>
#include <string_view>

#include <ashlar/app/detail/message.hpp>

namespace ashlar::detail {

inline constexpr std::size_t kMaxPathParameters = 8;

// What is wrong with a pattern; empty: nothing.
constexpr std::string_view pattern_problem(std::string_view pattern) {
  if (pattern.empty()) return {};
  if (pattern.front() != '/') return "a route starts with '/'";
  std::size_t parameters = 0;
  std::size_t at = 0;
  while (at < pattern.size()) {
    const std::size_t begin = at + 1;
    std::size_t end = pattern.find('/', begin);
    if (end == std::string_view::npos) end = pattern.size();
    const std::string_view segment = pattern.substr(begin, end - begin);
    if (segment.empty() && end != pattern.size()) return "a route has no empty segments";
    const bool opens = segment.find('{') != std::string_view::npos;
    const bool closes = segment.find('}') != std::string_view::npos;
    if (opens || closes) {
      if (segment.front() != '{' || segment.back() != '}' || segment.rfind('{') != 0 ||
          segment.find('}') != segment.size() - 1) {
        return "a parameter takes a whole segment: /{name}/";
      }
      std::string_view name = segment.substr(1, segment.size() - 2);
      if (name.ends_with(":path")) {
        name = name.substr(0, name.size() - 5);
        if (end != pattern.size()) return "{name:path} takes the rest of the path and comes last";
      }
      if (name.empty() || name.find(':') != std::string_view::npos)
        return "a parameter is {name} or {name:path}; its type is said by Path<\"name\", T>";
      for (std::size_t other = 0; other < begin;) {
        std::string_view before = pattern.substr(other + 1, pattern.find('/', other + 1) - other - 1);
        if (before.size() > 2 && before.front() == '{' && before.substr(1, before.size() - 2) == name &&
            other + 1 != begin)
          return "two parameters have one name; rename one";
        other = pattern.find('/', other + 1);
      }
      if (++parameters > kMaxPathParameters) return "a route has at most eight parameters";
    }
    at = end;
  }
  return {};
}

constexpr bool pattern_has(std::string_view pattern, std::string_view name) {
  std::size_t at = 0;
  while ((at = pattern.find('{', at)) != std::string_view::npos) {
    std::string_view rest = pattern.substr(at + 1);
    rest = rest.substr(0, rest.find('}'));
    if (rest.ends_with(":path")) rest = rest.substr(0, rest.size() - 5);
    if (rest == name) return true;
    ++at;
  }
  return false;
}

// "it has {a} and {b}" for messages.
constexpr void describe_parameters(Message& message, std::string_view pattern) {
  bool any = false;
  std::size_t at = 0;
  while ((at = pattern.find('{', at)) != std::string_view::npos) {
    const std::size_t end = pattern.find('}', at);
    message.add(any ? ", " : "it has ").add(pattern.substr(at, end + 1 - at));
    any = true;
    at = end;
  }
  if (!any) message.add("it has no parameters");
}

}  // namespace ashlar::detail
