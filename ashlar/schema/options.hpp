// How a struct is spelled on the wire, and its rules across members.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ashlar {

namespace schema {
/// A step of the way to a value: a name, or a position in a list.
using LocItem = std::variant<std::string, std::int64_t>;
}  // namespace schema

enum class Naming : std::uint8_t { as_written, camel_case, pascal_case, kebab_case, snake_case, upper_case };

/// What happens to members the struct does not know. To keep them, give the struct a map that is annotated rest{}.
enum class Extra : std::uint8_t { ignore, forbid };

/// In the struct: `static constexpr SchemaOptions schema{.naming = Naming::camel_case, .extra = Extra::forbid};`
struct SchemaOptions {
  Naming naming = Naming::as_written;
  Extra extra = Extra::ignore;
  std::string_view name = {};  // of the component; the type's own name when empty
  std::string_view title = {};
  std::string_view description = {};
  std::string_view example = {};  // of the whole, as JSON
  std::string_view tag = {};      // of this alternative of a tagged variant; the component's name when empty
  bool strict = false;            // no "5" for 5, no 1 for true, no 5.0 for 5
  bool omit_null = false;         // members that are null are not written
  bool deprecated = false;
};

/// One thing that is wrong across members.
struct Violation {
  std::string message;
  std::vector<schema::LocItem> loc = {};  // from the struct on: {"lines", 2, "price"}; the first a member's C++ name
  std::string type = {};                  // your own stable word; empty: "value_error", with its prefix in the message
};

/// Collects what is wrong across members: `void validate(Violations& v) const { if (end < start) v.add("end", "is
/// before start"); }`. For one rule, `std::optional<std::string> validate() const` does too.
class Violations {
 public:
  /// On the value as a whole.
  void add(std::string message) { items_.push_back({std::move(message)}); }
  /// On one member, by its C++ name.
  void add(std::string_view member, std::string message) {
    items_.push_back({std::move(message), {std::string(member)}});
  }
  /// On a part of a member, or with a type of your own.
  void add(Violation violation) { items_.push_back(std::move(violation)); }
  [[nodiscard]] const std::vector<Violation>& items() const noexcept { return items_; }

 private:
  std::vector<Violation> items_;
};

}  // namespace ashlar
