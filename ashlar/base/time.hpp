// Points in time, calendar dates, times of day and durations, with ISO 8601 / RFC 3339 text.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace ashlar {

/// A span of time in microseconds. Text: ISO 8601 (`PT1H30M`, `-P1DT0.5S`; a day is 24 hours; no years, months: they
/// have no fixed length), written so; the short form of settings files is read too (`90s`, `1h30m`, `250ms`).
struct Duration {
  std::int64_t micros = 0;

  constexpr Duration() = default;
  constexpr explicit Duration(std::int64_t microseconds) : micros(microseconds) {}
  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> span)  // NOLINT: 5s reads well where a Duration is wanted
      : micros(std::chrono::duration_cast<std::chrono::microseconds>(span).count()) {}

  [[nodiscard]] static std::optional<Duration> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] constexpr std::chrono::microseconds to_chrono() const { return std::chrono::microseconds(micros); }
  auto operator<=>(const Duration&) const = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return Duration{a.micros + b.micros}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return Duration{a.micros - b.micros}; }
};

/// A calendar date (proleptic Gregorian), as days since 1970-01-01. Text: `2026-01-02`.
struct Date {
  std::int32_t days = 0;

  /// The date of today in UTC.
  [[nodiscard]] static Date today();
  [[nodiscard]] static std::optional<Date> of(int year, unsigned month, unsigned day) noexcept;
  [[nodiscard]] static std::optional<Date> parse(std::string_view text) noexcept;
  /// The value, or why the text is none, in the words of a validation error ("month value is outside …").
  [[nodiscard]] static std::expected<Date, std::string_view> parse_or_reason(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;
  void append_to(std::string& out) const;
  [[nodiscard]] int year() const noexcept;
  [[nodiscard]] unsigned month() const noexcept;
  [[nodiscard]] unsigned day() const noexcept;
  auto operator<=>(const Date&) const = default;
};

/// A time of day in microseconds since midnight, without a zone. Text: `03:04:05` or `03:04:05.678901`.
struct TimeOfDay {
  std::int64_t micros = 0;

  [[nodiscard]] static std::optional<TimeOfDay> parse(std::string_view text) noexcept;
  [[nodiscard]] static std::expected<TimeOfDay, std::string_view> parse_or_reason(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const TimeOfDay&) const = default;
};

/// A point in time, in microseconds since 1970-01-01T00:00:00Z. Years 0000 to 9999 have a text.
/// Read: RFC 3339, any offset; no offset means UTC; a date alone means its midnight; more than six digits of a second
/// are cut off. Written: UTC with milliseconds, `2026-01-02T03:04:05.678Z`, or microseconds when there are such.
struct DateTime {
  std::int64_t micros = 0;

  [[nodiscard]] static DateTime now();
  [[nodiscard]] static DateTime of(Date date, TimeOfDay time = {}) noexcept;
  [[nodiscard]] static std::optional<DateTime> parse(std::string_view text) noexcept;
  [[nodiscard]] static std::expected<DateTime, std::string_view> parse_or_reason(std::string_view text) noexcept;
  [[nodiscard]] static constexpr DateTime from(std::chrono::sys_time<std::chrono::microseconds> time) {
    return {time.time_since_epoch().count()};
  }
  [[nodiscard]] constexpr std::chrono::sys_time<std::chrono::microseconds> to_chrono() const {
    return std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(micros));
  }
  [[nodiscard]] std::string to_string() const;
  void append_to(std::string& out) const;
  [[nodiscard]] Date date() const noexcept;
  [[nodiscard]] TimeOfDay time_of_day() const noexcept;

  auto operator<=>(const DateTime&) const = default;
  friend constexpr DateTime operator+(DateTime a, Duration b) { return {a.micros + b.micros}; }
  friend constexpr DateTime operator-(DateTime a, Duration b) { return {a.micros - b.micros}; }
  friend constexpr Duration operator-(DateTime a, DateTime b) { return Duration{a.micros - b.micros}; }
  constexpr DateTime& operator+=(Duration b) { return *this = *this + b; }
  constexpr DateTime& operator-=(Duration b) { return *this = *this - b; }
};

}  // namespace ashlar

template <>
struct std::hash<ashlar::DateTime> {
  std::size_t operator()(ashlar::DateTime t) const noexcept { return std::hash<std::int64_t>{}(t.micros); }
};
template <>
struct std::hash<ashlar::Date> {
  std::size_t operator()(ashlar::Date d) const noexcept { return std::hash<std::int32_t>{}(d.days); }
};
