// A JSON value that can be changed: for those who make values and take them apart, not for a request's way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar::schema {

struct Tree {
  enum class Kind : std::uint8_t { null, boolean, number, text, list, object };
  Kind kind = Kind::null;
  bool boolean = false;
  std::string text;                // of a text; of a number as JSON writes it
  std::vector<Tree> items;         // elements, or the values of members
  std::vector<std::string> names;  // of the members, in the order of their values

  [[nodiscard]] static Tree of(bool value) {
    Tree tree{.kind = Kind::boolean};
    tree.boolean = value;
    return tree;
  }
  [[nodiscard]] static Tree of_text(std::string value) { return {.kind = Kind::text, .text = std::move(value)}; }
  /// JSON's way to write it.
  [[nodiscard]] static Tree of_number(std::string json) { return {.kind = Kind::number, .text = std::move(json)}; }
  [[nodiscard]] static Tree list() { return {.kind = Kind::list}; }
  [[nodiscard]] static Tree object() { return {.kind = Kind::object}; }

  void add(std::string name, Tree value) {
    names.push_back(std::move(name));
    items.push_back(std::move(value));
  }
  /// Of an object; null when there is none.
  [[nodiscard]] const Tree* find(std::string_view name) const noexcept;
  [[nodiscard]] Tree* find(std::string_view name) noexcept {
    return const_cast<Tree*>(std::as_const(*this).find(name));
  }
  /// The member's text; empty when there is none.
  [[nodiscard]] std::string_view text_of(std::string_view name) const noexcept;
  [[nodiscard]] bool is_true(std::string_view name) const noexcept;

  /// Of a number. A long double holds every 64-bit integer.
  [[nodiscard]] long double number() const noexcept;

  void write(std::string& out) const;
  [[nodiscard]] std::string json() const {
    std::string out;
    write(out);
    return out;
  }
  /// As a path, a query or a header has it: a text without quotes, anything else as JSON.
  [[nodiscard]] std::string plain() const { return kind == Kind::text ? text : json(); }

  friend bool operator==(const Tree&, const Tree&) = default;
};

/// Nullopt: this is no JSON, or nested more than 64 deep.
[[nodiscard]] std::optional<Tree> parse_tree(std::string_view json);

}  // namespace ashlar::schema
