#include <ashlar/http/date.hpp>

#include <array>
#include <chrono>

#include <ashlar/http/detail/response_writer.hpp>

namespace ashlar::http {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : rest_(text) {}

  bool skip(std::string_view text) noexcept {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  // Any day's name, whole or its first three letters. Whether it is the right one is not the server's business.
  bool day_name(bool whole) noexcept {
    for (const std::string_view day : kDays) {
      if (skip(whole ? day : day.substr(0, 3))) return true;
    }
    return false;
  }
  int number(std::size_t digits) noexcept {
    if (rest_.size() < digits) return -1;
    int value = 0;
    for (const char c : rest_.substr(0, digits)) {
      if (c < '0' || c > '9') return -1;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  int month() noexcept {
    for (std::size_t i = 0; i < 12; ++i) {
      if (skip(kMonths.substr(i * 3, 3))) return static_cast<int>(i) + 1;
    }
    return -1;
  }
  // "08:49:37"
  bool time(int& hour, int& minute, int& second) noexcept {
    hour = number(2);
    if (!skip(":")) return false;
    minute = number(2);
    if (!skip(":")) return false;
    second = number(2);
    return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second <= 60;
  }
  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
};

std::optional<std::time_t> when(int year, int month, int day, int hour, int minute, int second) noexcept {
  if (year < 0 || month < 1 || day < 1) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<std::time_t>(days) * 86400 + hour * 3600 + minute * 60 + second;
}

// A two-digit year that looks more than 50 years ahead is of the century before (RFC 9110 §5.6.7).
int whole_year(int two_digits) noexcept {
  if (two_digits < 0) return -1;
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const int now = static_cast<int>(std::chrono::year_month_day(today).year());
  const int year = now / 100 * 100 + two_digits;
  return year > now + 50 ? year - 100 : year;
}

}  // namespace

std::string format_http_date(std::time_t when) {
  char date[32];
  return {date, detail::write_http_date(when, date)};
}

std::optional<std::time_t> parse_http_date(std::string_view text) noexcept {
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (Reader in(text); in.day_name(false) && in.skip(", ")) {
    const int day = in.number(2);
    if (!in.skip(" ")) return std::nullopt;
    const int month = in.month();
    if (!in.skip(" ")) return std::nullopt;
    const int year = in.number(4);
    if (!in.skip(" ") || !in.time(hour, minute, second) || !in.skip(" GMT") || !in.done()) return std::nullopt;
    return when(year, month, day, hour, minute, second);
  }
  if (Reader in(text); in.day_name(true) && in.skip(", ")) {
    const int day = in.number(2);
    if (!in.skip("-")) return std::nullopt;
    const int month = in.month();
    if (!in.skip("-")) return std::nullopt;
    const int year = whole_year(in.number(2));
    if (!in.skip(" ") || !in.time(hour, minute, second) || !in.skip(" GMT") || !in.done()) return std::nullopt;
    return when(year, month, day, hour, minute, second);
  }
  if (Reader in(text); in.day_name(false) && in.skip(" ")) {
    const int month = in.month();
    if (!in.skip(" ")) return std::nullopt;
    const int day = in.skip(" ") ? in.number(1) : in.number(2);
    if (!in.skip(" ") || !in.time(hour, minute, second) || !in.skip(" ")) return std::nullopt;
    const int year = in.number(4);
    if (!in.done()) return std::nullopt;
    return when(year, month, day, hour, minute, second);
  }
  return std::nullopt;
}

}  // namespace ashlar::http
