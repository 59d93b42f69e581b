// Arrays, enums, composites, ranges and multiranges of ten thousand random elements each, both ways, against libpq.
#include <ashlar/pg/detail/test_round_trip_literals.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_round_trip.hpp>
#include <ashlar/pg/extra_types.hpp>
#include <ashlar/pg/multirange.hpp>

namespace ashlar::pg {
namespace {

using test::prove;
using test::values_of;
using ::testing::HasSubstr;

test::Random& random() {
  static test::Random instance;
  return instance;
}

enum class Mood { sad, ok, happy };

/// There is no array of arrays: a composite with one list in it is what stands in an array.
template <class T>
struct Box {
  std::vector<std::optional<T>> items;
  bool operator==(const Box&) const = default;
};

/// Lists of up to eight elements, some of them NULL.
template <class T, class Make, class Literal>
void prove_lists(const char* type, Make make, Literal literal) {
  using Boxed = Composite<Box<T>>;
  const auto list = [&] {
    Boxed out;
    for (auto n = random().between(0, 8); n > 0; --n) {
      auto& item = out.value.items.emplace_back();
      if (random().between(0, 7) != 0) item = make();
    }
    return out;
  };
  std::vector<Boxed> values = {Boxed{}, Boxed{{{std::nullopt}}}, Boxed{{{make()}}}};
  while (values.size() < 2500) values.push_back(list());
  prove<Boxed>({.type = "box_of_list",
                .values = std::move(values),
                .literal =
                    [literal](const Boxed& boxed) {
                      std::string out;
                      for (const auto& item : boxed.value.items)
                        out += (out.empty() ? "" : ",") + (item ? test::element_of(literal(*item)) : "NULL");
                      return "(" + test::element_of("{" + out + "}") + ")";
                    },
                .same = [](const Boxed& a, const Boxed& b) { return a.value == b.value; },
                .before = fmt::format("create type mood as enum ('sad', 'ok', 'happy');"
                                      "create type box_of_list as (items {}[])",
                                      type)});
}

const auto by_to_string = [](const auto& value) { return value.to_string(); };
const auto by_format = [](const auto& value) { return fmt::format("{}", value); };
Decimal random_decimal() {
  return *Decimal::parse(
      fmt::format("{}.{:02}", random().integer(-1'000'000'000'000, 1'000'000'000'000), random().between(0, 99)));
}
std::string name_of(Mood mood) { return mood == Mood::sad ? "sad" : mood == Mood::ok ? "ok" : "happy"; }
Mood random_mood() { return static_cast<Mood>(random().between(0, 2)); }

TEST(RoundTripNested, ListsOfNumbers) {
  prove_lists<bool>("bool", [] { return random().coin(); }, by_format);
  prove_lists<std::int16_t>(
      "int2", [] { return static_cast<std::int16_t>(random().integer(-32'768, 32'767)); }, by_format);
  prove_lists<std::int32_t>(
      "int4", [] { return static_cast<std::int32_t>(random().integer(INT32_MIN, INT32_MAX)); }, by_format);
  prove_lists<std::int64_t>("int8", [] { return random().integer(INT64_MIN, INT64_MAX); }, by_format);
  prove_lists<float>(
      "float4", [] { return static_cast<float>(random().integer(-1'000'000, 1'000'000)) / 8; }, by_format);
  prove_lists<double>(
      "float8", [] { return static_cast<double>(random().integer(INT64_MIN, INT64_MAX)) / 8; }, by_format);
  prove_lists<Decimal>("numeric", &random_decimal, by_to_string);
}

TEST(RoundTripNested, ListsOfTextAndBytes) {
  const auto text = [] { return random().text(10); };
  const auto itself = [](const std::string& value) { return value; };
  prove_lists<std::string>("text", text, itself);
  prove_lists<std::string>("varchar", text, itself);
  prove_lists<Json>(
      "jsonb", [] { return Json{fmt::format("{{\"a\": {}}}", random().between(0, 999))}; },
      [](const Json& value) { return std::string(value.text()); });
  prove_lists<Bytes>(
      "bytea", [] { return Bytes::copy_of(random().text(10)); },
      [](const Bytes& value) { return "\\x" + hex_encode(value.view()); });
  prove_lists<Uuid>("uuid", &Uuid::v4, by_to_string);
  prove_lists<Mood>("mood", &random_mood, &name_of);
  prove_lists<IpAddress>(
      "inet",
      [] { return *IpAddress::parse(fmt::format("10.0.{}.{}", random().between(0, 255), random().between(0, 255))); },
      by_to_string);
}

TEST(RoundTripNested, ListsOfTimes) {
  prove_lists<Date>("date", [] { return test::random_date(random()); }, &test::literal_of_date);
  prove_lists<TimeOfDay>(
      "time", [] { return TimeOfDay{random().between(0, 86'400'000'000)}; },
      [](const TimeOfDay& value) { return test::literal_of_time(value.micros); });
  prove_lists<DateTime>(
      "timestamptz", [] { return DateTime{test::random_micros(random())}; },
      [](const DateTime& value) { return test::literal_of_micros(value.micros, "+00"); });
  prove_lists<LocalDateTime>(
      "timestamp", [] { return LocalDateTime{test::random_micros(random())}; },
      [](const LocalDateTime& value) { return test::literal_of_micros(value.micros); });
  prove_lists<Interval>(
      "interval",
      [] {
        return Interval{static_cast<std::int32_t>(random().integer(-1000, 1000)), 0,
                        random().integer(-1'000'000'000, 1'000'000'000)};
      },
      [](const Interval& value) { return fmt::format("{} mons {} microseconds", value.months, value.micros); });
}

TEST(RoundTripNested, Enums) {
  prove<Mood>({.type = "mood",
               .values = values_of<Mood>({Mood::sad, Mood::ok, Mood::happy}, &random_mood),
               .literal = &name_of,
               .before = "create type mood as enum ('sad', 'ok', 'happy')"});
}

struct Part {
  std::int32_t number = 0;
  std::optional<std::string> label;
  std::vector<std::int64_t> sizes;
  std::optional<Decimal> price;
  Mood mood = Mood::sad;
  bool operator==(const Part&) const = default;
};

TEST(RoundTripNested, Composites) {
  using Sent = Composite<Part>;
  prove<Sent>({.type = "part",
               .values = values_of<Sent>({Sent{}},
                                         [] {
                                           Sent out;
                                           out.value.number =
                                               static_cast<std::int32_t>(random().integer(INT32_MIN, INT32_MAX));
                                           if (random().coin()) out.value.label = random().text(8);
                                           for (auto n = random().between(0, 3); n > 0; --n)
                                             out.value.sizes.push_back(random().integer(INT64_MIN, INT64_MAX));
                                           if (random().coin()) out.value.price = random_decimal();
                                           out.value.mood = random_mood();
                                           return out;
                                         }),
               .literal =
                   [](const Sent& sent) {
                     const Part& part = sent.value;
                     return fmt::format("({},{},\"{{{}}}\",{},{})", part.number,
                                        part.label ? test::element_of(*part.label) : "", fmt::join(part.sizes, ","),
                                        part.price ? part.price->to_string() : "", name_of(part.mood));
                   },
               .same = [](const Sent& a, const Sent& b) { return a.value == b.value; },
               .before = "create type mood as enum ('sad', 'ok', 'happy');"
                         "create type part as (number int4, label text, sizes int8[], price numeric, mood mood)"});
}

template <class T, class Literal>
std::string range_literal(const Range<T>& range, Literal literal) {
  if (range.empty) return "empty";
  return fmt::format("{}{},{}{}", range.lower && range.lower_inclusive ? '[' : '(',
                     range.lower ? test::element_of(literal(*range.lower)) : "",
                     range.upper ? test::element_of(literal(*range.upper)) : "",
                     range.upper && range.upper_inclusive ? ']' : ')');
}

/// PostgreSQL writes ranges of whole numbers and of dates as `[…)`: only such ones come back as they went.
enum class Steps : bool { no, yes };

template <class T, class Make, class Literal>
void prove_ranges(const char* type, Steps steps, Make make, Literal literal, const char* before = "") {
  using R = Range<T>;
  const auto range = [&]() -> R {
    T low = make();
    T high = make();
    if (high < low) std::swap(low, high);
    if (!(low < high) || random().between(0, 9) == 0) return R{.empty = true};
    R out;
    if (random().between(0, 5) != 0) out.lower = low;
    if (random().between(0, 5) != 0) out.upper = high;
    if (steps == Steps::no) {
      out.lower_inclusive = random().coin();
      out.upper_inclusive = random().coin();
    }
    return out;
  };
  prove<R>({.type = type,
            .values = values_of<R>({R{}, R{.empty = true}}, range),
            .literal = [literal](const R& value) { return range_literal(value, literal); },
            .before = before});
}

TEST(RoundTripNested, Ranges) {
  prove_ranges<std::int32_t>(
      "int4range", Steps::yes, [] { return static_cast<std::int32_t>(random().integer(INT32_MIN, INT32_MAX)); },
      by_format);
  prove_ranges<std::int64_t>("int8range", Steps::yes, [] { return random().integer(INT64_MIN, INT64_MAX); }, by_format);
  prove_ranges<Decimal>("numrange", Steps::no, &random_decimal, by_to_string);
  prove_ranges<Date>("daterange", Steps::yes, [] { return test::random_date(random()); }, &test::literal_of_date);
  prove_ranges<DateTime>(
      "tstzrange", Steps::no, [] { return DateTime{test::random_micros(random())}; },
      [](const DateTime& value) { return test::literal_of_micros(value.micros, "+00"); });
  prove_ranges<LocalDateTime>(
      "tsrange", Steps::no, [] { return LocalDateTime{test::random_micros(random())}; },
      [](const LocalDateTime& value) { return test::literal_of_micros(value.micros); });
  prove_ranges<double>(
      "floats", Steps::no, [] { return static_cast<double>(random().integer(-1'000'000, 1'000'000)) / 8; }, by_format,
      "create type floats as range (subtype = float8)");
}

template <class T, class At, class Literal>
void prove_multiranges(const char* type, At at, Literal literal, const char* before = "") {
  using M = Multirange<T>;
  const auto several = [&]() -> M {
    M out;
    std::int64_t place = random().between(-1'000'000, 0);
    for (auto n = random().between(0, 5); n > 0; --n) {
      const std::int64_t from = place + random().between(2, 1000);  // apart from the one before
      place = from + random().between(1, 1000);
      out.ranges.push_back({.lower = at(from), .upper = at(place)});
    }
    if (!out.ranges.empty() && random().between(0, 7) == 0) out.ranges.back().upper.reset();
    if (!out.ranges.empty() && random().between(0, 7) == 0) out.ranges.front().lower.reset();
    return out;
  };
  prove<M>({.type = type,
            .values = values_of<M>({M{}, M{{Range<T>{}}}}, several),
            .literal =
                [literal](const M& value) {
                  std::string out;
                  for (const auto& range : value.ranges)
                    out += (out.empty() ? "" : ",") + range_literal(range, literal);
                  return "{" + out + "}";
                },
            .before = before});
}

TEST(RoundTripNested, Multiranges) {
  prove_multiranges<std::int32_t>(
      "int4multirange", [](std::int64_t n) { return static_cast<std::int32_t>(n); }, by_format);
  prove_multiranges<std::int64_t>("int8multirange", [](std::int64_t n) { return n; }, by_format);
  prove_multiranges<Decimal>("nummultirange", [](std::int64_t n) { return Decimal{n}; }, by_to_string);
  prove_multiranges<Date>(
      "datemultirange", [](std::int64_t n) { return Date{static_cast<std::int32_t>(n)}; }, &test::literal_of_date);
  prove_multiranges<DateTime>(
      "tstzmultirange", [](std::int64_t n) { return DateTime{n * 1'000'000}; },
      [](const DateTime& value) { return test::literal_of_micros(value.micros, "+00"); });
  prove_multiranges<LocalDateTime>(
      "tsmultirange", [](std::int64_t n) { return LocalDateTime{n * 1'000'000}; },
      [](const LocalDateTime& value) { return test::literal_of_micros(value.micros); });
  prove_multiranges<double>(
      "floats", [](std::int64_t n) { return static_cast<double>(n) / 8; }, by_format,
      "create type ranges as range (subtype = float8, multirange_type_name = floats)");
}

TEST(RoundTripNested, DomainsAreWhatTheyAreMadeOf) {
  const auto small = [] { return static_cast<std::int32_t>(random().between(1, 1'000'000)); };
  prove<std::int32_t>({.type = "counter",
                       .values = values_of<std::int32_t>({1}, small),
                       .literal = by_format,
                       .before = "create domain counter as int4 check (value > 0)"});
  prove<Json>({.type = "document",
               .values = values_of<Json>({Json{"{}"}}, [&] { return Json{fmt::format("{{\"n\": {}}}", small())}; }),
               .literal = [](const Json& value) { return std::string(value.text()); },
               .same = [](const Json& a, const Json& b) { return a.text() == b.text(); },
               .before = "create domain document as jsonb"});
}

TEST(RoundTripNested, TheCheckNamesTheTypeToUse) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<int()> ranges{unsafe_sql("select '{[1,2)}'::int4multirange")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(ranges)))->message(),
                HasSubstr("use pg::Multirange<std::int32_t>"));
    const DynamicQuery<int()> address{unsafe_sql("select '08:00:2b:01:02:03'::macaddr")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(address)))->message(), HasSubstr("use pg::MacAddress"));
    const DynamicQuery<int()> money{unsafe_sql("select 1::money")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(money)))->message(), HasSubstr("casting with ::numeric"));
  });
}

}  // namespace
}  // namespace ashlar::pg
