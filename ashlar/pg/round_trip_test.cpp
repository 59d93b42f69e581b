// Ten thousand values of each type, both ways, against libpq. What needs a type around another one (arrays, ranges,
// composites) is in round_trip_nested_test.cpp.
#include <ashlar/pg/detail/test_round_trip.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include <ashlar/base/text.hpp>
#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_round_trip_literals.hpp>
#include <ashlar/pg/extra_types.hpp>

namespace ashlar::pg {
namespace {

using test::Proof;
using test::prove;
using test::values_of;
using ::testing::HasSubstr;

const auto by_to_string = [](const auto& value) { return value.to_string(); };
const auto by_itself = [](const std::string& value) { return value; };

test::Random& random() {
  static test::Random instance;
  return instance;
}

template <class Int>
void prove_integers(const char* type) {
  constexpr Int kLow = std::numeric_limits<Int>::min();
  constexpr Int kHigh = std::numeric_limits<Int>::max();
  prove<Int>({.type = type,
              .values = values_of<Int>({0, 1, kLow, kHigh, static_cast<Int>(kLow + 1), static_cast<Int>(kHigh - 1)},
                                       [] { return static_cast<Int>(random().integer(kLow, kHigh)); }),
              .literal = [](const Int& value) { return fmt::format("{}", value); }});
}

TEST(RoundTrip, Integers) {
  prove_integers<std::int16_t>("int2");
  prove_integers<std::int32_t>("int4");
  prove_integers<std::int64_t>("int8");
  prove_integers<std::uint32_t>("oid");
}

TEST(RoundTrip, Booleans) {
  prove<bool>({.type = "bool",
               .values = values_of<bool>({false, true}, [] { return random().coin(); }),
               .literal = [](bool value) { return value ? "true" : "false"; }});
}

template <class Float>
std::string float_literal(Float value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return fmt::format("{}", value);
}
template <class Float>
bool same_float(Float a, Float b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}
template <class Float, class Bits>
Proof<Float> floats(const char* type) {
  using Limits = std::numeric_limits<Float>;
  return {.type = type,
          .values = values_of<Float>({0, -Float{0}, Limits::max(), Limits::lowest(), Limits::min(),
                                      Limits::denorm_min(), -Limits::denorm_min(), Limits::infinity(),
                                      -Limits::infinity(), Limits::quiet_NaN(), Limits::epsilon(), Float(0.1)},
                                     [] {
                                       if (random().coin())
                                         return std::bit_cast<Float>(static_cast<Bits>(random().bits()));
                                       return static_cast<Float>(random().integer(-1'000'000, 1'000'000)) / 100;
                                     }),
          .literal = &float_literal<Float>,
          .same = &same_float<Float>};
}

TEST(RoundTrip, FloatingPoint) {
  prove(floats<double, std::uint64_t>("float8"));
  prove(floats<float, std::uint32_t>("float4"));
}

TEST(RoundTrip, Numeric) {
  const auto digits = [](std::int64_t most) {
    std::string out;
    for (auto n = random().between(1, most); n > 0; --n) out += static_cast<char>('0' + random().between(0, 9));
    return out;
  };
  std::vector<Decimal> edges;
  for (const char* text : {"0", "0.00", "-0.0001", "9999", "10000", "9999.9999", "10000.0001", "0.00000001", "1e131",
                           "-1e-131", "100000000", "99999999999999999999.9999", "1.10", "123e20"})
    edges.push_back(*Decimal::parse(text));
  edges.push_back(*Decimal::parse(std::string(16'000, '7')));
  edges.push_back(*Decimal::parse("-0." + std::string(16'000, '3')));
  prove<Decimal>({.type = "numeric",
                  .values = values_of<Decimal>(std::move(edges),
                                               [&] {
                                                 std::string text = random().coin() ? "-" : "";
                                                 text += digits(random().coin() ? 60 : 6);
                                                 if (random().coin()) text += "." + digits(random().coin() ? 40 : 4);
                                                 return *Decimal::parse(text);
                                               }),
                  .literal = by_to_string,
                  // Equal, and with the same number of digits after the point.
                  .same = [](const Decimal& a, const Decimal& b) { return a.to_string() == b.to_string(); }});
}

Proof<std::string> texts(std::string type, std::size_t longest) {
  return {.type = std::move(type),
          .values = values_of<std::string>({"", " ", "'", "\"", "\\", "NULL", "{}", "\x7f", "𝄞"},
                                           [=] { return random().text(longest); }),
          .literal = by_itself};
}

TEST(RoundTrip, Text) {
  prove(texts("text", 40));
  prove(texts("varchar", 40));
  prove(texts("varchar(20)", 20));
  prove(texts("name", 15));  // 15 characters of 4 bytes fit into its 63
  auto padded = texts("char(20)", 20);
  const auto trimmed = [](std::string text) {
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  padded.same = [=](const std::string& a, const std::string& b) {
    return utf8_length(a) == 20 && trimmed(a) == trimmed(b);
  };
  prove(std::move(padded));
}

TEST(RoundTrip, TheCharOfOneByte) {
  std::vector<std::string> values = {""};
  for (char c = 1; c < 127; ++c) values.emplace_back(1, c);
  prove<std::string>({.type = "\"char\"", .values = std::move(values), .literal = by_itself});
}

TEST(RoundTrip, Citext) {
  auto proof = texts("citext", 40);
  proof.before = "create extension citext";
  prove(std::move(proof));
}

TEST(RoundTrip, Xml) {
  prove<std::string>(
      {.type = "xml",
       .values = values_of<std::string>(
           {"<a/>", "", "text", "<!-- ü -->"},
           [] { return fmt::format("<a n=\"{}\">{}</a>", random().between(0, 99), random().between(0, 1'000'000)); }),
       .literal = by_itself});
}

/// As jsonb prints it: then both types give back what they were given.
std::string random_json(int depth) {
  switch (random().between(0, depth > 2 ? 3 : 5)) {
    case 0:
      return std::to_string(random().integer(-1'000'000'000, 1'000'000'000));
    case 1:
      return random().coin() ? "null" : "true";
    case 2:
      return fmt::format("\"{}\"", random().coin() ? "straße 𝄞" : R"(a\"b\\c)");
    case 3:
      return fmt::format("{}.{:03}", random().between(0, 99), random().between(1, 999));
    case 4: {
      std::string out;
      for (auto n = random().between(0, 4); n > 0; --n) out += (out.empty() ? "" : ", ") + random_json(depth + 1);
      return "[" + out + "]";
    }
    default: {
      std::string out;
      for (auto n = random().between(0, 3), i = std::int64_t{1}; i <= n; ++i)
        out += fmt::format("{}\"{}\": {}", out.empty() ? "" : ", ", std::string(static_cast<std::size_t>(i), 'k'),
                           random_json(depth + 1));
      return "{" + out + "}";
    }
  }
}

TEST(RoundTrip, Json) {
  for (const char* type : {"json", "jsonb"}) {
    prove<Json>({.type = type,
                 .values = values_of<Json>({Json{"{}"}, Json{"[]"}, Json{"null"}, Json{R"("")"}},
                                           [] { return Json{random_json(0)}; }),
                 .literal = [](const Json& value) { return std::string(value.text()); },
                 .same = [](const Json& a, const Json& b) { return a.text() == b.text(); }});
  }
}

TEST(RoundTrip, Bytea) {
  std::string every;
  for (int i = 0; i < 256; ++i) every += static_cast<char>(i);
  prove<Bytes>({.type = "bytea",
                .values = values_of<Bytes>({Bytes{}, Bytes::copy_of(every)},
                                           [] {
                                             Bytes out(static_cast<std::size_t>(random().between(0, 64)));
                                             for (auto& byte : out) byte = static_cast<std::uint8_t>(random().bits());
                                             return out;
                                           }),
                .literal = [](const Bytes& value) { return "\\x" + hex_encode(value.view()); }});
}

TEST(RoundTrip, Uuid) {
  prove<Uuid>(
      {.type = "uuid", .values = values_of<Uuid>({Uuid{}}, [] { return Uuid::v4(); }), .literal = by_to_string});
}

TEST(RoundTrip, Dates) {
  prove<Date>({.type = "date",
               .values = values_of<Date>({Date{0}, test::kFirstDate, test::kLastDate, *Date::of(2000, 1, 1)},
                                         [] { return test::random_date(random()); }),
               .literal = &test::literal_of_date});
}

TEST(RoundTrip, TimesOfDay) {
  constexpr std::int64_t kDay = 86'400'000'000;
  const auto micros = [] { return random().between(0, kDay); };
  prove<TimeOfDay>({.type = "time",
                    .values = values_of<TimeOfDay>({TimeOfDay{0}, TimeOfDay{kDay}, TimeOfDay{kDay - 1}},
                                                   [&] { return TimeOfDay{micros()}; }),
                    .literal = [](const TimeOfDay& value) { return test::literal_of_time(value.micros); }});
  prove<TimeWithZone>({.type = "timetz",
                       .values = values_of<TimeWithZone>(
                           {TimeWithZone{0, 0}, TimeWithZone{kDay, 57'599}, TimeWithZone{1, -57'599}},
                           [&] {
                             const auto offset = random().between(-57'599, 57'599);
                             return TimeWithZone{
                                 micros(), static_cast<std::int32_t>(random().coin() ? offset : offset / 900 * 900)};
                           }),
                       .literal = &test::literal_of_zoned});
}

TEST(RoundTrip, PointsInTime) {
  constexpr auto kInfinity = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMinusInfinity = std::numeric_limits<std::int64_t>::min();
  prove<DateTime>(
      {.type = "timestamptz",
       .values = values_of<DateTime>({DateTime{0}, DateTime{-1}, DateTime{test::kFirstMicros},
                                      DateTime{test::kLastMicros}, DateTime{kInfinity}, DateTime{kMinusInfinity}},
                                     [] { return DateTime{test::random_micros(random())}; }),
       .literal = [](const DateTime& value) { return test::literal_of_micros(value.micros, "+00"); }});
  prove<LocalDateTime>({.type = "timestamp",
                        .values = values_of<LocalDateTime>(
                            {LocalDateTime{0}, LocalDateTime{test::kFirstMicros}, LocalDateTime{test::kLastMicros},
                             LocalDateTime{kInfinity}, LocalDateTime{kMinusInfinity}},
                            [] { return LocalDateTime{test::random_micros(random())}; }),
                        .literal = [](const LocalDateTime& value) { return test::literal_of_micros(value.micros); }});
}

TEST(RoundTrip, Intervals) {
  constexpr auto kMost = std::numeric_limits<std::int32_t>::max();
  prove<Interval>({.type = "interval",
                   .values = values_of<Interval>(
                       {Interval{}, Interval{1, -1, 1}, Interval{-1, 1, -1}, Interval{kMost, kMost, 1},
                        Interval{-kMost, -kMost, -1}, Interval{.micros = 3'600'000'000'000'000}},
                       [] {
                         return Interval{static_cast<std::int32_t>(random().integer(-100'000, 100'000)),
                                         static_cast<std::int32_t>(random().integer(-1'000'000, 1'000'000)),
                                         random().integer(-1'000'000'000'000'000, 1'000'000'000'000'000)};
                       }),
                   .literal = [](const Interval& value) {
                     return fmt::format("{} mons {} days {} microseconds", value.months, value.days, value.micros);
                   }});
  prove<Duration>({.type = "interval",
                   .values = values_of<Duration>(
                       {Duration{0}, Duration{1}, Duration{-1}},
                       [] { return Duration{random().integer(-1'000'000'000'000'000, 1'000'000'000'000'000)}; }),
                   .literal = [](const Duration& value) { return fmt::format("{} microseconds", value.micros); }});
}

IpAddress random_address(bool network) {
  IpAddress out;
  out.family = random().coin() ? IpAddress::Family::v4 : IpAddress::Family::v6;
  const int bits = out.bits();
  out.prefix = static_cast<std::uint8_t>(random().coin() ? bits : random().between(0, bits));
  for (int i = 0; i < bits; ++i) {
    if ((!network || i < out.prefix) && random().between(0, 3) == 0)
      out.bytes[static_cast<std::size_t>(i / 8)] |= static_cast<std::uint8_t>(0x80U >> (i % 8));
  }
  return out;
}

TEST(RoundTrip, Addresses) {
  std::vector<IpAddress> edges;
  for (const char* text : {"0.0.0.0/0", "255.255.255.255", "::", "::1", "::/0", "10.0.0.0/8"})
    edges.push_back(*IpAddress::parse(text));
  prove<IpAddress>({.type = "inet",
                    .values = values_of<IpAddress>(edges, [] { return random_address(false); }),
                    .literal = by_to_string});
  prove<IpAddress>({.type = "cidr",
                    .values = values_of<IpAddress>(edges, [] { return random_address(true); }),
                    .literal = by_to_string});
  const auto fill = [](auto address) {
    for (auto& byte : address.bytes) byte = static_cast<std::uint8_t>(random().bits());
    return address;
  };
  prove<MacAddress>({.type = "macaddr",
                     .values = values_of<MacAddress>({MacAddress{}}, [&] { return fill(MacAddress{}); }),
                     .literal = by_to_string});
  prove<MacAddress8>({.type = "macaddr8",
                      .values = values_of<MacAddress8>({MacAddress8{}}, [&] { return fill(MacAddress8{}); }),
                      .literal = by_to_string});
}

TEST(RoundTrip, BitStrings) {
  const auto bits = [](std::int64_t size) {
    BitString out(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < out.size(); ++i) out.set(i, random().coin());
    return out;
  };
  prove<BitString>({.type = "varbit",
                    .values = values_of<BitString>({BitString{}, BitString{1}, BitString{8}, BitString{1000}},
                                                   [&] { return bits(random().between(0, 70)); }),
                    .literal = by_to_string});
  prove<BitString>({.type = "bit(11)",
                    .values = values_of<BitString>({BitString{11}}, [&] { return bits(11); }),
                    .literal = by_to_string});
}

TEST(RoundTrip, Points) {
  prove<Point>({.type = "point",
                .values = values_of<Point>({Point{}, Point{-1, std::numeric_limits<double>::infinity()}},
                                           [] {
                                             const auto number = [] {
                                               return std::ldexp(
                                                   static_cast<double>(random().integer(-1'000'000, 1'000'000)),
                                                   static_cast<int>(random().between(-40, 40)));
                                             };
                                             return Point{number(), number()};
                                           }),
                .literal = [](const Point& value) {
                  return fmt::format("({},{})", float_literal(value.x), float_literal(value.y));
                }});
}

TEST(RoundTrip, Hstore) {
  prove<Hstore>({.type = "hstore",
                 .values = values_of<Hstore>({Hstore{}, Hstore{{{"", ""}}}, Hstore{{{"a", std::nullopt}}}},
                                             [] {
                                               Hstore out;
                                               for (auto n = random().between(0, 5); n > 0; --n) {
                                                 auto& value = out.values[random().text(10)];
                                                 if (random().between(0, 3) != 0) value = random().text(10);
                                               }
                                               return out;
                                             }),
                 .literal =
                     [](const Hstore& value) {
                       std::string out;
                       for (const auto& [key, text] : value.values)
                         out += fmt::format("{}{}=>{}", out.empty() ? "" : ",", test::element_of(key),
                                            text ? test::element_of(*text) : "NULL");
                       return out;
                     },
                 .before = "create extension hstore"});
}

// pgvector is not in Debian 12. These are the bytes of its vector_send.
TEST(RoundTrip, AVectorIsDimensionsZeroAndNumbers) {
  const std::string_view bytes("\0\2\0\0\x3f\x80\0\0\xc0\x20\0\0", 12);
  Vector value;
  Codec<Vector>::decode(0, bytes, value);
  EXPECT_THAT(value.values, ::testing::ElementsAre(1.0F, -2.5F));
  Params params;
  Codec<Vector>::encode(params, value);
  EXPECT_TRUE(params.view().ends_with(bytes));
  EXPECT_THROW(Codec<Vector>::decode(0, bytes.substr(0, 11), value), BadValue);
}

TEST(RoundTrip, WhatTheOtherSideCannotHoldIsRefused) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<float(double)> single{unsafe_sql("select $1::float4")};
    EXPECT_THAT((co_await test::caught<BadArgument>(db.one(single, 1e300)))->message(), HasSubstr("float4: 1e+300"));
    EXPECT_THAT((co_await test::caught<BadArgument>(db.one(single, 1e-300)))->message(), HasSubstr("float4: 1e-300"));
    const DynamicQuery<DateTime()> late{unsafe_sql("select '294270-01-01Z'::timestamptz")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(late)))->message(), HasSubstr("294246"));
    const DynamicQuery<Date()> infinite{unsafe_sql("select 'infinity'::date")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(infinite)))->message(), HasSubstr("infinite date"));
    const DynamicQuery<Decimal()> large{unsafe_sql("select 1e100000::numeric")};
    EXPECT_LT((co_await test::caught<QueryMismatch>(db.one(large)))->message().size(), 400U);
    const DynamicQuery<void(Date)> date{unsafe_sql("select $1::date")};
    EXPECT_THROW(static_cast<void>(db.exec(date, Date{std::numeric_limits<std::int32_t>::min()})), BadArgument);
    const DynamicQuery<void(DateTime)> time{unsafe_sql("select $1::timestamptz")};
    EXPECT_THROW(static_cast<void>(db.exec(time, DateTime{std::numeric_limits<std::int64_t>::min() + 1})), BadArgument);
    co_await test::caught<DatabaseError>(db.exec(date, Date{std::numeric_limits<std::int32_t>::max()}));
  });
}

TEST(RoundTrip, TextOfIntervalsAndZonesIsReadAsItIsPrinted) {
  for (int i = 0; i < 1000; ++i) {
    const Interval interval{static_cast<std::int32_t>(random().integer(-100'000, 100'000)),
                            static_cast<std::int32_t>(random().integer(-100'000, 100'000)),
                            random().integer(-1'000'000'000'000, 1'000'000'000'000)};
    EXPECT_EQ(Interval::parse(interval.to_string()), interval) << interval.to_string();
    const TimeWithZone time{random().between(0, 86'399'999'999),
                            static_cast<std::int32_t>(random().between(-57'599, 57'599))};
    EXPECT_EQ(TimeWithZone::parse(time.to_string()), time) << time.to_string();
  }
  for (const char* text : {"P2147483647Y", "P178956971Y", "-P99999999999D", "PT9223372036854775807S", "P1Y2147483640M"})
    EXPECT_FALSE(Interval::parse(text)) << text;
}

}  // namespace
}  // namespace ashlar::pg
