// Money: an amount of one currency, exact. A value object: it has no identity, it is never changed.
#pragma once

#include <cstdint>
#include <string>

namespace orders::domain {

class Money {
 public:
  /// In the smallest unit of the currency (ISO 4217, "EUR"). Throws ashlar::Invalid.
  Money(std::int64_t cents, std::string currency);

  [[nodiscard]] std::int64_t cents() const noexcept { return cents_; }
  [[nodiscard]] const std::string& currency() const noexcept { return currency_; }
  /// Throw ashlar::Invalid: another currency, or too much for the type.
  [[nodiscard]] Money plus(const Money& other) const;
  [[nodiscard]] Money minus(const Money& other) const;
  [[nodiscard]] Money times(std::int64_t factor) const;
  /// A part of it, rounded down to a whole unit.
  [[nodiscard]] Money percent(int rate) const;

  bool operator==(const Money&) const = default;

 private:
  std::int64_t cents_;
  std::string currency_;
};

}  // namespace orders::domain
