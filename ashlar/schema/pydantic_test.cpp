// Errors as Pydantic 2 reports them: for the same input the same type, message and place.
// tests/repository/pydantic_errors.py gives the same inputs to Pydantic itself, where it is installed: the comments
// name the Python type of the cases below them.
#include <ashlar/schema/schema.hpp>

#include <gtest/gtest.h>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/base/uuid.hpp>

#include <map>
#include <set>
#include <vector>

namespace ashlar::schema {
namespace {

template <class T>
std::vector<ErrorItem> of(std::string_view json) {
  T value{};
  Errors errors;
  parse_json(json, value, errors);
  return errors.take();
}

enum class Color { red, green, blue };
struct Point {
  int x;
  std::string label;
};
struct Tight {
  int a = 0;
  static constexpr SchemaOptions schema{.extra = Extra::forbid};
};
struct Renamed {
  Annotated<int, alias{"firstName"}> first_name;
};
struct Nested {
  std::vector<Point> points;
  std::map<std::string, Point> named;
};
struct Cat {
  Literal<"cat"> kind;
  int lives = 9;
};
struct Dog {
  Literal<"dog"> kind;
  std::string name;
};
using Pet = Annotated<std::variant<Cat, Dog>, discriminator{"kind"}>;
struct Password {
  std::string first, second;
  std::optional<std::string> validate() const {
    return first == second ? std::nullopt : std::optional<std::string>("the passwords differ");
  }
};

struct Case {
  std::vector<ErrorItem> (*errors_of)(std::string_view json);
  const char* input;
  const char* type;
  const char* loc;
  const char* msg;
};

const Case kCases[] = {
    // python: Point
    {of<Point>, R"({"x":1})", "missing", "label", "Field required"},
    {of<Point>, R"({"x":1,"label":5})", "string_type", "label", "Input should be a valid string"},
    {of<Point>, R"([])", "model_attributes_type", "",
     "Input should be a valid dictionary or object to extract fields from"},
    {of<Point>, R"("x")", "model_attributes_type", "",
     "Input should be a valid dictionary or object to extract fields from"},
    // python: Tight
    {of<Tight>, R"({"b":1})", "extra_forbidden", "b", "Extra inputs are not permitted"},
    // python: Renamed
    {of<Renamed>, R"({"first_name":1})", "missing", "firstName", "Field required"},
    // python: Nested
    {of<Nested>, R"({"points":[{"x":1,"label":"a"},{"x":"?","label":"b"}],"named":{}})", "int_parsing", "points[1].x",
     "Input should be a valid integer, unable to parse string as an integer"},
    {of<Nested>, R"({"points":[],"named":{"home":{"label":"b"}}})", "missing", "named.home.x", "Field required"},
    // python: int
    {of<int>, R"(null)", "int_type", "", "Input should be a valid integer"},
    {of<int>, R"("x")", "int_parsing", "", "Input should be a valid integer, unable to parse string as an integer"},
    {of<int>, R"("")", "int_parsing", "", "Input should be a valid integer, unable to parse string as an integer"},
    {of<int>, R"("5.5")", "int_parsing", "", "Input should be a valid integer, unable to parse string as an integer"},
    {of<int>, R"(1.5)", "int_from_float", "", "Input should be a valid integer, got a number with a fractional part"},
    {of<int>, R"(1e400)", "finite_number", "", "Input should be a finite number"},
    // python: Annotated[int, Field(strict=True)]
    {of<Annotated<int, strict{}>>, R"("1")", "int_type", "", "Input should be a valid integer"},
    {of<Annotated<int, strict{}>>, R"(1.0)", "int_type", "", "Input should be a valid integer"},
    // python: Annotated[int, Field(ge=-2147483648, le=2147483647)]
    {of<std::int32_t>, R"(2147483648)", "less_than_equal", "", "Input should be less than or equal to 2147483647"},
    {of<std::int32_t>, R"(-2147483649)", "greater_than_equal", "",
     "Input should be greater than or equal to -2147483648"},
    // python: Annotated[int, Field(ge=0, le=255)]
    {of<std::uint8_t>, R"(256)", "less_than_equal", "", "Input should be less than or equal to 255"},
    {of<std::uint8_t>, R"(-1)", "greater_than_equal", "", "Input should be greater than or equal to 0"},
    // python: Annotated[int, Field(gt=1, lt=10, multiple_of=3)]
    {of<Annotated<int, gt{1}, lt{10}, multiple_of{3}>>, R"(0)", "greater_than", "", "Input should be greater than 1"},
    {of<Annotated<int, gt{1}, lt{10}, multiple_of{3}>>, R"(12)", "less_than", "", "Input should be less than 10"},
    {of<Annotated<int, gt{1}, lt{10}, multiple_of{3}>>, R"(4)", "multiple_of", "", "Input should be a multiple of 3"},
    // python: float
    {of<double>, R"([])", "float_type", "", "Input should be a valid number"},
    {of<double>, R"("x")", "float_parsing", "", "Input should be a valid number, unable to parse string as a number"},
    // python: FiniteFloat
    {of<double>, R"("nan")", "finite_number", "", "Input should be a finite number"},
    {of<double>, R"(1e400)", "finite_number", "", "Input should be a finite number"},
    // python: Annotated[float, Field(lt=1.5)]
    {of<Annotated<double, lt{1.5}>>, R"(1.5)", "less_than", "", "Input should be less than 1.5"},
    // python: bool
    {of<bool>, R"(null)", "bool_type", "", "Input should be a valid boolean"},
    {of<bool>, R"(1.5)", "bool_type", "", "Input should be a valid boolean"},
    {of<bool>, R"(2)", "bool_parsing", "", "Input should be a valid boolean, unable to interpret input"},
    {of<bool>, R"("perhaps")", "bool_parsing", "", "Input should be a valid boolean, unable to interpret input"},
    // python: StrictBool
    {of<Annotated<bool, strict{}>>, R"("true")", "bool_type", "", "Input should be a valid boolean"},
    // python: str
    {of<std::string>, R"(5)", "string_type", "", "Input should be a valid string"},
    // python: Annotated[str, Field(min_length=2, max_length=3)]
    {of<Annotated<std::string, min_length{2}, max_length{3}>>, R"("a")", "string_too_short", "",
     "String should have at least 2 characters"},
    {of<Annotated<std::string, min_length{2}, max_length{3}>>, R"("üüüü")", "string_too_long", "",
     "String should have at most 3 characters"},
    // python: Annotated[str, Field(pattern='^[a-z]+$')]
    {of<Annotated<std::string, pattern{"^[a-z]+$"}>>, R"("A")", "string_pattern_mismatch", "",
     "String should match pattern '^[a-z]+$'"},
    // python: SecretStr
    {of<Secret<>>, R"(5)", "string_type", "", "Input should be a valid string"},
    // python: Color
    {of<Color>, R"("pink")", "enum", "", "Input should be 'red', 'green' or 'blue'"},
    // python: Literal['cat']
    {of<Literal<"cat">>, R"("dog")", "literal_error", "", "Input should be 'cat'"},
    // python: None
    {of<std::monostate>, R"(5)", "none_required", "", "Input should be None"},
    // python: Optional[int]
    {of<std::optional<int>>, R"("x")", "int_parsing", "",
     "Input should be a valid integer, unable to parse string as an integer"},
    // python: List[int]
    {of<std::vector<int>>, R"({})", "list_type", "", "Input should be a valid list"},
    {of<std::vector<int>>, R"([1,null])", "int_type", "[1]", "Input should be a valid integer"},
    // python: Annotated[List[int], Field(min_length=1, max_length=2)]
    {of<Annotated<std::vector<int>, min_items{1}, max_items{2}>>, R"([])", "too_short", "",
     "List should have at least 1 item after validation, not 0"},
    {of<Annotated<std::vector<int>, min_items{1}, max_items{2}>>, R"([1,2,3])", "too_long", "",
     "List should have at most 2 items after validation, not 3"},
    {of<std::array<int, 2>>, R"([1,2,3])", "too_long", "", "List should have at most 2 items after validation, not 3"},
    // python: Set[int]
    {of<std::set<int>>, R"({})", "set_type", "", "Input should be a valid set"},
    // python: Annotated[Set[int], Field(min_length=2, max_length=2)]
    {of<Annotated<std::set<int>, min_items{2}, max_items{2}>>, R"([1,1])", "too_short", "",
     "Set should have at least 2 items after validation, not 1"},
    {of<Annotated<std::set<int>, min_items{2}, max_items{2}>>, R"([1,2,3])", "too_long", "",
     "Set should have at most 2 items after validation, not more"},
    // python: Dict[int, int]
    {of<std::map<int, int>>, R"([])", "dict_type", "", "Input should be a valid dictionary"},
    {of<std::map<int, int>>, R"({"a":1})", "int_parsing", "a.[key]",
     "Input should be a valid integer, unable to parse string as an integer"},
    // python: Annotated[Dict[str, int], Field(min_length=1, max_length=1)]
    {of<Annotated<std::map<std::string, int>, min_items{1}, max_items{1}>>, R"({})", "too_short", "",
     "Dictionary should have at least 1 item after validation, not 0"},
    {of<Annotated<std::map<std::string, int>, min_items{1}, max_items{1}>>, R"({"a":1,"b":2})", "too_long", "",
     "Dictionary should have at most 1 item after validation, not 2"},
    // python: Tuple[int, str]
    {of<std::tuple<int, std::string>>, R"(5)", "tuple_type", "", "Input should be a valid tuple"},
    {of<std::pair<int, std::string>>, R"([1])", "missing", "[1]", "Field required"},
    {of<std::tuple<int, std::string>>, R"([1,"a",2])", "too_long", "",
     "Tuple should have at most 2 items after validation, not 3"},
    // python: Pet
    {of<Pet>, R"({"kind":"fish"})", "union_tag_invalid", "",
     "Input tag 'fish' found using 'kind' does not match any of the expected tags: 'cat', 'dog'"},
    {of<Pet>, R"({"kind":5})", "union_tag_invalid", "",
     "Input tag '5' found using 'kind' does not match any of the expected tags: 'cat', 'dog'"},
    {of<Pet>, R"({})", "union_tag_not_found", "", "Unable to extract tag using discriminator 'kind'"},
    {of<Pet>, R"({"kind":"dog"})", "missing", "dog.name", "Field required"},
    {of<Pet>, R"(3)", "model_attributes_type", "",
     "Input should be a valid dictionary or object to extract fields from"},
    // python: Union[List[int], Dict[str, int]]
    {of<std::variant<std::vector<int>, std::map<std::string, int>>>, R"(["x"])", "int_parsing", "list[int][0]",
     "Input should be a valid integer, unable to parse string as an integer"},
    // python: datetime
    {of<DateTime>, R"("x")", "datetime_from_date_parsing", "",
     "Input should be a valid datetime or date, input is too short"},
    {of<DateTime>, R"("2026-13-01T00:00:00Z")", "datetime_from_date_parsing", "",
     "Input should be a valid datetime or date, month value is outside expected range of 1-12"},
    {of<DateTime>, R"(true)", "datetime_type", "", "Input should be a valid datetime"},
    {of<DateTime>, R"(1e20)", "datetime_parsing", "",
     "Input should be a valid datetime, dates after 9999 are not supported as unix timestamps"},
    // python: PastDatetime
    {of<Annotated<DateTime, past{}>>, R"("2999-01-01T00:00:00Z")", "datetime_past", "", "Input should be in the past"},
    // python: FutureDatetime
    {of<Annotated<DateTime, future{}>>, R"("1999-01-01T00:00:00Z")", "datetime_future", "",
     "Input should be in the future"},
    // python: AwareDatetime
    {of<Annotated<DateTime, with_offset{}>>, R"("2026-01-02T03:04:05")", "timezone_aware", "",
     "Input should have timezone info"},
    // python: date
    {of<Date>, R"("2026-02-30")", "date_from_datetime_parsing", "",
     "Input should be a valid date or datetime, day value is outside expected range"},
    {of<Date>, R"("2026-01-02T01:00:00Z")", "date_from_datetime_inexact", "",
     "Datetimes provided to dates should have zero time - e.g. be exact dates"},
    {of<Date>, R"(true)", "date_type", "", "Input should be a valid date"},
    // python: PastDate
    {of<Annotated<Date, past{}>>, R"("2999-01-01")", "date_past", "", "Date should be in the past"},
    // python: FutureDate
    {of<Annotated<Date, future{}>>, R"("1999-01-01")", "date_future", "", "Date should be in the future"},
    // python: Annotated[date, Field(ge=date(2020, 1, 1))]
    {of<Annotated<Date, not_before{"2020-01-01"}>>, R"("2019-12-31")", "greater_than_equal", "",
     "Input should be greater than or equal to 2020-01-01"},
    // python: time
    {of<TimeOfDay>, R"("25:00:00")", "time_parsing", "",
     "Input should be in a valid time format, hour value is outside expected range of 0-23"},
    {of<TimeOfDay>, R"(null)", "time_type", "", "Input should be a valid time"},
    // python: timedelta
    {of<Duration>, R"(null)", "time_delta_type", "", "Input should be a valid timedelta"},
    {of<Duration>, R"("")", "time_delta_parsing", "", "Input should be a valid timedelta, input is too short"},
    // python: Annotated[timedelta, Field(ge=timedelta(seconds=5))]
    {of<Annotated<Duration, ge{5}>>, R"(1.5)", "greater_than_equal", "",
     "Input should be greater than or equal to 5 seconds"},
    // python: UUID
    {of<Uuid>, R"("x")", "uuid_parsing", "", "Input should be a valid UUID, invalid character: found `x` at 1"},
    {of<Uuid>, R"("0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6")", "uuid_parsing", "",
     "Input should be a valid UUID, invalid group length in group 4: expected 12, found 11"},
    {of<Uuid>, R"("0192d4e0-7b5a")", "uuid_parsing", "",
     "Input should be a valid UUID, invalid group count: expected 5, found 2"},
    {of<Uuid>, R"("abc")", "uuid_parsing", "",
     "Input should be a valid UUID, invalid length: expected length 32 for simple format, found 3"},
    {of<Uuid>, R"(1)", "uuid_type", "", "UUID input should be a string, bytes or UUID object"},
    // python: UUID4
    {of<Annotated<Uuid, uuid_version{4}>>, R"("0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f")", "uuid_version", "",
     "UUID version 4 expected"},
    // python: AnyUrl
    {of<Url>, R"("x")", "url_parsing", "", "Input should be a valid URL, relative URL without a base"},
    {of<Url>, R"("")", "url_parsing", "", "Input should be a valid URL, input is empty"},
    {of<Url>, R"("http://a:99999")", "url_parsing", "", "Input should be a valid URL, invalid port number"},
    {of<Url>, R"(1)", "url_type", "", "URL input should be a string or URL"},
    // python: HttpUrl
    {of<Annotated<Url, schemes{"http", "https"}>>, R"("ftp://x.com")", "url_scheme", "",
     "URL scheme should be 'http' or 'https'"},
    // python: Annotated[AnyUrl, UrlConstraints(max_length=10)]
    {of<Annotated<Url, max_length{10}>>, R"("http://example.com/")", "url_too_long", "",
     "URL should have at most 10 characters"},
    // python: Decimal
    {of<Decimal>, R"("x")", "decimal_parsing", "", "Input should be a valid decimal"},
    {of<Decimal>, R"("-inf")", "finite_number", "", "Input should be a finite number"},
    {of<Decimal>, R"(true)", "decimal_type", "", "Decimal input should be an integer, float, string or Decimal object"},
    // python: Annotated[Decimal, Field(max_digits=4, decimal_places=2)]
    {of<Annotated<Decimal, max_digits{4}, decimal_places{2}>>, R"("123.45")", "decimal_max_digits", "",
     "Decimal input should have no more than 4 digits in total"},
    {of<Annotated<Decimal, max_digits{4}, decimal_places{2}>>, R"("1.234")", "decimal_max_places", "",
     "Decimal input should have no more than 2 decimal places"},
    {of<Annotated<Decimal, max_digits{4}, decimal_places{2}>>, R"("100.00")", "decimal_whole_digits", "",
     "Decimal input should have no more than 2 digits before the decimal point"},
    // python: Annotated[Decimal, Field(ge=1, multiple_of=Decimal('0.01'))]
    {of<Annotated<Decimal, ge{1}, multiple_of{0.01}>>, R"("0.50")", "greater_than_equal", "",
     "Input should be greater than or equal to 1"},
    {of<Annotated<Decimal, ge{1}, multiple_of{0.01}>>, R"("1.005")", "multiple_of", "",
     "Input should be a multiple of 0.01"},
    // python: Base64Bytes
    {of<Bytes>, R"(5)", "bytes_type", "", "Input should be a valid bytes"},
    {of<Bytes>, R"("abcde")", "base64_decode", "",
     "Base64 decoding error: 'Invalid base64-encoded string: number of data characters (5) cannot be 1 more than a "
     "multiple of 4'"},
    // python: Annotated[bytes, Field(min_length=5)]
    {of<Annotated<Bytes, min_length{5}>>, R"("QQ==")", "bytes_too_short", "", "Data should have at least 5 bytes"},
    // python: Annotated[bytes, Field(max_length=3)]
    {of<Annotated<Bytes, max_length{3}>>, R"("QUFBQQ==")", "bytes_too_long", "", "Data should have at most 3 bytes"},
    // python: IPvAnyAddress
    {of<IpAddress>, R"("x")", "ip_any_address", "", "value is not a valid IPv4 or IPv6 address"},
    // python: EmailStr
    {of<Email>, R"("x")", "value_error", "",
     "value is not a valid email address: An email address must have an @-sign."},
    {of<Email>, R"("x@example")", "value_error", "",
     "value is not a valid email address: The part after the @-sign is not valid. It should have a period."},
    // python: Password
    {of<Password>, R"({"first":"a","second":"b"})", "value_error", "", "Value error, the passwords differ"},
    // python: NotAdmin
    {of<Annotated<std::string, check{+[](const std::string& s) { return s != "admin"; }, "is reserved"}>>, R"("admin")",
     "value_error", "", "Value error, is reserved"},
    {of<Annotated<std::string,
                  check{+[](const std::string& s) { return s != "root"; }, "Take another name", "name_reserved"}>>,
     R"("root")", "name_reserved", "", "Take another name"},
};

class Pydantic : public testing::TestWithParam<Case> {};

TEST_P(Pydantic, ReportsTheSame) {
  const Case& c = GetParam();
  const auto errors = c.errors_of(c.input);
  ASSERT_FALSE(errors.empty()) << c.input;
  EXPECT_EQ(errors[0].type, c.type);
  EXPECT_EQ(loc_text(errors[0].loc), c.loc);
  EXPECT_EQ(errors[0].msg, c.msg);
}

INSTANTIATE_TEST_SUITE_P(Errors, Pydantic, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::to_string(info.index) + "_" + info.param.type; });

}  // namespace
}  // namespace ashlar::schema
