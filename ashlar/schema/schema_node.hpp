// A JSON Schema as data: what sample.cpp makes values from and check_schema() holds values against. The part of JSON
// Schema 2020-12 that json_schema.hpp writes: no conditions, no patternProperties, no references out of the document.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/schema/detail/regex.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar::schema {

struct SchemaNode {
  enum Type : std::uint8_t {
    kNull = 1,
    kBoolean = 2,
    kInteger = 4,
    kNumber = 8,
    kText = 16,
    kList = 32,
    kObject = 64,
    kAny = 127,
  };
  struct Member {
    std::string name;
    const SchemaNode* node;
    bool required;
  };

  std::uint8_t types = kAny;
  bool never = false;        // nothing fits: the schema `false`
  std::vector<Tree> values;  // enum and const; empty: any
  std::vector<Tree> examples;
  std::optional<long double> least, most, multiple;
  bool above = false, below = false;               // the bounds themselves do not fit
  std::int64_t min_length = 0, max_length = -1;    // of texts, in characters; -1: no end
  std::int64_t min_items = 0, max_items = -1;      // of lists
  std::int64_t min_members = 0, max_members = -1;  // of objects
  bool unique = false;
  std::string format, pattern_text;
  std::unique_ptr<detail::Regex> pattern;
  std::vector<const SchemaNode*> first_items;
  const SchemaNode* items = nullptr;
  std::vector<Member> members;
  const SchemaNode* rest = nullptr;  // of members that are not named; null: any
  bool closed = false;               // there are no others
  std::vector<const SchemaNode*> any_of, one_of, all_of;

  [[nodiscard]] bool takes(Type type) const noexcept { return (types & type) != 0; }
};

/// A document with schemas in it. What it gives lives as long as it does.
class SchemaDocument {
 public:
  /// Throws Invalid when it is no JSON.
  explicit SchemaDocument(std::string_view json);

  [[nodiscard]] const Tree& root() const noexcept { return root_; }
  /// Follows `$ref` within the document; what it cannot follow it gives back.
  [[nodiscard]] const Tree& resolve(const Tree& place) const;
  /// The schema at this place of the document.
  const SchemaNode& schema(const Tree& place);

 private:
  void fill(SchemaNode& node, const Tree& schema);

  Tree root_;
  std::map<const Tree*, std::unique_ptr<SchemaNode>> nodes_;
};

/// Why the value does not fit, with its place: "user.email: is no text"; nullopt: it fits. `format` is not looked at,
/// but for the ranges of int32 and its like.
[[nodiscard]] std::optional<std::string> check_schema(const SchemaNode& node, const Tree& value);
[[nodiscard]] bool fits_schema(const SchemaNode& node, const Tree& value);

}  // namespace ashlar::schema
