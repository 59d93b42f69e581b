// Exact decimal numbers: money, rates, PostgreSQL numeric.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ashlar {

/// A decimal number of any precision up to 16384 digits before and after the point. Nothing is ever rounded unless
/// asked. It keeps the scale it was written with: 1.50 prints as 1.50, and equals 1.5.
class Decimal {
 public:
  Decimal() = default;
  Decimal(std::int64_t value);                                       // NOLINT: every integer is a decimal
  Decimal(int value) : Decimal(static_cast<std::int64_t>(value)) {}  // NOLINT

  /// `-12.50`, `+3`, `.5`, `1e-3`. No infinities, no NaN, no white space.
  [[nodiscard]] static std::optional<Decimal> parse(std::string_view text);
  /// Plain digits, never an exponent.
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] double to_double() const;

  [[nodiscard]] bool is_negative() const noexcept { return negative_; }
  [[nodiscard]] bool is_zero() const noexcept { return digits_ == "0"; }
  /// Digits after the point.
  [[nodiscard]] std::int32_t scale() const noexcept { return scale_; }
  /// Significant digits, without leading zeros.
  [[nodiscard]] std::size_t precision() const noexcept { return digits_.size(); }
  /// Rounded half to even to `scale` digits after the point; a larger scale adds zeros.
  [[nodiscard]] Decimal rounded(std::int32_t scale) const;
  /// True when this is a whole multiple of `step`, which must not be zero.
  [[nodiscard]] bool is_multiple_of(const Decimal& step) const;

  friend Decimal operator-(Decimal a);
  friend Decimal operator+(const Decimal& a, const Decimal& b);
  friend Decimal operator-(const Decimal& a, const Decimal& b);
  friend Decimal operator*(const Decimal& a, const Decimal& b);
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) noexcept;
  friend bool operator==(const Decimal& a, const Decimal& b) noexcept { return (a <=> b) == 0; }

 private:
  Decimal(bool negative, std::string digits, std::int32_t scale);

  std::string digits_ = "0";  // no leading zeros; the value is digits × 10^-scale
  std::int32_t scale_ = 0;    // never negative
  bool negative_ = false;     // never set for zero
};

}  // namespace ashlar
