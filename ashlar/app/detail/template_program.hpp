// TemplateProgram: a template that has been checked against a struct, ready to be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/detail/html_context.hpp>
#include <ashlar/schema/type_info.hpp>

namespace ashlar::detail {

/// The way from a variable to a value: through members, and through what may be null.
struct TemplatePath {
  struct Step {
    const schema::TypeInfo* type;  // of what it starts from: an object, or a nullable
    std::uint32_t offset;          // of the member
  };
  std::uint32_t slot = 0;  // the variable: 0 is the whole
  std::vector<Step> steps;
  const schema::TypeInfo* type = nullptr;  // of the value, no nullable

  /// Null: something on the way is.
  [[nodiscard]] const void* find(const std::vector<const void*>& slots) const;
};

struct TemplateCondition {
  enum class Kind : std::uint8_t { value, negation, conjunction, disjunction, equal };
  Kind kind = Kind::value;
  TemplatePath path;
  std::string text;  // what it is equal to, as text
  std::vector<TemplateCondition> operands;
};

struct TemplateStep {
  enum class Kind : std::uint8_t { text, value, html, json, condition, loop };
  Kind kind = Kind::text;
  std::string text;
  TemplatePath path;
  HtmlEscape escape = HtmlEscape::text;
  TemplateCondition condition;
  std::uint32_t slot = 0;  // of a loop's first variable; then of the second, then of `loop`
  bool has_key = false;
  std::vector<TemplateStep> body, otherwise;
};

class TemplateProgram {
 public:
  /// `read` gives the text of a template by its name, and throws NotFound. Throws Invalid: "file:line: …".
  using Read = std::function<std::string(const std::string& name)>;
  static TemplateProgram compile(const std::string& name, const schema::TypeInfo& type, const Read& read);

  /// Appends. `data` is of the type that it was compiled for.
  void write(const void* data, std::string& out) const;

 private:
  std::vector<TemplateStep> steps_;
  std::uint32_t slots_ = 1;
};

}  // namespace ashlar::detail
