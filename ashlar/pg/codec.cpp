#include <ashlar/pg/codec.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <type_traits>

#include <ashlar/pg/codec_schema.hpp>
#include <ashlar/pg/detail/numeric.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg {
namespace detail {
namespace {
constexpr std::int32_t kEpochDays = 10'957;
constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
constexpr auto kMin = std::numeric_limits<std::int64_t>::min();

void put_int64(Params& out, std::int64_t value) {
  value = std::byteswap(value);
  out.bytes(&value, sizeof value);
}
}  // namespace

void bad_length(std::string_view bytes, std::size_t expected) {
  throw BadValue(fmt::format("a value of {} bytes where {} are expected", bytes.size(), expected));
}
void bad_value(std::string_view what) { throw BadValue(std::string(what)); }
void bad_type(Oid type) { throw BadValue(fmt::format("a value of the type {} that this C++ type cannot hold", type)); }
void out_of_range(std::int64_t value, std::size_t bits) {
  throw BadValue(fmt::format("the value {}, which does not fit an integer of {} bits", value, bits));
}

std::string_view text_of(Oid type, std::string_view bytes) {
  if (type != oid::jsonb) {
    if (type == oid::character && bytes.size() == 1 && bytes[0] == 0) return {};
    return bytes;
  }
  if (bytes.empty() || bytes[0] != 1) bad_value("jsonb of an unknown version");
  return bytes.substr(1);
}

std::int64_t from_pg_micros(std::int64_t micros) {
  if (micros == kMin || micros == kMax) return micros;
  if (micros > kMax - kPgEpochMicros) bad_value("a time after the year 294246");
  return micros + kPgEpochMicros;
}
std::int64_t to_pg_micros(std::int64_t micros) {
  if (micros == kMin || micros == kMax) return micros;
  if (micros < kMin + kPgEpochMicros) throw BadArgument("a time so long ago that PostgreSQL cannot hold it");
  return micros - kPgEpochMicros;
}

ArrayReader::ArrayReader(std::string_view bytes) {
  wire::Reader in(bytes);
  const auto dimensions = in.get<std::int32_t>();
  in.get<std::int32_t>();  // whether there are NULLs
  element_ = in.get<std::uint32_t>();
  if (dimensions == 0) return;
  if (dimensions != 1) bad_value(fmt::format("an array of {} dimensions; std::vector holds one", dimensions));
  count_ = in.get<std::uint32_t>();
  in.get<std::int32_t>();  // lower bound
  rest_ = in.rest();
  if (count_ > rest_.size() / 4) bad_value("an array that is shorter than its count");
}

std::optional<std::string_view> ArrayReader::next() {
  wire::Reader in(rest_);
  const auto length = in.get<std::int32_t>();
  std::optional<std::string_view> out;
  if (length >= 0) out = in.bytes(static_cast<std::size_t>(length));
  rest_ = in.rest();
  return out;
}

void bad_enum(std::string_view text) { throw BadValue(fmt::format("`{}`, which is no value of the C++ enum", text)); }
void bad_text(std::string_view text) { throw BadValue(fmt::format("`{}`, which the C++ type cannot read", text)); }
void bad_json(schema::Errors& errors) {
  throw BadValue(fmt::format("JSON that does not fit: {}", schema::ValidationError(std::move(errors)).message()));
}

CompositeReader::CompositeReader(std::string_view bytes) {
  wire::Reader in(bytes);
  count_ = in.get<std::uint32_t>();
  rest_ = in.rest();
}
CompositeReader::Column CompositeReader::next() {
  if (index_++ >= count_) bad_value(fmt::format("a composite of {} fields, fewer than the struct has members", count_));
  wire::Reader in(rest_);
  Column out{in.get<std::uint32_t>(), false, {}};
  const auto length = in.get<std::int32_t>();
  out.null = length < 0;
  if (length > 0) out.bytes = in.bytes(static_cast<std::size_t>(length));
  rest_ = in.rest();
  return out;
}
void CompositeReader::finish() const {
  if (index_ < count_)
    bad_value(fmt::format("a composite of {} fields, more than the {} members of the struct", count_, index_));
}

}  // namespace detail

void Codec<std::string>::decode(Oid type, std::string_view bytes, std::string& out) {
  const std::string_view text = detail::text_of(type, bytes);
  if (text.empty()) return out.clear();  // its data may be null
  // assign() takes three times the instructions: it must expect that the two overlap. The size given to the function is
  // not used: libstdc++ 12 passes the new capacity.
  out.resize_and_overwrite(text.size(), [&](char* to, std::size_t) {
    std::memcpy(to, text.data(), text.size());
    return text.size();
  });
}

void Codec<Decimal>::decode(Oid, std::string_view bytes, Decimal& out) {
  const std::string text = detail::numeric_to_text(bytes);
  auto value = Decimal::parse(text);
  if (!value)
    detail::bad_value(
        fmt::format("the numeric {}{}, which has no ashlar::Decimal", text.substr(0, 40), text.size() > 40 ? "…" : ""));
  out = std::move(*value);
}

void Codec<Date>::encode(Params& out, Date value) {
  std::int32_t days = 0;
  // The ends of the range are PostgreSQL's infinities, which a Date does not mean.
  if (__builtin_sub_overflow(value.days, detail::kEpochDays, &days) || days == std::numeric_limits<std::int32_t>::min())
    throw BadArgument("a date so long ago that PostgreSQL cannot hold it");
  days = std::byteswap(days);
  out.bytes(&days, sizeof days);
}
void Codec<Date>::decode(Oid, std::string_view bytes, Date& out) {
  const auto days = detail::load<std::int32_t>(bytes);
  if (days > std::numeric_limits<std::int32_t>::max() - detail::kEpochDays ||
      days == std::numeric_limits<std::int32_t>::min())
    detail::bad_value("an infinite date");
  out.days = days + detail::kEpochDays;
}

void Codec<TimeOfDay>::encode(Params& out, TimeOfDay value) { detail::put_int64(out, value.micros); }

void Codec<TimeWithZone>::encode(Params& out, TimeWithZone value) {
  char bytes[12];
  wire::store_be(bytes, value.micros);
  wire::store_be(bytes + 8, -value.offset);  // PostgreSQL counts seconds west of UTC
  out.bytes(bytes, sizeof bytes);
}
void Codec<TimeWithZone>::decode(Oid, std::string_view bytes, TimeWithZone& out) {
  if (bytes.size() != 12) detail::bad_length(bytes, 12);
  out.micros = wire::load_be<std::int64_t>(bytes.data());
  out.offset = -wire::load_be<std::int32_t>(bytes.data() + 8);
}

void Codec<DateTime>::encode(Params& out, DateTime value) {
  detail::put_int64(out, detail::to_pg_micros(value.micros));
}
void Codec<LocalDateTime>::encode(Params& out, LocalDateTime value) {
  detail::put_int64(out, detail::to_pg_micros(value.micros));
}

void Codec<Interval>::encode(Params& out, Interval value) {
  char bytes[16];
  wire::store_be(bytes, value.micros);
  wire::store_be(bytes + 8, value.days);
  wire::store_be(bytes + 12, value.months);
  out.bytes(bytes, sizeof bytes);
}
void Codec<Interval>::decode(Oid, std::string_view bytes, Interval& out) {
  if (bytes.size() != 16) detail::bad_length(bytes, 16);
  out.micros = wire::load_be<std::int64_t>(bytes.data());
  out.days = wire::load_be<std::int32_t>(bytes.data() + 8);
  out.months = wire::load_be<std::int32_t>(bytes.data() + 12);
}
void Codec<Duration>::decode(Oid type, std::string_view bytes, Duration& out) {
  Interval interval;
  Codec<Interval>::decode(type, bytes, interval);
  if (interval.months != 0) detail::bad_value("an interval with months, which has no fixed length (use pg::Interval)");
  std::int64_t days = 0;
  if (__builtin_mul_overflow(static_cast<std::int64_t>(interval.days), std::int64_t{86'400'000'000}, &days) ||
      __builtin_add_overflow(days, interval.micros, &out.micros))
    detail::bad_value("an interval that is too long");
}

// family (2: v4, 3: v6), prefix, is_cidr, length, address: network.c
void Codec<IpAddress>::encode(Params& out, const IpAddress& value) {
  const bool v4 = value.family == IpAddress::Family::v4;
  char bytes[20];
  bytes[0] = v4 ? 2 : 3;
  bytes[1] = static_cast<char>(value.prefix);
  bytes[2] = 0;
  bytes[3] = v4 ? 4 : 16;
  __builtin_memcpy(bytes + 4, value.bytes.data(), v4 ? 4 : 16);
  out.bytes(bytes, v4 ? 8 : 20);
}
void Codec<IpAddress>::decode(Oid, std::string_view bytes, IpAddress& out) {
  wire::Reader in(bytes);
  const auto family = in.get<std::uint8_t>();
  const auto prefix = in.get<std::uint8_t>();
  in.get<std::uint8_t>();
  const auto length = in.get<std::uint8_t>();
  if ((family != 2 || length != 4 || prefix > 32) && (family != 3 || length != 16 || prefix > 128))
    detail::bad_value("an address of an unknown family");
  out = IpAddress{};
  out.family = family == 2 ? IpAddress::Family::v4 : IpAddress::Family::v6;
  out.prefix = prefix;
  const std::string_view address = in.bytes(length);
  __builtin_memcpy(out.bytes.data(), address.data(), length);
}

RangeBounds range_bounds(std::uint32_t type, std::string_view bytes) {
  static const TypeMap built_in;
  RangeBounds out;
  out.element = built_in.element(type);
  wire::Reader in(bytes);
  const auto flags = in.get<std::uint8_t>();
  out.empty = (flags & 1) != 0;
  out.lower_inclusive = (flags & 2) != 0;
  out.upper_inclusive = (flags & 4) != 0;
  const auto bound = [&] {
    const auto length = in.get<std::int32_t>();
    if (length < 0) detail::bad_value("a range with a NULL bound");
    return in.bytes(static_cast<std::size_t>(length));
  };
  if (!out.empty && (flags & 8) == 0) out.lower = bound();
  if (!out.empty && (flags & 16) == 0) out.upper = bound();
  return out;
}

std::string Interval::to_string() const {
  if (months == 0 && days == 0 && micros == 0) return "PT0S";
  std::string out = "P";
  if (months / 12 != 0) out += fmt::format("{}Y", months / 12);
  if (months % 12 != 0) out += fmt::format("{}M", months % 12);
  if (days != 0) out += fmt::format("{}D", days);
  if (micros == 0) return out;
  out += "T";
  std::int64_t rest = micros;
  const std::int64_t hours = rest / 3'600'000'000;
  rest %= 3'600'000'000;
  const std::int64_t minutes = rest / 60'000'000;
  rest %= 60'000'000;
  if (hours != 0) out += fmt::format("{}H", hours);
  if (minutes != 0) out += fmt::format("{}M", minutes);
  if (rest != 0) {
    out += fmt::format("{}{}", rest < 0 ? "-" : "", (rest < 0 ? -rest : rest) / 1'000'000);
    if (std::int64_t fraction = (rest < 0 ? -rest : rest) % 1'000'000; fraction != 0) {
      std::string digits = fmt::format("{:06}", fraction);
      digits.erase(digits.find_last_not_of('0') + 1);
      out += "." + digits;
    }
    out += "S";
  }
  return out;
}

namespace {
/// False when it does not fit.
template <class Int>
bool add_multiple(Int& sum, std::type_identity_t<Int> number, std::type_identity_t<Int> unit) noexcept {
  return !__builtin_mul_overflow(number, unit, &number) && !__builtin_add_overflow(sum, number, &sum);
}
}  // namespace

std::optional<Interval> Interval::parse(std::string_view text) {
  Interval out;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.size() < 2 || text[0] != 'P') return std::nullopt;
  text.remove_prefix(1);
  bool in_time = false;
  bool any = false;
  while (!text.empty()) {
    if (text[0] == 'T' && !in_time) {
      in_time = true;
      text.remove_prefix(1);
      continue;
    }
    const bool minus = text[0] == '-';
    std::int64_t whole = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error != std::errc{}) return std::nullopt;
    std::int64_t micro = 0;
    if (end != text.data() + text.size() && *end == '.') {
      const char* digit = ++end;
      std::int64_t unit = 100'000;
      for (; digit != text.data() + text.size() && *digit >= '0' && *digit <= '9'; ++digit, unit /= 10)
        micro += (*digit - '0') * unit;
      if (digit == end) return std::nullopt;
      end = digit;
      if (minus) micro = -micro;
    }
    if (end == text.data() + text.size()) return std::nullopt;
    const char unit = *end;
    if (micro != 0 && unit != 'S') return std::nullopt;
    if (!std::in_range<std::int32_t>(whole) && unit != 'S') return std::nullopt;
    const auto number = static_cast<std::int32_t>(whole);
    bool fits = false;
    if (!in_time && unit == 'Y')
      fits = add_multiple(out.months, number, 12);
    else if (!in_time && unit == 'M')
      fits = add_multiple(out.months, number, 1);
    else if (!in_time && unit == 'W')
      fits = add_multiple(out.days, number, 7);
    else if (!in_time && unit == 'D')
      fits = add_multiple(out.days, number, 1);
    else if (in_time && unit == 'H')
      fits = add_multiple(out.micros, whole, 3'600'000'000);
    else if (in_time && unit == 'M')
      fits = add_multiple(out.micros, whole, 60'000'000);
    else if (in_time && unit == 'S')
      fits = add_multiple(out.micros, whole, 1'000'000) && add_multiple(out.micros, micro, 1);
    if (!fits) return std::nullopt;
    any = true;
    text.remove_prefix(static_cast<std::size_t>(end + 1 - text.data()));
  }
  if (!any) return std::nullopt;
  if (!negative) return out;
  Interval minus;
  if (!add_multiple(minus.months, out.months, -1) || !add_multiple(minus.days, out.days, -1) ||
      !add_multiple(minus.micros, out.micros, -1))
    return std::nullopt;
  return minus;
}

std::string LocalDateTime::to_string() const {
  std::string out = DateTime{micros}.to_string();
  if (out.ends_with('Z')) out.pop_back();
  return out;
}
std::optional<LocalDateTime> LocalDateTime::parse(std::string_view text) {
  const std::size_t time = text.find_first_of("Tt ");
  if (time != std::string_view::npos && text.find_first_of("Zz+-", time) != std::string_view::npos) return std::nullopt;
  const auto value = DateTime::parse(text);
  if (!value) return std::nullopt;
  return LocalDateTime{value->micros};
}

std::string TimeWithZone::to_string() const {
  const std::int32_t absolute = offset < 0 ? -offset : offset;
  std::string out = fmt::format("{}{}{:02}:{:02}", TimeOfDay{micros}.to_string(), offset < 0 ? '-' : '+',
                                absolute / 3600, absolute / 60 % 60);
  if (absolute % 60 != 0) out += fmt::format(":{:02}", absolute % 60);  // zones before 1972
  return out;
}
std::optional<TimeWithZone> TimeWithZone::parse(std::string_view text) {
  TimeWithZone out;
  if (text.ends_with('Z')) {
    text.remove_suffix(1);
  } else {
    const std::size_t sign = text.find_last_of("+-");
    if (sign == std::string_view::npos) return std::nullopt;
    const std::string_view zone = text.substr(sign + 1);  // hh:mm or hh:mm:ss
    if ((zone.size() != 5 && zone.size() != 8) || zone[2] != ':' || (zone.size() == 8 && zone[5] != ':'))
      return std::nullopt;
    std::int32_t seconds = 0;
    for (std::size_t at = 0; at < zone.size(); at += 3) {
      if (zone[at] < '0' || zone[at] > '9' || zone[at + 1] < '0' || zone[at + 1] > '9') return std::nullopt;
      seconds = seconds * 60 + (zone[at] - '0') * 10 + (zone[at + 1] - '0');
    }
    if (zone.size() == 5) seconds *= 60;
    out.offset = text[sign] == '-' ? -seconds : seconds;
    text = text.substr(0, sign);
  }
  const auto time = TimeOfDay::parse(text);
  if (!time) return std::nullopt;
  out.micros = time->micros;
  return out;
}

}  // namespace ashlar::pg
