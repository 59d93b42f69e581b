#include <ashlar/base/time.hpp>

#include <array>

#include <ashlar/base/clock.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
constexpr std::int32_t days_from_civil(int year, unsigned month, unsigned day) {
  year -= month <= 2;
  const int era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<int>(day_of_era) - 719468;
}

struct Civil {
  int year;
  unsigned month, day;
};
constexpr Civil civil_from_days(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted = (5 * day_of_year + 2) / 153;
  const unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {static_cast<int>(year_of_era) + static_cast<int>(era) * 400 + (month <= 2), month,
          day_of_year - (153 * shifted + 2) / 5 + 1};
}

constexpr unsigned days_in_month(int year, unsigned month) {
  constexpr std::array<unsigned, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : kDays[month - 1];
}

// Reads a text from left to right; the first thing wrong is kept as the reason.
struct Scanner {
  std::string_view text;
  std::size_t at = 0;
  std::string_view reason;

  bool fail(std::string_view why) {
    reason = why;
    return false;
  }
  bool done() const { return at == text.size(); }
  bool digits(int count, int& value, std::string_view why) {
    value = 0;
    for (int i = 0; i < count; ++i, ++at) {
      if (at == text.size()) return fail("input is too short");
      if (!is_digit_ascii(text[at])) return fail(why);
      value = value * 10 + (text[at] - '0');
    }
    return true;
  }
  bool skip(char c, std::string_view why) {
    if (at == text.size()) return fail("input is too short");
    if (text[at] != c) return fail(why);
    ++at;
    return true;
  }

  bool date(std::int32_t& days) {
    int year, month, day;
    if (!digits(4, year, "invalid character in year")) return false;
    if (!skip('-', "invalid date separator, expected `-`")) return false;
    if (!digits(2, month, "invalid character in month")) return false;
    if (!skip('-', "invalid date separator, expected `-`")) return false;
    if (!digits(2, day, "invalid character in day")) return false;
    if (month < 1 || month > 12) return fail("month value is outside expected range of 1-12");
    if (day < 1 || static_cast<unsigned>(day) > days_in_month(year, static_cast<unsigned>(month))) {
      return fail("day value is outside expected range");
    }
    days = days_from_civil(year, static_cast<unsigned>(month), static_cast<unsigned>(day));
    return true;
  }

  bool time(std::int64_t& micros) {
    int hour, minute, second = 0;
    if (!digits(2, hour, "invalid character in hour")) return false;
    if (!skip(':', "invalid time separator, expected `:`")) return false;
    if (!digits(2, minute, "invalid character in minute")) return false;
    if (hour > 23) return fail("hour value is outside expected range of 0-23");
    if (minute > 59) return fail("minute value is outside expected range of 0-59");
    std::int64_t fraction = 0;
    if (!done() && text[at] == ':') {
      ++at;
      if (!digits(2, second, "invalid character in second")) return false;
      if (second > 59) return fail("second value is outside expected range of 0-59");
      if (!done() && (text[at] == '.' || text[at] == ',')) {
        ++at;
        std::int64_t scale = 100'000;
        const auto begin = at;
        for (; !done() && is_digit_ascii(text[at]); ++at, scale /= 10) fraction += (text[at] - '0') * scale;
        if (at == begin) return fail("second fraction value is missing");
      }
    }
    micros = hour * kHour + minute * kMinute + second * kSecond + fraction;
    return true;
  }

  bool offset(std::int64_t& micros) {
    micros = 0;
    if (done()) return true;
    const char sign = text[at];
    if (sign == 'Z' || sign == 'z') {
      ++at;
      return true;
    }
    if (sign != '+' && sign != '-') return fail("invalid timezone sign");
    ++at;
    int hour, minute = 0;
    if (!digits(2, hour, "invalid timezone hour")) return false;
    if (!done()) {
      if (text[at] == ':') ++at;
      if (!digits(2, minute, "invalid timezone minute")) return false;
    }
    if (hour > 23 || minute > 59) return fail("timezone offset must be less than 24 hours");
    micros = (hour * kHour + minute * kMinute) * (sign == '-' ? -1 : 1);
    return true;
  }

  bool end() { return done() || fail("unexpected extra characters at the end of the input"); }
};

char* two_digits(char* p, unsigned value) {
  *p++ = static_cast<char>('0' + value / 10);
  *p++ = static_cast<char>('0' + value % 10);
  return p;
}

char* write_date(char* p, std::int64_t days) {
  const Civil civil = civil_from_days(days);
  auto year = static_cast<unsigned>(civil.year < 0 ? -civil.year : civil.year);
  if (civil.year < 0) *p++ = '-';
  if (year > 9999) {  // ISO 8601 allows more digits by agreement; this keeps the text whole
    char digits[10];
    int count = 0;
    for (; year > 0; year /= 10) digits[count++] = static_cast<char>('0' + year % 10);
    while (count > 0) *p++ = digits[--count];
  } else {
    p = two_digits(p, year / 100);
    p = two_digits(p, year % 100);
  }
  *p++ = '-';
  p = two_digits(p, civil.month);
  *p++ = '-';
  return two_digits(p, civil.day);
}

char* write_time(char* p, std::int64_t micros, bool always_millis) {
  p = two_digits(p, static_cast<unsigned>(micros / kHour));
  *p++ = ':';
  p = two_digits(p, static_cast<unsigned>(micros / kMinute % 60));
  *p++ = ':';
  p = two_digits(p, static_cast<unsigned>(micros / kSecond % 60));
  const auto fraction = static_cast<unsigned>(micros % kSecond);
  if (fraction == 0 && !always_millis) return p;
  const bool millis = fraction % 1000 == 0 && always_millis;
  *p++ = '.';
  p = two_digits(p, fraction / 10'000);
  if (millis) {
    *p++ = static_cast<char>('0' + fraction / 1000 % 10);
  } else {
    p = two_digits(p, fraction / 100 % 100);
    p = two_digits(p, fraction % 100);
  }
  return p;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0); }
std::int64_t floor_mod(std::int64_t a, std::int64_t b) { return a % b < 0 ? a % b + b : a % b; }

template <class T>
std::optional<T> to_optional(std::expected<T, std::string_view> value) {
  if (value) return *value;
  return std::nullopt;
}

}  // namespace

Date Date::today() { return DateTime::now().date(); }

std::optional<Date> Date::of(int year, unsigned month, unsigned day) noexcept {
  if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return std::nullopt;
  return Date{days_from_civil(year, month, day)};
}

std::expected<Date, std::string_view> Date::parse_or_reason(std::string_view text) noexcept {
  Scanner scan{text};
  Date date;
  if (scan.date(date.days) && scan.end()) return date;
  return std::unexpected(scan.reason);
}
std::optional<Date> Date::parse(std::string_view text) noexcept { return to_optional(parse_or_reason(text)); }

void Date::append_to(std::string& out) const {
  char text[24];
  out.append(text, write_date(text, days));
}
std::string Date::to_string() const {
  std::string out;
  append_to(out);
  return out;
}
int Date::year() const noexcept { return civil_from_days(days).year; }
unsigned Date::month() const noexcept { return civil_from_days(days).month; }
unsigned Date::day() const noexcept { return civil_from_days(days).day; }

std::expected<TimeOfDay, std::string_view> TimeOfDay::parse_or_reason(std::string_view text) noexcept {
  Scanner scan{text};
  TimeOfDay time;
  if (scan.time(time.micros) && scan.end()) return time;
  return std::unexpected(scan.reason);
}
std::optional<TimeOfDay> TimeOfDay::parse(std::string_view text) noexcept { return to_optional(parse_or_reason(text)); }
std::string TimeOfDay::to_string() const {
  char text[24];
  return {text, write_time(text, micros, false)};
}

DateTime DateTime::now() {
  return {std::chrono::duration_cast<std::chrono::microseconds>(SystemClock::now().time_since_epoch()).count()};
}

DateTime DateTime::of(Date date, TimeOfDay time) noexcept { return {date.days * kDay + time.micros}; }

std::expected<DateTime, std::string_view> DateTime::parse_or_reason(std::string_view text) noexcept {
  Scanner scan{text};
  std::int32_t days;
  std::int64_t time = 0, offset = 0;
  const auto read = [&] {
    if (!scan.date(days)) return false;
    if (scan.done()) return true;
    const char separator = text[scan.at];
    if (separator != 'T' && separator != 't' && separator != '_' && separator != ' ') {
      return scan.fail("invalid datetime separator, expected `T`, `t`, `_` or space");
    }
    ++scan.at;
    return scan.time(time) && scan.offset(offset) && scan.end();
  };
  if (!read()) return std::unexpected(scan.reason);
  return DateTime{days * kDay + time - offset};
}
std::optional<DateTime> DateTime::parse(std::string_view text) noexcept { return to_optional(parse_or_reason(text)); }

void DateTime::append_to(std::string& out) const {
  char text[48];
  const std::int64_t days = floor_div(micros, kDay);
  char* p = write_date(text, days);
  *p++ = 'T';
  p = write_time(p, floor_mod(micros, kDay), true);
  *p++ = 'Z';
  out.append(text, p);
}
std::string DateTime::to_string() const {
  std::string out;
  append_to(out);
  return out;
}
Date DateTime::date() const noexcept { return {static_cast<std::int32_t>(floor_div(micros, kDay))}; }
TimeOfDay DateTime::time_of_day() const noexcept { return {floor_mod(micros, kDay)}; }

namespace {

// Adds amount × unit, with up to six digits of fraction; false on overflow.
bool add_scaled(std::int64_t& total, std::string_view whole, std::string_view fraction, std::int64_t unit) {
  std::int64_t amount = 0, part = 0;
  for (const char c : whole) {
    if (__builtin_mul_overflow(amount, 10, &amount) || __builtin_add_overflow(amount, c - '0', &amount)) return false;
  }
  if (__builtin_mul_overflow(amount, unit, &amount)) return false;
  std::int64_t scale = unit;
  for (const char c : fraction) {
    scale /= 10;
    part += (c - '0') * scale;
  }
  return !__builtin_add_overflow(total, amount, &total) && !__builtin_add_overflow(total, part, &total);
}

struct Amount {
  std::string_view whole, fraction;
};
std::optional<Amount> take_amount(std::string_view& text) {
  const auto count = [&text](std::size_t from) {
    std::size_t end = from;
    while (end < text.size() && is_digit_ascii(text[end])) ++end;
    return end;
  };
  Amount amount;
  const auto whole_end = count(0);
  if (whole_end == 0) return std::nullopt;
  amount.whole = text.substr(0, whole_end);
  auto end = whole_end;
  if (end < text.size() && (text[end] == '.' || text[end] == ',')) {
    end = count(whole_end + 1);
    if (end == whole_end + 1) return std::nullopt;
    amount.fraction = text.substr(whole_end + 1, end - whole_end - 1);
  }
  text.remove_prefix(end);
  return amount;
}

}  // namespace

std::optional<Duration> Duration::parse(std::string_view text) noexcept {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return std::nullopt;
  const bool iso = text[0] == 'P';
  bool in_time = !iso, any = false;
  if (iso) text.remove_prefix(1);
  std::int64_t total = 0, smallest = INT64_MAX;
  while (!text.empty()) {
    if (iso && !in_time && text[0] == 'T') {
      in_time = true;
      text.remove_prefix(1);
      if (text.empty()) return std::nullopt;
    }
    const auto amount = take_amount(text);
    if (!amount) return std::nullopt;
    std::size_t length = 0;
    while (length < text.size() && !is_digit_ascii(text[length]) && text[length] != 'T') ++length;
    if (iso) length = length > 1 ? 1 : length;
    const std::string_view name = text.substr(0, length);
    std::int64_t unit;
    if (iso) {
      unit = in_time       ? name == "H"   ? kHour
                             : name == "M" ? kMinute
                             : name == "S" ? kSecond
                                           : 0
             : name == "W" ? 7 * kDay
             : name == "D" ? kDay
                           : 0;
    } else {
      unit = name == "d"    ? kDay
             : name == "h"  ? kHour
             : name == "m"  ? kMinute
             : name == "s"  ? kSecond
             : name == "ms" ? 1000
             : name == "us" ? 1
                            : 0;
    }
    if (unit == 0 || unit >= smallest) return std::nullopt;  // each unit once, larger before smaller
    smallest = unit;
    if (!add_scaled(total, amount->whole, amount->fraction, unit)) return std::nullopt;
    text.remove_prefix(length);
    any = true;
  }
  if (!any) return std::nullopt;
  return Duration{negative ? -total : total};
}

std::string Duration::to_string() const {
  std::string out;
  auto rest = micros < 0 ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros);
  if (micros < 0) out += '-';
  out += 'P';
  const auto take = [&](std::int64_t unit, char name) {
    const auto count = rest / static_cast<std::uint64_t>(unit);
    if (count == 0) return;
    out += std::to_string(count);
    out += name;
    rest %= static_cast<std::uint64_t>(unit);
  };
  take(kDay, 'D');
  if (rest == 0 && out.back() != 'P') return out;
  out += 'T';
  take(kHour, 'H');
  take(kMinute, 'M');
  if (rest > 0 || out.back() == 'T') {
    out += std::to_string(rest / kSecond);
    if (auto fraction = rest % kSecond; fraction > 0) {
      std::string digits = std::to_string(kSecond + static_cast<std::int64_t>(fraction)).substr(1);
      while (digits.back() == '0') digits.pop_back();
      out += '.';
      out += digits;
    }
    out += 'S';
  }
  return out;
}

}  // namespace ashlar
