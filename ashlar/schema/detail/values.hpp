// What readers know of the value types of `base` beyond their text: lax readings, reasons, rules.
#pragma once

#include <optional>
#include <string_view>

#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/type_info.hpp>

namespace ashlar::schema::detail {

/// A Kind::value from text.
std::optional<Failure> parse_value(const TypeInfo& type, std::string_view text, void* into, bool strict);

/// Whether a number of JSON is read as such a value: Decimal always; points in time (seconds since 1970, milliseconds
/// when that is beyond the year 2603) and durations (seconds) unless strict.
inline bool reads_numbers(const TypeInfo& type, bool strict) noexcept {
  switch (type.value->builtin) {
    case Builtin::decimal:
      return true;
    case Builtin::date:
    case Builtin::date_time:
    case Builtin::duration:
      return !strict;
    default:
      return false;
  }
}

/// The rules of a Kind::value.
std::optional<Failure> check_value(const TypeInfo& type, const void* value);

/// Throws Internal when the text of a rule is no value of the type.
void prepare_value(const TypeInfo& type);

/// "'a', 'b' or 'c'".
class Choices {
 public:
  void add(std::string_view text);
  [[nodiscard]] std::string text() const;

 private:
  std::string all_, last_;
};

}  // namespace ashlar::schema::detail
