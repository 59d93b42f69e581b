// What readers say when a text is no value of a type, and the type's `format` in JSON Schema.
#pragma once

#include <cstdint>
#include <string_view>

namespace ashlar {

struct Bytes;
struct Date;
struct DateTime;
class Decimal;
struct Duration;
class Email;
struct IpAddress;
struct TimeOfDay;
class Url;
struct Uuid;

namespace schema {

struct Words {
  std::string_view type_error, type_message;    // not even text
  std::string_view parse_error, parse_message;  // text of the wrong form; {error} is the reason
  std::string_view reason;                      // when `parse` gives none of its own
  std::string_view format;
};

/// Specialise for a value type of your own to give its errors and its format a name.
template <class T>
inline constexpr Words kWords{
    "string_type", "Input should be a valid string", "value_error", "Value error, {error}", "not a valid value", ""};

template <>
inline constexpr Words kWords<Uuid>{"uuid_type",
                                    "UUID input should be a string, bytes or UUID object",
                                    "uuid_parsing",
                                    "Input should be a valid UUID, {error}",
                                    "expected 32 hexadecimal digits, with or without hyphens",
                                    "uuid"};
template <>
inline constexpr Words kWords<DateTime>{"datetime_type",
                                        "Input should be a valid datetime",
                                        "datetime_from_date_parsing",
                                        "Input should be a valid datetime or date, {error}",
                                        "",
                                        "date-time"};
template <>
inline constexpr Words kWords<Date>{"date_type",
                                    "Input should be a valid date",
                                    "date_from_datetime_parsing",
                                    "Input should be a valid date or datetime, {error}",
                                    "",
                                    "date"};
template <>
inline constexpr Words kWords<TimeOfDay>{
    "time_type", "Input should be a valid time", "time_parsing", "Input should be in a valid time format, {error}", "",
    "time"};
template <>
inline constexpr Words kWords<Duration>{"time_delta_type",
                                        "Input should be a valid timedelta",
                                        "time_delta_parsing",
                                        "Input should be a valid timedelta, {error}",
                                        "expected an ISO 8601 duration like PT1H30M",
                                        "duration"};
template <>
inline constexpr Words kWords<Decimal>{"decimal_type",
                                       "Decimal input should be an integer, float, string or Decimal object",
                                       "decimal_parsing",
                                       "Input should be a valid decimal",
                                       "",
                                       "decimal"};
template <>
inline constexpr Words kWords<Url>{
    "url_type", "URL input should be a string or URL", "url_parsing", "Input should be a valid URL, {error}", "",
    "uri"};
template <>
inline constexpr Words kWords<Email>{"string_type",
                                     "Input should be a valid string",
                                     "value_error",
                                     "value is not a valid email address: {error}",
                                     "an address looks like name@example.com",
                                     "email"};
template <>
inline constexpr Words kWords<IpAddress>{"ip_any_address",
                                         "value is not a valid IPv4 or IPv6 address",
                                         "ip_any_address",
                                         "value is not a valid IPv4 or IPv6 address",
                                         "",
                                         "ip"};
template <>
inline constexpr Words kWords<Bytes>{"bytes_type",    "Input should be a valid bytes",
                                     "base64_decode", "Base64 decoding error: '{error}'",
                                     "not base64",    "byte"};

/// The values of `base`, which rules and lax reading know more about than their text.
enum class Builtin : std::uint8_t {
  none,
  bytes,
  date,
  date_time,
  decimal,
  duration,
  email,
  ip_address,
  time_of_day,
  url,
  uuid,
};

namespace detail {
template <class T>
inline constexpr Builtin kBuiltin = Builtin::none;
template <>
inline constexpr Builtin kBuiltin<Bytes> = Builtin::bytes;
template <>
inline constexpr Builtin kBuiltin<Date> = Builtin::date;
template <>
inline constexpr Builtin kBuiltin<DateTime> = Builtin::date_time;
template <>
inline constexpr Builtin kBuiltin<Decimal> = Builtin::decimal;
template <>
inline constexpr Builtin kBuiltin<Duration> = Builtin::duration;
template <>
inline constexpr Builtin kBuiltin<Email> = Builtin::email;
template <>
inline constexpr Builtin kBuiltin<IpAddress> = Builtin::ip_address;
template <>
inline constexpr Builtin kBuiltin<TimeOfDay> = Builtin::time_of_day;
template <>
inline constexpr Builtin kBuiltin<Url> = Builtin::url;
template <>
inline constexpr Builtin kBuiltin<Uuid> = Builtin::uuid;
}  // namespace detail

}  // namespace schema
}  // namespace ashlar
