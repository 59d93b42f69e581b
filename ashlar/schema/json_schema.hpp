// JSON Schema 2020-12 of described types, as OpenAPI 3.1 uses it: structs and enums become named components.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/schema/type_of.hpp>

namespace ashlar::schema {

/// What a client sends, and what it gets. They differ where members have defaults (may be missing in one, always there
/// in the other) or are read-only or write-only.
enum class Mode : std::uint8_t { input, output };

/// The components of one document.
///
/// A type that is used both ways and differs becomes two: `Article` for output and `ArticleInput`. So that every
/// reference knows this, add() all types before the first schema().
class SchemaSet {
 public:
  explicit SchemaSet(std::string reference_prefix = "#/components/schemas/") : prefix_(std::move(reference_prefix)) {}

  /// Notes the type and all types in it.
  void add(const TypeInfo& type, Mode mode);
  template <class T>
  void add(Mode mode) {
    add(type_info<T>(), mode);
  }

  /// The JSON text of a schema: `{"$ref":"#/components/schemas/Article"}` for a struct or enum, else the schema in
  /// place.
  [[nodiscard]] std::string schema(const TypeInfo& type, Mode mode);
  template <class T>
  [[nodiscard]] std::string schema(Mode mode) {
    return schema(type_info<T>(), mode);
  }

  /// The schema in place, also of a struct. For query structs, whose members become parameters, see parameters().
  [[nodiscard]] std::string inline_schema(const TypeInfo& type, Mode mode);

  struct Property {
    std::string name;         // on the wire
    std::string schema;       // JSON text
    std::string description;  // plain text
    std::string example;      // JSON text; empty: none
    bool required = false;
    bool deprecated = false;
  };
  /// The members of a struct one by one.
  [[nodiscard]] std::vector<Property> properties(const TypeInfo& object, Mode mode);

  /// The members of a struct that is read from the query string, headers or cookies: as properties() of the input, but
  /// none is ever null, for there is no way to send that.
  [[nodiscard]] std::vector<Property> parameters(const TypeInfo& object);
  /// One value that is read from there, without its name.
  [[nodiscard]] Property parameter(const TypeInfo& type);

  /// A JSON object of all components, by name.
  [[nodiscard]] std::string components();

  /// The component's name of a struct or enum.
  [[nodiscard]] std::string name_of(const TypeInfo& type, Mode mode);

 private:
  struct Component {
    const TypeInfo* type;
    std::string name;
    bool used[2] = {false, false};
    bool differs = false;
  };

  Component& component(const TypeInfo& type);
  bool differs(const TypeInfo& type, std::set<const void*>& seen);
  void write(const TypeInfo& type, Mode mode, std::string& out);
  enum class Nulls : std::uint8_t { described, never };
  std::vector<Property> members(const TypeInfo& object, Mode mode, Nulls nulls);
  void write_nullable(const TypeInfo& inner, Mode mode, std::string& out);
  void write_variant(const TypeInfo& type, Mode mode, std::string& out);
  void write_object(const TypeInfo& type, Mode mode, std::string& out);
  void write_named(const TypeInfo& type, Mode mode, std::string& out);

  std::string prefix_;
  std::map<const void*, Component> components_;  // by ObjectOps or EnumOps
  std::map<std::string, const void*> names_;
};

/// One type as a document of its own, with its components under `$defs`.
[[nodiscard]] std::string json_schema(const TypeInfo& type, Mode mode = Mode::input);
template <class T>
[[nodiscard]] std::string json_schema(Mode mode = Mode::input) {
  return json_schema(type_info<T>(), mode);
}

}  // namespace ashlar::schema
