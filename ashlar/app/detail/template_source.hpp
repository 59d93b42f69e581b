// Templates as they are written: text, {{ values }}, {% statements %} and {# remarks #}, as a tree.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::detail {

/// A place in a template, for messages.
struct TemplatePlace {
  std::shared_ptr<const std::string> file;
  unsigned line = 0;
};

/// What is between the braces.
struct TemplateExpression {
  enum class Kind : std::uint8_t { path, text, number, negation, conjunction, disjunction, equal, unequal };
  Kind kind = Kind::path;
  std::vector<std::string> path;  // "user.name": the parts
  std::string text;               // of a literal
  std::vector<TemplateExpression> operands;
};

struct TemplateNode {
  enum class Kind : std::uint8_t { text, value, condition, loop, include, extends, block };
  Kind kind = Kind::text;
  TemplatePlace place;
  std::string text;  // of text; the name of include, extends and block
  TemplateExpression expression;
  std::string filter;                  // of a value; empty: none
  std::vector<std::string> variables;  // of a loop: one, or key and value
  std::vector<TemplateNode> body, otherwise;
};

/// Throws Invalid: "file:line: what is wrong".
[[nodiscard]] std::vector<TemplateNode> parse_template(std::string name, std::string_view text);

[[noreturn]] void throw_template_error(const TemplatePlace& place, std::string_view what);

}  // namespace ashlar::detail
