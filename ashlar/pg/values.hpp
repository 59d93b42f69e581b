// Value types that only PostgreSQL has: interval, timestamp without time zone, timetz, ranges.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/base/time.hpp>

namespace ashlar::pg {

/// Months and days have no fixed length, so the three parts stay apart. Text: ISO 8601 (`P1Y2M3DT4H5M6.5S`).
struct Interval {
  std::int32_t months = 0;
  std::int32_t days = 0;
  std::int64_t micros = 0;
  [[nodiscard]] static std::optional<Interval> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Interval&) const = default;
};

/// `timestamp`: date and time on a wall clock somewhere, in microseconds since 1970-01-01 00:00:00 there.
/// Text: `2026-01-02T03:04:05.678`.
struct LocalDateTime {
  std::int64_t micros = 0;
  [[nodiscard]] static std::optional<LocalDateTime> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const LocalDateTime&) const = default;
};

/// `timetz`: microseconds since midnight, and the seconds its zone is east of UTC. Text: `03:04:05+02:00`.
struct TimeWithZone {
  std::int64_t micros = 0;
  std::int32_t offset = 0;
  [[nodiscard]] static std::optional<TimeWithZone> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const TimeWithZone&) const = default;
};

/// A range of PostgreSQL; a bound that is missing is infinite.
template <class T>
struct Range {
  std::optional<T> lower{};
  std::optional<T> upper{};
  bool lower_inclusive = true;
  bool upper_inclusive = false;
  bool empty = false;

  /// The flags byte of PostgreSQL's rangetypes.h.
  [[nodiscard]] std::uint8_t flags() const noexcept {
    if (empty) return 1;
    return static_cast<std::uint8_t>((lower && lower_inclusive ? 2 : 0) | (upper && upper_inclusive ? 4 : 0) |
                                     (lower ? 0 : 8) | (upper ? 0 : 16));
  }
  /// Whether a bound that is missing counts as inclusive makes no difference; all empty ranges are equal.
  friend bool operator==(const Range& a, const Range& b) {
    if (a.empty || b.empty) return a.empty == b.empty;
    return a.flags() == b.flags() && a.lower == b.lower && a.upper == b.upper;
  }
};

struct RangeBounds {
  std::uint32_t element = 0;
  bool empty = false;
  bool lower_inclusive = true;
  bool upper_inclusive = false;
  std::optional<std::string_view> lower;
  std::optional<std::string_view> upper;
};
/// Takes the binary form of a range apart. Throws BadValue.
[[nodiscard]] RangeBounds range_bounds(std::uint32_t type, std::string_view bytes);

}  // namespace ashlar::pg
