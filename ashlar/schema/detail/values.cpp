#include <ashlar/schema/detail/values.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/detail/bounds.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema::detail {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;

template <class T>
const T& of(const void* value) {
  return *static_cast<const T*>(value);
}

Failure with_error(std::string_view type, std::string_view words, std::string_view error) {
  std::string msg(words);
  if (const auto at = msg.find("{error}"); at != std::string::npos) msg.replace(at, 7, error);
  std::string ctx;
  if (!error.empty()) {
    ctx = "{\"error\":";
    append_json_string(error, ctx);
    ctx += '}';
  }
  return {std::string(type), std::move(msg), std::move(ctx)};
}

// ---- why a text is none, in the words of the libraries that Pydantic uses

bool is_hex(char c) { return is_digit_ascii(c) || (to_lower_ascii(c) >= 'a' && to_lower_ascii(c) <= 'f'); }

std::string why_no_uuid(std::string_view text) {
  if (text.starts_with("urn:uuid:")) text.remove_prefix(9);
  if (text.size() > 1 && text.front() == '{' && text.back() == '}') text = text.substr(1, text.size() - 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_hex(text[i]) || text[i] == '-') continue;
    std::size_t size = 1;  // the whole character
    while (i + size < text.size() && (static_cast<unsigned char>(text[i + size]) & 0xC0) == 0x80) ++size;
    return fmt::format("invalid character: found `{}` at {}", text.substr(i, size), i + 1);
  }
  constexpr std::size_t kLengths[] = {8, 4, 4, 4, 12};
  std::size_t groups = 1;
  for (const char c : text) groups += c == '-';
  if (groups == 1) return fmt::format("invalid length: expected length 32 for simple format, found {}", text.size());
  if (groups != 5) return fmt::format("invalid group count: expected 5, found {}", groups);
  for (std::size_t i = 0; i < 5; ++i) {
    const std::size_t size = std::min(text.find('-'), text.size());
    if (size != kLengths[i]) {
      return fmt::format("invalid group length in group {}: expected {}, found {}", i, kLengths[i], size);
    }
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return "expected 32 hexadecimal digits, with or without hyphens";
}

std::string why_no_email(std::string_view text) {
  const auto at = text.rfind('@');
  if (at == std::string_view::npos) return "An email address must have an @-sign.";
  if (at == 0) return "There must be something before the @-sign.";
  const std::string_view local = text.substr(0, at), domain = text.substr(at + 1);
  if (domain.empty()) return "There must be something after the @-sign.";
  if (text.size() > 254 || local.size() > 64) return "The email address is too long.";
  if (local.front() == '.') return "An email address cannot start with a period.";
  if (local.back() == '.') return "An email address cannot have a period immediately before the @-sign.";
  if (text.find("..") != std::string_view::npos) return "An email address cannot have two periods in a row.";
  if (domain.front() == '.') return "An email address cannot have a period immediately after the @-sign.";
  if (domain.back() == '.') return "An email address cannot end with a period.";
  if (domain.find('.') == std::string_view::npos) {
    return "The part after the @-sign is not valid. It should have a period.";
  }
  if (!Email::parse(fmt::format("name@{}", domain))) {
    return "The part after the @-sign is not valid: a domain has letters, digits and hyphens, like example.com.";
  }
  return "The email address contains invalid characters before the @-sign.";
}

std::string why_no_base64(std::string_view text) {
  std::size_t digits = 0;
  for (const char c : text) {
    if (is_alpha_ascii(c) || is_digit_ascii(c) || c == '+' || c == '/' || c == '-' || c == '_') {
      ++digits;
    } else if (c != '=') {
      return "Only base64 data is allowed";
    }
  }
  if (digits % 4 == 1) {
    return fmt::format(
        "Invalid base64-encoded string: number of data characters ({}) cannot be 1 more than a multiple of 4", digits);
  }
  return "Incorrect padding";
}

std::string why_none(Builtin builtin, std::string_view text, std::string_view reason) {
  switch (builtin) {
    case Builtin::uuid:
      return why_no_uuid(text);
    case Builtin::email:
      return why_no_email(text);
    case Builtin::bytes:
      return why_no_base64(text);
    case Builtin::date:
    case Builtin::date_time:
      return text.size() < 10 ? "input is too short" : std::string(reason);
    case Builtin::time_of_day:
      return text.size() < 5 ? "input is too short" : std::string(reason);
    case Builtin::duration:
      return text.empty() || text == "P" || text == "PT" ? "input is too short" : std::string(reason);
    default:
      return std::string(reason);
  }
}

// ---- numbers as points in time

std::optional<double> number_in(std::string_view text) {
  if (text.empty() || !(text[0] == '-' || text[0] == '.' || is_digit_ascii(text[0]))) return std::nullopt;
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (rest != text.data() + text.size() || error != std::errc()) return std::nullopt;
  return number;
}

// What a number means, or nothing when the text is none.
std::optional<std::optional<Failure>> read_as_number(Builtin builtin, std::string_view text, void* into) {
  const std::optional<double> number = number_in(text);
  if (!number) return std::nullopt;
  if (builtin == Builtin::duration) {
    if (std::fabs(*number) > 9e12) {
      return with_error("time_delta_parsing", "Input should be a valid timedelta, {error}", "the number is too large");
    }
    *static_cast<Duration*>(into) = Duration(std::llround(*number * kSecond));
    return std::optional<Failure>();
  }
  // As in Pydantic: what would be beyond the year 2603 is meant as milliseconds.
  const double seconds = std::fabs(*number) > 2e10 ? *number / 1000 : *number;
  constexpr double kFirst = -62'167'219'200, kLast = 253'402'300'799;  // the years 0000 and 9999
  if (seconds > kLast || seconds < kFirst) {
    const auto* why = seconds > kLast ? "dates after 9999 are not supported as unix timestamps"
                                      : "dates before 0000 are not supported as unix timestamps";
    return builtin == Builtin::date
               ? with_error("date_from_datetime_parsing", "Input should be a valid date or datetime, {error}", why)
               : with_error("datetime_parsing", "Input should be a valid datetime, {error}", why);
  }
  const DateTime at{std::llround(seconds * kSecond)};
  if (builtin == Builtin::date_time) {
    *static_cast<DateTime*>(into) = at;
  } else if (at.micros % kDay == 0) {
    *static_cast<Date*>(into) = at.date();
  } else {
    return Failure{"date_from_datetime_inexact",
                   "Datetimes provided to dates should have zero time - e.g. be exact dates", ""};
  }
  return std::optional<Failure>();
}

bool says_offset(std::string_view text) {
  if (text.size() <= 10) return false;
  return text.find_first_of("Zz+-", 10) != std::string_view::npos;
}

// ---- rules

std::string bound_text(const Bound& bound) {
  return bound.kind == Bound::Kind::integer ? fmt::format("{}", bound.integer) : fmt::format("{}", bound.number);
}

int compare(Builtin builtin, const void* value, const Bound& bound) {
  if (builtin == Builtin::duration) {
    const long double limit = bound.kind == Bound::Kind::integer ? static_cast<long double>(bound.integer) * kSecond
                                                                 : static_cast<long double>(bound.number) * kSecond;
    const auto micros = static_cast<long double>(of<Duration>(value).micros);
    return micros < limit ? -1 : micros > limit;
  }
  const Decimal other = bound.kind == Bound::Kind::integer ? Decimal(bound.integer)
                                                           : Decimal::parse(bound_text(bound)).value_or(Decimal());
  const auto order = of<Decimal>(value) <=> other;
  return order < 0 ? -1 : order > 0;
}

bool is_multiple(const void* decimal, const Bound& step) {
  const Decimal by =
      step.kind == Bound::Kind::integer ? Decimal(step.integer) : Decimal::parse(bound_text(step)).value_or(Decimal());
  return by.is_zero() || of<Decimal>(decimal).is_multiple_of(by);
}

// Zeros at the end do not count, as in Pydantic.
std::optional<Failure> check_digits(const Rules& r, const Decimal& value) {
  const std::string text = value.to_string();
  std::string_view whole(text), fraction;
  if (const auto point = whole.find('.'); point != std::string_view::npos) {
    fraction = whole.substr(point + 1);
    whole = whole.substr(0, point);
  }
  while (!whole.empty() && (whole.front() == '-' || whole.front() == '0')) whole.remove_prefix(1);
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  const auto digits = static_cast<std::int64_t>(whole.size() + fraction.size());
  const auto places = static_cast<std::int64_t>(fraction.size());
  const auto plural = [](std::int64_t count) { return count == 1 ? "" : "s"; };
  if (r.max_digits >= 0 && digits > r.max_digits) {
    return Failure{
        "decimal_max_digits",
        fmt::format("Decimal input should have no more than {} digit{} in total", r.max_digits, plural(r.max_digits)),
        fmt::format("{{\"max_digits\":{}}}", r.max_digits)};
  }
  if (r.decimal_places >= 0 && places > r.decimal_places) {
    return Failure{"decimal_max_places",
                   fmt::format("Decimal input should have no more than {} decimal place{}", r.decimal_places,
                               plural(r.decimal_places)),
                   fmt::format("{{\"decimal_places\":{}}}", r.decimal_places)};
  }
  if (r.max_digits >= 0 && r.decimal_places >= 0) {
    const std::int64_t most = std::max<std::int64_t>(r.max_digits - r.decimal_places, 0);
    if (static_cast<std::int64_t>(whole.size()) > most) {
      return Failure{
          "decimal_whole_digits",
          fmt::format("Decimal input should have no more than {} digit{} before the decimal point", most, plural(most)),
          fmt::format("{{\"whole_digits\":{}}}", most)};
    }
  }
  return std::nullopt;
}

std::optional<Failure> check_bytes(const Rules& r, std::int64_t size) {
  const auto bytes = [](std::int64_t count) { return fmt::format("{} byte{}", count, count == 1 ? "" : "s"); };
  if (r.min_length >= 0 && size < r.min_length) {
    return Failure{"bytes_too_short", "Data should have at least " + bytes(r.min_length),
                   fmt::format("{{\"min_length\":{}}}", r.min_length)};
  }
  if (r.max_length >= 0 && size > r.max_length) {
    return Failure{"bytes_too_long", "Data should have at most " + bytes(r.max_length),
                   fmt::format("{{\"max_length\":{}}}", r.max_length)};
  }
  return std::nullopt;
}

std::optional<Failure> check_url(const Rules& r, const Url& url) {
  const auto length = static_cast<std::int64_t>(utf8_length(url.to_string()));
  if (r.max_length >= 0 && length > r.max_length) {
    return Failure{"url_too_long",
                   fmt::format("URL should have at most {} character{}", r.max_length, r.max_length == 1 ? "" : "s"),
                   fmt::format("{{\"max_length\":{}}}", r.max_length)};
  }
  if (length < r.min_length) {
    return Failure{"url_too_short",
                   fmt::format("URL should have at least {} character{}", r.min_length, r.min_length == 1 ? "" : "s"),
                   fmt::format("{{\"min_length\":{}}}", r.min_length)};
  }
  if (r.schemes.empty()) return std::nullopt;
  Choices choices;
  bool found = false;
  each_text(r.schemes, [&](std::string_view scheme) {
    choices.add(scheme);
    found = found || scheme == url.scheme();
  });
  if (found) return std::nullopt;
  const std::string expected = choices.text();
  return Failure{"url_scheme", "URL scheme should be " + expected,
                 fmt::format("{{\"expected_schemes\":\"{}\"}}", expected)};
}

// Microseconds or days: what orders the values of the type.
std::optional<std::int64_t> position(Builtin builtin, std::string_view text) {
  if (builtin == Builtin::date) {
    const auto date = Date::parse(text);
    return date ? std::optional<std::int64_t>(date->days) : std::nullopt;
  }
  if (builtin == Builtin::date_time) {
    const auto at = DateTime::parse(text);
    return at ? std::optional(at->micros) : std::nullopt;
  }
  const auto time = TimeOfDay::parse(text);
  return time ? std::optional(time->micros) : std::nullopt;
}

std::optional<Failure> check_time(const Rules& r, Builtin builtin, const void* value) {
  const bool is_date = builtin == Builtin::date;
  const std::int64_t at = is_date                         ? of<Date>(value).days
                          : builtin == Builtin::date_time ? of<DateTime>(value).micros
                                                          : of<TimeOfDay>(value).micros;
  const auto failure = [](std::string_view type, std::string_view words, std::string_view key, std::string_view text) {
    return Failure{std::string(type), fmt::format("Input should be {} {}", words, text),
                   fmt::format("{{\"{}\":\"{}\"}}", key, text)};
  };
  if (!r.not_after.empty() && at > position(builtin, r.not_after).value_or(at)) {
    return failure("less_than_equal", "less than or equal to", "le", r.not_after);
  }
  if (!r.not_before.empty() && at < position(builtin, r.not_before).value_or(at)) {
    return failure("greater_than_equal", "greater than or equal to", "ge", r.not_before);
  }
  if (!r.past && !r.future) return std::nullopt;
  const std::int64_t now = is_date ? Date::today().days : DateTime::now().micros;
  if (r.past && at >= now) {
    return is_date ? Failure{"date_past", "Date should be in the past", ""}
                   : Failure{"datetime_past", "Input should be in the past", ""};
  }
  if (r.future && at <= now) {
    return is_date ? Failure{"date_future", "Date should be in the future", ""}
                   : Failure{"datetime_future", "Input should be in the future", ""};
  }
  return std::nullopt;
}

}  // namespace

void Choices::add(std::string_view text) {
  if (!last_.empty()) all_ += all_.empty() ? last_ : ", " + last_;
  last_ = fmt::format("'{}'", text);
}

std::string Choices::text() const { return all_.empty() ? last_ : all_ + " or " + last_; }

// What the type's own parse() does not take: other readings, or why it is none.
[[gnu::noinline]] static std::optional<Failure> parse_otherwise(const TypeInfo& type, std::string_view text, void* into,
                                                                bool strict, std::string_view reason) {
  const ValueOps& ops = *type.value;
  switch (ops.builtin) {
    case Builtin::date:
      if (const auto at = DateTime::parse_or_reason(text); !strict && at && text.size() > 10) {
        if (at->micros % kDay != 0) {
          return Failure{"date_from_datetime_inexact",
                         "Datetimes provided to dates should have zero time - e.g. be exact dates", ""};
        }
        *static_cast<Date*>(into) = at->date();
        return std::nullopt;
      } else if (!at) {
        reason = at.error();
      }
      [[fallthrough]];
    case Builtin::date_time:
    case Builtin::duration:
      if (!strict) {
        if (auto result = read_as_number(ops.builtin, text, into)) return std::move(*result);
      }
      break;
    case Builtin::decimal: {
      text = trim(text);
      if (ops.parse(text, into, reason)) return std::nullopt;
      std::string word = to_lower_ascii(text);
      if (word.starts_with('-') || word.starts_with('+')) word.erase(0, 1);
      if (word == "nan" || word == "inf" || word == "infinity") {
        return Failure{"finite_number", "Input should be a finite number", ""};
      }
      break;
    }
    default:
      break;
  }
  if (reason.empty()) reason = ops.reason;
  return with_error(ops.parse_error, ops.parse_message, why_none(ops.builtin, text, reason));
}

std::optional<Failure> parse_value(const TypeInfo& type, std::string_view text, void* into, bool strict) {
  std::string_view reason;
  if (!type.value->parse(text, into, reason)) return parse_otherwise(type, text, into, strict, reason);
  if (type.rules && type.rules->with_offset && !says_offset(text)) {
    return Failure{"timezone_aware", "Input should have timezone info", ""};
  }
  return std::nullopt;
}

std::optional<Failure> check_value(const TypeInfo& type, const void* value) {
  const Rules& r = *type.rules;
  const Builtin builtin = type.value->builtin;
  switch (builtin) {
    case Builtin::decimal:
    case Builtin::duration: {
      auto failure = check_bounds(
          r, [&](const Bound& bound) { return compare(builtin, value, bound); },
          [&](const Bound& step) { return is_multiple(value, step); }, builtin == Builtin::duration ? " second" : "");
      if (failure || builtin == Builtin::duration || (r.max_digits < 0 && r.decimal_places < 0)) return failure;
      return check_digits(r, of<Decimal>(value));
    }
    case Builtin::bytes:
    case Builtin::none:
      if (!type.value->length) return std::nullopt;
      return check_bytes(r, static_cast<std::int64_t>(type.value->length(value)));
    case Builtin::url:
      return check_url(r, of<Url>(value));
    case Builtin::uuid:
      if (r.uuid_version >= 0 && of<Uuid>(value).version() != r.uuid_version) {
        return Failure{"uuid_version", fmt::format("UUID version {} expected", r.uuid_version),
                       fmt::format("{{\"expected_version\":{}}}", r.uuid_version)};
      }
      return std::nullopt;
    case Builtin::date:
    case Builtin::date_time:
    case Builtin::time_of_day:
      return check_time(r, builtin, value);
    case Builtin::email:
    case Builtin::ip_address:
      break;
  }
  return std::nullopt;
}

void prepare_value(const TypeInfo& type) {
  if (!type.rules) return;
  for (const std::string_view text : {type.rules->not_before, type.rules->not_after}) {
    if (!text.empty() && !position(type.value->builtin, text)) {
      throw Internal(fmt::format("not_before{{\"{0}\"}} or not_after{{\"{0}\"}}: this is no such value", text));
    }
  }
}

}  // namespace ashlar::schema::detail
