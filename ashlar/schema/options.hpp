// How a struct is spelled on the wire, and its rules across members.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar {

enum class Naming : std::uint8_t { as_written, camel_case, pascal_case, kebab_case, snake_case, upper_case };

/// What happens to members the struct does not know.
enum class Extra : std::uint8_t { ignore, forbid };

/// In the struct: `static constexpr SchemaOptions schema{.naming = Naming::camel_case, .extra = Extra::forbid};`
struct SchemaOptions {
  Naming naming = Naming::as_written;
  Extra extra = Extra::ignore;
  std::string_view name = {};  // of the component; the type's own name when empty
  std::string_view title = {};
  std::string_view description = {};
  std::string_view tag = {};  // of this alternative of a tagged variant; the component's name when empty
  bool strict = false;        // no "5" for 5, no 1 for true, no 5.0 for 5
  bool omit_null = false;     // members that are null are not written
};

/// Collects what is wrong across members: `void validate(Violations& v) const { if (end < start) v.add("end", "is
/// before start"); }`. For one rule, `std::optional<std::string> validate() const` does too.
class Violations {
 public:
  /// On the value as a whole.
  void add(std::string message) { items_.emplace_back(std::string(), std::move(message)); }
  /// On one member, by its C++ name.
  void add(std::string_view member, std::string message) {
    items_.emplace_back(std::string(member), std::move(message));
  }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& items() const noexcept { return items_; }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

}  // namespace ashlar
