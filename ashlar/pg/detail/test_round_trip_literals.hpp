// For the tests of this module: dates and times as PostgreSQL reads them, over all the years that it knows; written
// without the code that is under test.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <string>

#include <ashlar/base/time.hpp>
#include <ashlar/pg/detail/test_round_trip.hpp>
#include <ashlar/pg/values.hpp>

namespace ashlar::pg::test {

// Of src/include/datatype/timestamp.h, counted from 1970.
inline constexpr Date kFirstDate{-2'440'588};    // 4714-11-24 BC
inline constexpr Date kLastDate{2'145'042'905};  // 5874897-12-31
inline constexpr std::int64_t kFirstMicros = -210'866'803'200'000'000;
inline constexpr std::int64_t kLastMicros = std::numeric_limits<std::int64_t>::max() - 1;  // in the year 294247

struct CivilDay {
  std::string text;  ///< without the era
  const char* era = "";
};
// http://howardhinnant.github.io/date_algorithms.html#civil_from_days
inline CivilDay civil(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t of_era = days - era * 146'097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  return {fmt::format("{:04}-{:02}-{:02}", year > 0 ? year : 1 - year, month, of_year - (153 * shifted + 2) / 5 + 1),
          year > 0 ? "" : " BC"};
}

inline std::string literal_of_date(const Date& date) {
  const CivilDay day = civil(date.days);
  return day.text + day.era;
}
inline std::string literal_of_time(std::int64_t micros) {
  return fmt::format("{:02}:{:02}:{:02}.{:06}", micros / 3'600'000'000, micros / 60'000'000 % 60,
                     micros / 1'000'000 % 60, micros % 1'000'000);
}
/// Infinities are the ends of the range.
inline std::string literal_of_micros(std::int64_t micros, std::string_view zone = {}) {
  if (micros == std::numeric_limits<std::int64_t>::max()) return "infinity";
  if (micros == std::numeric_limits<std::int64_t>::min()) return "-infinity";
  constexpr std::int64_t kDay = 86'400'000'000;
  const std::int64_t days = micros / kDay - (micros % kDay < 0 ? 1 : 0);
  const CivilDay day = civil(days);
  return fmt::format("{} {}{}{}", day.text, literal_of_time(micros - days * kDay), zone, day.era);
}
inline std::string literal_of_zoned(const TimeWithZone& time) {
  const std::int32_t seconds = time.offset < 0 ? -time.offset : time.offset;
  return fmt::format("{}{}{:02}:{:02}:{:02}", literal_of_time(time.micros), time.offset < 0 ? '-' : '+', seconds / 3600,
                     seconds / 60 % 60, seconds % 60);
}

inline Date random_date(Random& random) {
  if (random.coin()) return Date{static_cast<std::int32_t>(random.between(-20'000, 40'000))};
  return Date{static_cast<std::int32_t>(random.between(kFirstDate.days, kLastDate.days))};
}
inline std::int64_t random_micros(Random& random) {
  if (random.coin()) return random.between(-2'000'000'000'000'000, 4'000'000'000'000'000);
  return random.between(kFirstMicros, kLastMicros);
}

}  // namespace ashlar::pg::test
