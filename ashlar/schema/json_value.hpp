// `Json`: any JSON value, for members whose shape the program does not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/error.hpp>

namespace ashlar {

/// A valid JSON text. Cheap to take in and pass on; looking inside parses the part that is asked for.
class Json {
 public:
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

  /// null
  Json() = default;
  /// Throws Invalid when the text is not JSON.
  explicit Json(std::string_view text);
  [[nodiscard]] static std::optional<Json> from(std::string_view text);
  /// Without a check: the text must be JSON.
  [[nodiscard]] static Json trusted(std::string text);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] Kind kind() const noexcept;
  [[nodiscard]] bool is_null() const noexcept { return kind() == Kind::null; }

  /// Of an object: the member; nothing when there is none or this is no object. Takes linear time.
  [[nodiscard]] std::optional<Json> find(std::string_view key) const;
  /// Of an array: the element.
  [[nodiscard]] std::optional<Json> at(std::size_t index) const;
  /// Of an array: its elements; of an object: its values; else nothing.
  [[nodiscard]] std::vector<Json> elements() const;
  /// Of an object: its keys.
  [[nodiscard]] std::vector<std::string> keys() const;

  [[nodiscard]] std::optional<std::string> as_string() const;
  [[nodiscard]] std::optional<std::int64_t> as_integer() const;
  [[nodiscard]] std::optional<double> as_number() const;
  [[nodiscard]] std::optional<bool> as_bool() const;

  /// By text, so {"a":1} differs from { "a": 1 }.
  friend bool operator==(const Json&, const Json&) = default;

 private:
  std::string text_ = "null";
};

}  // namespace ashlar
