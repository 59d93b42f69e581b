#include <ashlar/http/detail/http_date.hpp>

#include <algorithm>
#include <array>
#include <charconv>

#include <ashlar/base/text.hpp>

namespace ashlar::http::detail {
namespace {

using Clock = std::chrono::system_clock;

// One or two digits, or four of a year; -1: none.
int number(std::string_view text, std::size_t least, std::size_t most) noexcept {
  std::size_t size = 0;
  while (size < text.size() && text[size] >= '0' && text[size] <= '9') ++size;
  if (size < least || size > most) return -1;
  int value = 0;
  std::from_chars(text.data(), text.data() + size, value);
  return value;
}

}  // namespace

// Tokens in any order.
std::optional<std::chrono::system_clock::time_point> parse_lenient_date(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                        "jul", "aug", "sep", "oct", "nov", "dec"};
  const auto delimiter = [](char c) {
    return c == '\t' || (c >= ' ' && c <= '/') || (c >= ';' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
  };
  int hour = -1, minute = -1, second = -1, day = -1, month = -1, year = -1;
  for (std::size_t at = 0; at < text.size();) {
    if (delimiter(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && !delimiter(text[end])) ++end;
    const std::string_view token = text.substr(at, end - at);
    at = end;
    const std::size_t colon = token.find(':');
    const std::size_t colon2 = colon == std::string_view::npos ? colon : token.find(':', colon + 1);
    if (hour < 0 && colon2 != std::string_view::npos) {
      hour = number(token.substr(0, colon), 1, 2);
      minute = number(token.substr(colon + 1, colon2 - colon - 1), 1, 2);
      second = number(token.substr(colon2 + 1), 1, 2);
      if (hour < 0 || minute < 0 || second < 0) return std::nullopt;
      continue;
    }
    if (day < 0) {
      day = number(token, 1, 2);
      if (day >= 0) continue;
    }
    if (month < 0 && token.size() >= 3) {
      const auto found =
          std::ranges::find_if(kMonths, [&](auto name) { return equals_ignore_case(token.substr(0, 3), name); });
      if (found != kMonths.end()) {
        month = static_cast<int>(found - kMonths.begin()) + 1;
        continue;
      }
    }
    if (year < 0) year = number(token, 2, 4);
  }
  if (year >= 70 && year <= 99) year += 1900;
  if (year >= 0 && year <= 69) year += 2000;
  if (hour < 0 || day < 1 || month < 1 || year < 1601 || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  // Beyond what the clock can count.
  if (year > 2200) return Clock::time_point::max();
  if (year < 1700) return Clock::time_point::min();
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

}  // namespace ashlar::http::detail
