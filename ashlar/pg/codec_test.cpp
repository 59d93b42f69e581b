// Every type, both ways, against libpq and the server's own text.
#include <ashlar/pg/codec.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <cmath>
#include <random>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/numeric.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The server's answer to SQL as libpq gives it: text.
class Oracle {
 public:
  explicit Oracle(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
    if (PQstatus(connection_) != CONNECTION_OK) throw Internal(PQerrorMessage(connection_));
    PQclear(PQexec(connection_, "set timezone = 'UTC'; set extra_float_digits = 3"));
  }
  ~Oracle() { PQfinish(connection_); }
  std::string text(const std::string& sql) const {
    PGresult* result = PQexec(connection_, sql.c_str());
    std::string out = PQresultStatus(result) == PGRES_TUPLES_OK ? PQgetvalue(result, 0, 0)
                                                                : "error: " + std::string(PQerrorMessage(connection_));
    PQclear(result);
    return out;
  }

 private:
  PGconn* connection_;
};

std::mt19937_64& random_engine() {
  static std::mt19937_64 engine{20260101};
  return engine;
}
std::int64_t integer(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random_engine());
}

/// `values` go to the server as parameters, and their SQL literals to libpq: the texts must agree; and what the server
/// makes of the literal must come back as the value.
template <class T, class Literal>
void round_trip(std::string_view type, const std::vector<T>& values, Literal literal) {
  test::with_db(
      [&](Db& db) -> Task<void> {
        const Oracle oracle(db.url());
        for (const T& value : values) {
          const std::string text = literal(value);
          const DynamicQuery<std::string(T)> sent{unsafe_sql(fmt::format("select ($1::{})::text", type))};
          const DynamicQuery<T()> read{unsafe_sql(fmt::format("select {}::{}", text, type))};
          const DynamicQuery<T(T)> both{unsafe_sql(fmt::format("select $1::{}", type))};
          EXPECT_EQ(co_await db.one(sent, value), oracle.text(fmt::format("select ({}::{})::text", text, type)))
              << text;
          EXPECT_TRUE(co_await db.one(read) == value) << type << " " << text;
          EXPECT_TRUE(co_await db.one(both, value) == value) << type << " " << text;
        }
      },
      {.statement_timeout = std::chrono::milliseconds{0}});
}
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}
const auto by_to_string = [](const auto& value) { return quoted(value.to_string()); };

template <class Int>
void integers(std::string_view type) {
  std::vector<Int> values = {0, 1, -1, std::numeric_limits<Int>::min(), std::numeric_limits<Int>::max()};
  for (int i = 0; i < 10; ++i)
    values.push_back(static_cast<Int>(integer(std::numeric_limits<Int>::min(), std::numeric_limits<Int>::max())));
  round_trip<Int>(type, values, [](Int v) { return fmt::format("'{}'", v); });
}

TEST(Codec, Integers) {
  integers<std::int16_t>("int2");
  integers<std::int32_t>("int4");
  integers<std::int64_t>("int8");
  round_trip<std::uint32_t>("oid", {0, 1, 4'294'967'295U}, [](std::uint32_t v) { return fmt::format("'{}'", v); });
}

TEST(Codec, Booleans) {
  round_trip<bool>("bool", {true, false}, [](bool v) { return v ? "true" : "false"; });
}

TEST(Codec, FloatingPoint) {
  std::vector<double> values = {0.0, -1.5, 1e300, 5e-324, std::numeric_limits<double>::infinity(), 0.1};
  for (int i = 0; i < 10; ++i)
    values.push_back(
        std::ldexp(static_cast<double>(integer(-1'000'000'000, 1'000'000'000)), static_cast<int>(integer(-200, 200))));
  round_trip<double>("float8", values, [](double v) {
    return fmt::format("'{}'", v == std::numeric_limits<double>::infinity() ? "Infinity" : fmt::format("{}", v));
  });
  round_trip<float>("float4", {0.0F, 1.25F, -3.4e38F, 1e-40F}, [](float v) { return fmt::format("'{}'", v); });
}

TEST(Codec, NumericIsExact) {
  std::vector<Decimal> values;
  for (const char* text :
       {"0", "0.00", "1", "-1", "10000", "0.0001", "0.00001", "123456789.987654321", "-99999999999999999999999999.5",
        "1e-30", "12345678901234567890123456789012345678901234567890", "9999.9999", "10000.0000", "0.10", "100",
        "1000000000000"})
    values.push_back(*Decimal::parse(text));
  for (int i = 0; i < 30; ++i) {
    std::string digits = integer(0, 1) != 0 ? "-" : "";
    for (auto n = integer(1, 40); n > 0; --n) digits += static_cast<char>('0' + integer(0, 9));
    digits += ".";
    for (auto n = integer(1, 30); n > 0; --n) digits += static_cast<char>('0' + integer(0, 9));
    values.push_back(*Decimal::parse(digits));
  }
  round_trip<Decimal>("numeric", values, by_to_string);
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<Decimal()> scale{unsafe_sql("select 1.50::numeric(10,4)")};
    EXPECT_EQ((co_await db.one(scale)).to_string(), "1.5000");
    const DynamicQuery<Decimal()> nan{unsafe_sql("select 'NaN'::numeric")};
    const auto error = co_await test::caught<QueryMismatch>(db.one(nan));
    EXPECT_THAT(error->message(), HasSubstr("NaN"));
  });
}

TEST(Codec, Text) {
  const std::vector<std::string> values = {
      "", "a", "it's", "Straße 東京 🧱", std::string(100'000, 'x'), "line\nbreak\ttab"};
  round_trip<std::string>("text", values, [](const std::string& v) { return quoted(v); });
  round_trip<std::string>("varchar", values, [](const std::string& v) { return quoted(v); });
  round_trip<std::string>("name", {"short"}, [](const std::string& v) { return quoted(v); });
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<std::string(std::string)> echo{unsafe_sql("select $1::text")};
    const auto error = co_await test::caught<BadArgument>(db.one(echo, std::string("a\0b", 3)));
    EXPECT_THAT(error->message(), HasSubstr("NUL"));
    const DynamicQuery<std::string()> padded{unsafe_sql("select 'ab'::char(4)")};
    EXPECT_EQ(co_await db.one(padded), "ab  ");
  });
}

TEST(Codec, Bytea) {
  Bytes every;
  for (int i = 0; i < 256; ++i) every.push_back(static_cast<std::uint8_t>(i));
  round_trip<Bytes>("bytea", {Bytes{}, every}, [](const Bytes& v) { return "'\\x" + hex_encode(v.view()) + "'"; });
}

TEST(Codec, DatesAndTimes) {
  std::vector<Date> dates = {*Date::of(2000, 1, 1), *Date::of(1970, 1, 1), *Date::of(1, 1, 1), *Date::of(9999, 12, 31),
                             *Date::of(2024, 2, 29)};
  round_trip<Date>("date", dates, by_to_string);
  round_trip<TimeOfDay>("time", {TimeOfDay{0}, TimeOfDay{86'399'999'999}, TimeOfDay{1}}, by_to_string);
  round_trip<TimeWithZone>("timetz", {TimeWithZone{3'600'000'000, 7200}, TimeWithZone{1, -5400}}, by_to_string);
  std::vector<DateTime> times = {DateTime{0}, DateTime{1}, DateTime{-1}, *DateTime::parse("2000-01-01T00:00:00Z"),
                                 *DateTime::parse("9999-12-31T23:59:59.999999Z")};
  std::vector<LocalDateTime> local;
  for (int i = 0; i < 10; ++i) times.push_back(DateTime{integer(-30'000'000'000'000'000, 100'000'000'000'000'000)});
  for (const DateTime& time : times) local.push_back(LocalDateTime{time.micros});
  round_trip<DateTime>("timestamptz", times, by_to_string);
  round_trip<LocalDateTime>("timestamp", local, by_to_string);
  round_trip<Interval>("interval",
                       {Interval{}, Interval{14, 3, 3'723'000'001}, Interval{-1, 0, -1'500'000}, Interval{0, -5, 0}},
                       by_to_string);
  round_trip<Duration>("interval", {Duration{0}, Duration{-90'000'001}, Duration{86'400'000'000}},
                       [](Duration v) { return fmt::format("'{} microseconds'", v.micros); });
}

TEST(Codec, UuidAndAddresses) {
  round_trip<Uuid>("uuid", {Uuid{}, Uuid::v4(), Uuid::v7()}, by_to_string);
  round_trip<IpAddress>("inet",
                        {*IpAddress::parse("192.0.2.7"), *IpAddress::parse("10.0.0.0/8"),
                         *IpAddress::parse("2001:db8::1"), *IpAddress::parse("::/0")},
                        by_to_string);
  round_trip<IpAddress>("cidr", {*IpAddress::parse("10.0.0.0/8"), *IpAddress::parse("2001:db8::/32")}, by_to_string);
}

TEST(Codec, Arrays) {
  const auto ints = [](const std::vector<std::int32_t>& v) { return fmt::format("'{{{}}}'", fmt::join(v, ",")); };
  round_trip<std::vector<std::int32_t>>("int4[]", {{}, {1}, {1, -2, 3}}, ints);
  const auto texts = [](const std::vector<std::string>& v) {
    std::string out = "array[";
    for (std::size_t i = 0; i < v.size(); ++i) out += (i != 0 ? "," : "") + quoted(v[i]);
    return out + "]::text[]";
  };
  round_trip<std::vector<std::string>>("text[]", {{}, {"a", "", "it's", "{,}"}}, texts);
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<std::vector<std::optional<int>>(std::vector<std::optional<int>>)> nulls{
        unsafe_sql("select $1::int8[]::int4[]")};
    const std::vector<std::optional<int>> values = {1, std::nullopt, 3};
    EXPECT_EQ(co_await db.one(nulls, values), values);
    const DynamicQuery<std::vector<int>()> with_null{unsafe_sql("select array[1, null]")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(with_null)))->message(),
                HasSubstr("NULL inside the array"));
    const DynamicQuery<std::vector<int>()> matrix{unsafe_sql("select array[[1,2],[3,4]]")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(matrix)))->message(), HasSubstr("2 dimensions"));
  });
}

TEST(Codec, Ranges) {
  using R = Range<std::int32_t>;
  round_trip<R>("int4range", {R{.lower = 1, .upper = 5}, R{.lower = 1}, R{.upper = 7}, R{.empty = true}, R{}},
                [](const R& r) {
                  if (r.empty) return std::string("'empty'");
                  return fmt::format("'{}{},{})'", r.lower ? "[" : "(", r.lower ? std::to_string(*r.lower) : "",
                                     r.upper ? std::to_string(*r.upper) : "");
                });
}

struct Point3 {
  std::int32_t x = 0;
  std::optional<std::string> label;
  std::vector<double> weights;
  bool operator==(const Point3&) const = default;
};
enum class Mood { sad, ok, happy };
struct Shape {
  std::int64_t id = 0;
  Point3 origin;
  std::optional<Point3> tip;
  std::vector<Point3> corners;
};

TEST(Codec, EnumsByName) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<void()> create{unsafe_sql("create type mood as enum ('sad', 'ok', 'happy', 'ecstatic')")};
    co_await db.exec(create);
    const DynamicQuery<Mood(Mood)> echo{unsafe_sql("select $1::mood")};
    EXPECT_EQ(co_await db.one(echo, Mood::happy), Mood::happy);
    const DynamicQuery<std::vector<Mood>(std::vector<Mood>)> list{unsafe_sql("select $1::mood[]")};
    EXPECT_THAT(co_await db.one(list, std::vector{Mood::ok, Mood::sad}), ElementsAre(Mood::ok, Mood::sad));
    const DynamicQuery<Mood()> text{unsafe_sql("select 'ok'::text")};
    EXPECT_EQ(co_await db.one(text), Mood::ok);
    const DynamicQuery<std::string(std::string)> as_text{unsafe_sql("select $1::mood")};
    EXPECT_EQ(co_await db.one(as_text, "sad"), "sad");
    const DynamicQuery<Mood()> unknown{unsafe_sql("select 'ecstatic'::mood")};
    EXPECT_THAT((co_await test::caught<QueryMismatch>(db.one(unknown)))->message(), HasSubstr("ecstatic"));
  });
}

TEST(Codec, StructsFromJsonAndComposites) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<void()> create{unsafe_sql("create type point3 as (x int4, label text, weights float8[])")};
    co_await db.exec(create);
    const Point3 point{7, "seven", {0.5, 1.5}};
    const DynamicQuery<Shape()> json{
        unsafe_sql("select 1::int8 as id, '{\"x\": 7, \"label\": \"seven\", \"weights\": [0.5, 1.5]}'::jsonb as "
                   "origin, null::json as tip, "
                   "'[{\"x\": 1, \"label\": null, \"weights\": []}]'::json as corners")};
    const Shape from_json = co_await db.one(json);
    EXPECT_EQ(from_json.origin, point);
    EXPECT_FALSE(from_json.tip);
    EXPECT_THAT(from_json.corners, ElementsAre(Point3{1, std::nullopt, {}}));

    const DynamicQuery<Shape()> composite{
        unsafe_sql("select 2::int8 as id, row(7, 'seven', array[0.5, 1.5]::float8[])::point3 as origin, row(1, null, "
                   "'{}')::point3 as tip, "
                   "array[row(1, null, '{}')::point3] as corners")};
    const Shape from_composite = co_await db.one(composite);
    EXPECT_EQ(from_composite.origin, point);
    EXPECT_EQ(from_composite.tip, (Point3{1, std::nullopt, {}}));
    EXPECT_THAT(from_composite.corners, ElementsAre(Point3{1, std::nullopt, {}}));

    const DynamicQuery<std::string(Composite<Point3>)> sent{unsafe_sql("select ($1::point3)::text")};
    EXPECT_EQ(co_await db.one(sent, Composite{point}), "(7,seven,\"{0.5,1.5}\")");
    const DynamicQuery<std::string(Point3)> as_json{unsafe_sql("select ($1::jsonb)->>'label'")};
    EXPECT_EQ(co_await db.one(as_json, point), "seven");
    const DynamicQuery<Json(Json)> any{unsafe_sql("select $1::jsonb")};
    EXPECT_EQ((co_await db.one(any, Json{R"({"a":1})"})).text(), R"({"a": 1})");
  });
}

struct Author {
  std::string username;
  std::optional<std::string> bio;
};
struct Article {
  std::int64_t id = 0;
  Annotated<std::string, max_length{10}> title;
  Author author;
  std::optional<Author> editor;
  Secret<> token;
};

TEST(Codec, NestedStructsTakeConsecutiveColumns) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<Article()> without{
        unsafe_sql("select 1::int8 as id, 'T'::text as title, 'ann'::text as username, null::text as bio, null::text "
                   "as editor_username, "
                   "null::text as editor_bio, 's3cret'::text as token")};
    const Article a = co_await db.one(without);
    EXPECT_EQ(a.title, "T");
    EXPECT_EQ(a.author.username, "ann");
    EXPECT_FALSE(a.editor);
    EXPECT_EQ(a.token.reveal(), "s3cret");
    const DynamicQuery<Article()> with{
        unsafe_sql("select 1::int8 as id, 'T'::text as title, 'ann'::text as username, null::text as bio, 'bob'::text "
                   "as editor_username, "
                   "null::text as editor_bio, ''::text as token")};
    const Article b = co_await db.one(with);
    EXPECT_EQ(b.editor->username, "bob");
    EXPECT_FALSE(b.editor->bio);
  });
}

TEST(Codec, NullIntoATypeWithoutRoomNamesQueryColumnAndPlace) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<Author()> query{unsafe_sql("select null::text as username, 'x'::text as bio"),
                                       {.name = "broken"}};
    const auto error = co_await test::caught<QueryMismatch>(db.one(query));
    EXPECT_EQ(error->kind(), ErrorKind::internal);
    EXPECT_THAT(error->message(), HasSubstr("broken"));
    EXPECT_THAT(error->message(), HasSubstr("codec_test.cpp"));
    EXPECT_THAT(error->message(), HasSubstr("column 1 `username` holds NULL"));
  });
}

TEST(Codec, ArgumentsTakeTheParametersType) {
  test::with_db([](Db& db) -> Task<void> {
    const DynamicQuery<std::string(int, int, int, double, std::string)> mixed{
        unsafe_sql("select concat_ws(' ', $1::int2, $2::int8, $3::numeric, $4::float4, $5::jsonb)")};
    EXPECT_EQ(co_await db.one(mixed, 1, 2, 3, 0.5, "[1]"), "1 2 3 0.5 [1]");
    const DynamicQuery<int(int)> narrow{unsafe_sql("select $1::int2::int4")};
    const auto error = co_await test::caught<BadArgument>(db.one(narrow, 70'000));
    EXPECT_THAT(error->message(), HasSubstr("argument 1 is out of range for int2: 70000"));
    EXPECT_EQ(co_await db.one(narrow, 7), 7) << "the connection goes on";
  });
}

TEST(Numeric, RefusesWhatIsNoNumber) {
  detail::Buffer out;
  for (const char* text : {"", ".", "-", "1.2.3", "1e", "1e999999", "abc", "1 "})
    EXPECT_FALSE(detail::numeric_from_text(text, out)) << text;
}

TEST(Numeric, HasNeitherLeadingZerosNorANegativeZeroWhateverTheServerSends) {
  using namespace std::string_view_literals;
  EXPECT_EQ(detail::numeric_to_text("\0\0\0\1\0\0\0\1"sv), "0.0");         // no digits, from the ten thousands on
  EXPECT_EQ(detail::numeric_to_text("\0\2\0\1\0\0\0\0\0\0\0\5"sv), "5");   // 0 ten thousands and 5
  EXPECT_EQ(detail::numeric_to_text("\0\1\0\0\x40\0\0\2\0\0"sv), "0.00");  // minus 0
  EXPECT_EQ(detail::numeric_to_text("\0\2\0\1\x40\0\0\0\0\1\0\5"sv), "-10005");
}

}  // namespace
}  // namespace ashlar::pg
