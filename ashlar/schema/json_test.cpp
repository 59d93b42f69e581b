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

#include <ashlar/schema/json_test.hpp>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

namespace ashlar::schema {
namespace {

using namespace test;

struct NewArticle {
  Annotated<std::string, min_length{1}, max_length{20}> title;
  std::string body;
  std::vector<std::string> tags = {};
};

struct Page {
  Annotated<int, ge{1}, le{100}> limit = 20;
  Annotated<int, ge{0}> offset = 0;
};

TEST(Json, ReadsTheDesignSample) {
  const auto article = parse_json<NewArticle>(R"({"title":"Hello","body":"World","tags":["a","b"]})");
  EXPECT_EQ(article.title, "Hello");
  EXPECT_EQ(article.body, "World");
  EXPECT_EQ(article.tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(to_json(article), R"({"title":"Hello","body":"World","tags":["a","b"]})");
}

TEST(Json, KeepsDefaultsOfMembersThatAreMissing) {
  EXPECT_TRUE(parse_json<NewArticle>(R"({"body":"b","title":"t"})").tags.empty());
  const auto page = parse_json<Page>("{}");
  EXPECT_EQ(page.limit, 20);
  EXPECT_EQ(page.offset, 0);
}

struct Requirements {
  int plain;
  int zero = 0;
  bool flag;
  bool off = false;
  double number;
  std::string text;
  std::string preset = "x";
  std::optional<int> maybe;
  std::vector<int> list;
  std::map<std::string, int> map;
  DateTime when;
  Page nested;
  NewArticle article;
  Annotated<std::vector<int>, min_items{1}> some;
  Annotated<std::vector<int>, required{}> needed;
  Annotated<std::string, defaulted{}> fine;
  std::unique_ptr<Page> pointer;
  Annotated<int, ge{1}> bounded;
};

TEST(Json, KnowsWhatIsRequired) {
  EXPECT_EQ(outline<Requirements>("{}"),
            "missing@plain missing@flag missing@number missing@text missing@when missing@article missing@some "
            "missing@needed missing@bounded");
}

TEST(Json, ReportsEveryErrorAtOnce) {
  EXPECT_EQ(outline<NewArticle>(R"({"title":"","tags":["a",2,null]})"),
            "string_too_short@title string_type@tags[1] string_type@tags[2] missing@body");
  const auto errors = errors_of<NewArticle>("{\n  \"title\": 5,\n  \"body\": \"x\"}", {"body"});
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].msg, "Input should be a valid string");
  EXPECT_EQ(loc_text(errors[0].loc), "body.title");
  EXPECT_EQ(errors[0].input, "5");
  EXPECT_EQ(errors[0].line, 2U);
  EXPECT_EQ(errors[0].column, 12U);
}

TEST(Json, ErrorsBecomeJson) {
  std::string out;
  append_errors_json(errors_of<NewArticle>(R"({"title":"","body":"b"})", {"body"}), out);
  EXPECT_EQ(out,
            R"([{"type":"string_too_short","loc":["body","title"],"msg":"String should have at least 1 character",)"
            R"("input":"","ctx":{"min_length":1},"line":1,"column":10}])");
}

TEST(Json, ThrowsAllErrorsInOneException) {
  try {
    (void)parse_json<NewArticle>("{}");
    FAIL();
  } catch (const ValidationError& e) {
    EXPECT_EQ(e.errors().size(), 2U);
    EXPECT_EQ(e.kind(), ErrorKind::invalid);
    EXPECT_NE(e.message().find("title: Field required [missing]"), std::string::npos);
  }
}

struct Integers {
  std::int8_t i8 = 0;
  std::int16_t i16 = 0;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
};

TEST(Json, IntegersOfEveryWidthRoundTripAtTheirLimits) {
  const std::string low = R"({"i8":-128,"i16":-32768,"i32":-2147483648,"i64":-9223372036854775808,)"
                          R"("u8":0,"u16":0,"u32":0,"u64":0})";
  const std::string high = R"({"i8":127,"i16":32767,"i32":2147483647,"i64":9223372036854775807,)"
                           R"("u8":255,"u16":65535,"u32":4294967295,"u64":18446744073709551615})";
  EXPECT_EQ(round_trip<Integers>(low), low);
  EXPECT_EQ(round_trip<Integers>(high), high);
}

TEST(Json, IntegersOutOfRangeAreErrors) {
  EXPECT_EQ(outline<Integers>(R"({"i8":128,"i16":-32769,"i32":2147483648,"u8":256,"u16":-1,"u32":4294967296})"),
            "less_than_equal@i8 greater_than_equal@i16 less_than_equal@i32 less_than_equal@u8 greater_than_equal@u16 "
            "less_than_equal@u32");
  EXPECT_EQ(outline<Integers>(R"({"i64":9223372036854775808,"u64":18446744073709551616})"),
            "int_parsing_size@i64 int_parsing_size@u64");
  EXPECT_EQ(outline<Integers>(R"({"i64":1e400,"u64":123456789012345678901234567890})"),
            "finite_number@i64 int_parsing_size@u64");
  EXPECT_EQ(outline<Integers>(R"({"i64":-9223372036854775809,"u64":-1})"),
            "int_parsing_size@i64 greater_than_equal@u64");
}

TEST(Json, IntegersAreLaxWhereNothingIsLost) {
  const auto v = parse_json<Integers>(R"({"i8":"5","i32":5.0,"i64":1e3,"u8":" 7 "})");
  EXPECT_EQ(v.i8, 5);
  EXPECT_EQ(v.i32, 5);
  EXPECT_EQ(v.i64, 1000);
  EXPECT_EQ(v.u8, 7);
  EXPECT_EQ(outline<Integers>(R"({"i8":5.5,"i16":"x","i32":true,"i64":null,"u8":[],"u16":{}})"),
            "int_from_float@i8 int_parsing@i16 int_type@i32 int_type@i64 int_type@u8 int_type@u16");
}

struct Strict {
  int a = 0;
  bool b = false;
  static constexpr SchemaOptions schema{.strict = true};
};
TEST(Json, StrictStructsTakeExactTypesOnly) {
  EXPECT_EQ(outline<Strict>(R"({"a":"5","b":1})"), "int_type@a bool_type@b");
  EXPECT_EQ(outline<Strict>(R"({"a":5.0,"b":"true"})"), "int_type@a bool_type@b");
}

struct Numbers {
  double d = 0;
  float f = 0;
  bool b = false;
};
TEST(Json, NumbersRoundTrip) {
  for (const char* text : {"0.1", "1e-7", "123456789.125", "-2.5", "1e+22", "5e-324", "1.7976931348623157e+308",
                           "0.30000000000000004", "9007199254740993.5"}) {
    const double expected = std::strtod(text, nullptr);
    EXPECT_EQ(parse_json<double>(text), expected) << text;
    EXPECT_EQ(parse_json<double>(to_json(expected)), expected) << text;
  }
  EXPECT_EQ(to_json(5.0), "5.0");
  EXPECT_EQ(to_json(-0.0), "-0.0");
  EXPECT_EQ(to_json(std::nan("")), "null");
  EXPECT_EQ(parse_json<double>("1e-400"), 0.0);
  EXPECT_EQ(parse_json<double>("123456789012345678901234567890"), 123456789012345678901234567890.0);
  EXPECT_EQ(outline<Numbers>(R"({"d":1e999,"f":1e39})"), "finite_number@d finite_number@f");
  EXPECT_EQ(outline<Numbers>(R"({"d":"x","f":null,"b":"maybe"})"), "float_parsing@d float_type@f bool_parsing@b");
  EXPECT_EQ(outline<Numbers>(R"({"d":"nan","b":2})"), "finite_number@d bool_parsing@b");
  EXPECT_TRUE(parse_json<Numbers>(R"({"b":"yes"})").b);
  EXPECT_TRUE(parse_json<Numbers>(R"({"b":1})").b);
}

TEST(Json, StringsAreUnescapedAndEscaped) {
  EXPECT_EQ(parse_json<std::string>(R"("a\"\\\/\b\f\n\r\tAü😀z")"), "a\"\\/\b\f\n\r\tAü😀z");
  EXPECT_EQ(to_json(std::string("a\"\\\b\f\n\r\t\x01ü😀")), R"("a\"\\\b\f\n\r\t\u0001ü😀")");
  EXPECT_EQ(to_json(std::string("\xFFok\xC3")), "\"\xEF\xBF\xBDok\xEF\xBF\xBD\"");
  EXPECT_EQ(parse_json<std::string>(R"("\u0000x")"), std::string("\0x", 2));
  for (std::size_t size = 0; size < 70; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = at % 2 == 0 ? '"' : '\n';
      ASSERT_EQ(parse_json<std::string>(to_json(text)), text);
    }
  }
}

TEST(Json, StringsOfEveryLengthAreReadWhole) {
  for (std::size_t size = 0; size < 200; ++size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i % 26);
    for (const std::string_view tail : {"", "]", ",\"next one, which is long enough to be read by mistake\"]"}) {
      const std::string json = (tail.empty() ? "" : "[") + ('"' + text + '"') + std::string(tail);
      if (tail.empty()) {
        ASSERT_EQ(parse_json<std::string>(json), text);
      } else {
        ASSERT_EQ(parse_json<std::vector<std::string>>(json).at(0), text);
      }
    }
  }
}

TEST(Json, WhatIsNoJsonIsOneError) {
  for (const char* bad : {"",
                          " ",
                          "{",
                          "}",
                          "[1,2",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "[1,]",
                          "{a:1}",
                          "{'a':1}",
                          "{\"a\":1 \"b\":2}",
                          "[1 2]",
                          "01",
                          "1.",
                          ".5",
                          "+1",
                          "-",
                          "1e",
                          "0x10",
                          "tru",
                          "nul",
                          "NaN",
                          "\"abc",
                          "\"\\x\"",
                          "\"\\u12\"",
                          "\"\\ud800\"",
                          "\"\\udc00\"",
                          "\"a\nb\"",
                          "\"a\tb\"",
                          "{} {}",
                          "[] x",
                          "\"\xFF\"",
                          "\"\xC0\x80\"",
                          "\xEF\xBB\xBF{}",
                          "{\"a\":1,\"a\":2,}",
                          "[[]",
                          "{\"a\":[}",
                          "\"\\",
                          "\"\\u",
                          "/*c*/{}"}) {
    EXPECT_EQ(outline<Json>(bad), "json_invalid@") << bad;
    EXPECT_EQ(outline<Page>(bad), "json_invalid@") << bad;
    EXPECT_EQ(outline<std::vector<Page>>(bad), "json_invalid@") << bad;
  }
  const auto errors = errors_of<Page>("{\"limit\":1,\n\"offset\" 2}", {"body"});
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].msg, "Invalid JSON: expected `:` at line 2 column 10");
  EXPECT_EQ(loc_text(errors[0].loc), "body");
}

TEST(Json, RefusesAKeyThatComesTwice) {
  EXPECT_EQ(outline<Page>(R"({"limit":1,"limit":2})"), "json_invalid@");
  EXPECT_EQ((outline<std::map<std::string, int>>(R"({"a":1,"a":2})")), "json_invalid@");
}

struct Node {
  int value = 0;
  std::vector<Node> children;
  std::unique_ptr<Node> next;
};

TEST(Json, ReadsRecursiveTypes) {
  const std::string text = R"({"value":1,"children":[{"value":2,"children":[],"next":null}],"next":)"
                           R"({"value":3,"children":[],"next":null}})";
  EXPECT_EQ(round_trip<Node>(text), text);
}

TEST(Json, DeepNestingIsAnErrorNotACrash) {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += R"({"next":)";
    text += "null";
    text.append(static_cast<std::size_t>(depth), '}');
    return text;
  };
  EXPECT_EQ(outline<Node>(nested(64)), "");
  EXPECT_EQ(outline<Node>(nested(65)), "json_invalid@");
  EXPECT_EQ(outline<Node>(std::string(100'000, '[')), "json_invalid@");
  EXPECT_EQ(outline<Json>(std::string(100'000, '[')), "json_invalid@");
  EXPECT_EQ(outline<Node>(R"({"unknown":)" + std::string(1000, '[')), "json_invalid@");
}

struct Loose {
  int known = 0;
};
struct Tight {
  int known = 0;
  static constexpr SchemaOptions schema{.extra = Extra::forbid};
};
TEST(Json, UnknownMembersAreIgnoredOrRefused) {
  EXPECT_EQ(outline<Loose>(R"({"known":1,"other":{"a":[1]}})"), "");
  EXPECT_EQ(outline<Tight>(R"({"known":1,"other":{"a":[1]},"more":2})"), "extra_forbidden@other extra_forbidden@more");
}

enum class Status { draft, published, delete_ };
struct WithEnum {
  Status status = Status::draft;
};
TEST(Json, EnumsGoByName) {
  EXPECT_EQ(round_trip<WithEnum>(R"({"status":"published"})"), R"({"status":"published"})");
  EXPECT_EQ(round_trip<WithEnum>(R"({"status":"delete"})"), R"({"status":"delete"})");
  const auto errors = errors_of<WithEnum>(R"({"status":"x"})");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].type, "enum");
  EXPECT_EQ(errors[0].msg, "Input should be 'draft', 'published' or 'delete'");
  EXPECT_EQ(outline<WithEnum>(R"({"status":1})"), "enum@status");
}

struct Values {
  Uuid id;
  DateTime at;
  Date day;
  TimeOfDay time;
  Duration span;
  Decimal price;
  Url link;
  Email mail;
  IpAddress ip;
  Bytes data;
};
TEST(Json, ValueTypesRoundTrip) {
  const std::string text =
      R"({"id":"0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f","at":"2026-01-02T03:04:05.678Z","day":"2026-01-02",)"
      R"("time":"03:04:05","span":"PT1H30M","price":"12.50","link":"https://example.com/","mail":"a@b.de",)"
      R"("ip":"10.0.0.1","data":"SGVsbG8="})";
  EXPECT_EQ(round_trip<Values>(text), text);
  EXPECT_EQ(parse_json<Decimal>("12.50").to_string(), "12.50");
  EXPECT_EQ(outline<Values>(R"({"id":"x","at":"x","day":"x","time":"x","span":"x","price":"x","link":"x","mail":"x",)"
                            R"("ip":"x","data":"!"})"),
            "uuid_parsing@id datetime_from_date_parsing@at date_from_datetime_parsing@day time_parsing@time "
            "time_delta_parsing@span decimal_parsing@price url_parsing@link value_error@mail ip_any_address@ip "
            "base64_decode@data");
  EXPECT_EQ(outline<Values>(
                R"({"id":1,"at":true,"day":true,"time":1,"span":[],"price":true,"link":1,"mail":1,"ip":1,"data":1})"),
            "uuid_type@id datetime_type@at date_type@day time_type@time time_delta_type@span decimal_type@price "
            "url_type@link string_type@mail ip_any_address@ip bytes_type@data");
  const auto errors = errors_of<DateTime>(R"("2026-13-01T00:00:00Z")");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].msg, "Input should be a valid datetime or date, month value is outside expected range of 1-12");
}

struct Containers {
  std::optional<int> maybe;
  std::set<int> set;
  std::map<std::string, double> map;
  std::map<int, std::string> by_number;
  std::unordered_map<std::string, int> hashed;
  std::array<int, 2> two;
  std::pair<int, std::string> pair;
  std::tuple<bool, int, double> triple;
  std::vector<bool> bits;
  std::vector<std::vector<int>> grid;
};
TEST(Json, ContainersRoundTrip) {
  const std::string text =
      R"({"maybe":null,"set":[1,2],"map":{"a":1.5},"by_number":{"7":"x"},"hashed":{"k":1},"two":[1,2],"pair":[1,"x"],)"
      R"("triple":[true,1,2.5],"bits":[true,false],"grid":[[1],[],[2,3]]})";
  EXPECT_EQ(round_trip<Containers>(text), text);
  EXPECT_EQ(outline<Containers>(R"({"set":{},"map":[],"by_number":{"x":"y"},"two":[1],"pair":[1,2,3],"triple":5})"),
            "set_type@set dict_type@map int_parsing@by_number.x.[key] too_short@two string_type@pair[1] too_long@pair "
            "tuple_type@triple");
  EXPECT_EQ(errors_of<Containers>(R"({"by_number":{"1z" : "y"}})").at(0).input, R"("1z")");
}

struct Constrained {
  Annotated<int, ge{1}, le{10}> a = 1;
  Annotated<double, gt{0}, lt{1.5}> b = 1;
  Annotated<int, multiple_of{3}> c = 3;
  Annotated<std::string, min_length{2}, max_length{3}> d = "xx";
  Annotated<std::string, pattern{"^[a-z]+$"}> e = "a";
  Annotated<std::vector<int>, min_items{1}, max_items{2}, unique_items{}> f = {1};
  std::vector<Annotated<int, ge{0}>> g;
  std::optional<Annotated<std::string, min_length{1}>> h;
  Annotated<std::optional<int>, ge{5}> i;
  Annotated<std::string, strip{}, to_lower{}, min_length{1}> j = "j";
  Annotated<std::string, check{+[](const std::string& s) { return s != "admin"; }, "is reserved"}> k = "k";
  Annotated<Decimal, ge{0}, multiple_of{0.01}> l = Decimal(1);
  Annotated<Status, description{"state"}> m = Status::draft;
  Annotated<std::map<std::string, int>, max_items{1}> n;
};
TEST(Json, ConstraintsAreChecked) {
  EXPECT_EQ(outline<Constrained>("{}"), "");
  EXPECT_EQ(
      outline<Constrained>(R"({"a":0,"b":0,"c":4,"d":"x","e":"A","f":[],"g":[1,-1],"h":"","i":4,"j":"  ",)"
                           R"("k":"admin","l":"-1","n":{"a":1,"b":2}})"),
      "greater_than_equal@a greater_than@b multiple_of@c string_too_short@d string_pattern_mismatch@e too_short@f "
      "greater_than_equal@g[1] string_too_short@h greater_than_equal@i string_too_short@j value_error@k "
      "greater_than_equal@l too_long@n");
  EXPECT_EQ(outline<Constrained>(R"({"a":11,"b":1.5,"d":"xxxx","f":[1,2,3],"l":"0.005"})"),
            "less_than_equal@a less_than@b string_too_long@d too_long@f multiple_of@l");
  EXPECT_EQ(outline<Constrained>(R"({"f":[1,1]})"), "unique_items@f");
  EXPECT_EQ(outline<Constrained>(R"({"d":"üüü","i":null})"), "");
  EXPECT_EQ(parse_json<Constrained>(R"({"j":"  AbC "})").j, "abc");
  EXPECT_EQ(errors_of<Constrained>(R"({"k":"admin"})")[0].msg, "Value error, is reserved");
  EXPECT_EQ(errors_of<Constrained>(R"({"a":0})")[0].msg, "Input should be greater than or equal to 1");
  EXPECT_EQ(errors_of<Constrained>(R"({"f":[]})")[0].msg, "List should have at least 1 item after validation, not 0");
}

struct Range {
  int start = 0;
  int end = 0;
  void validate(Violations& v) const {
    if (end < start) v.add("end", "is before start");
  }
};
struct Account {
  std::string password, repeat;
  std::optional<std::string> validate() const {
    if (password != repeat) return "the passwords differ";
    return std::nullopt;
  }
};
TEST(Json, ChecksAcrossMembers) {
  const auto range = errors_of<std::vector<Range>>(R"([{"start":2,"end":1}])");
  ASSERT_EQ(range.size(), 1U);
  EXPECT_EQ(loc_text(range[0].loc), "[0].end");
  EXPECT_EQ(range[0].msg, "Value error, is before start");
  const auto account = errors_of<Account>(R"({"password":"a","repeat":"b"})", {"body"});
  ASSERT_EQ(account.size(), 1U);
  EXPECT_EQ(loc_text(account[0].loc), "body");
  EXPECT_EQ(outline<Range>(R"({"start":"x","end":-5})"), "int_parsing@start");
}

struct Camel {
  std::string first_name;
  std::string class_;
  Annotated<std::int64_t, alias{"ID"}, read_only{}> id = 7;
  Annotated<std::string, write_only{}> password;
  static constexpr SchemaOptions schema{.naming = Naming::camel_case};
};
TEST(Json, NamesFollowThePolicy) {
  const auto v = parse_json<Camel>(R"({"firstName":"a","class":"b","ID":99,"password":"p"})");
  EXPECT_EQ(v.id, 7);
  EXPECT_EQ(v.password, "p");
  EXPECT_EQ(to_json(v), R"({"firstName":"a","class":"b","ID":7})");
  EXPECT_EQ(outline<Camel>("{}"), "missing@firstName missing@class missing@password");
}

struct Login {
  std::string user;
  Secret<> password;
  Secret<Annotated<std::string, min_length{8}>> strong{std::string("12345678")};
  static constexpr SchemaOptions schema{.extra = Extra::forbid};
};
TEST(Json, SecretsAreReadAndNeverEchoed) {
  const auto login = parse_json<Login>(R"({"user":"u","password":"hunter2"})");
  EXPECT_EQ(login.password.reveal(), "hunter2");
  EXPECT_EQ(to_json(login), R"({"user":"u","password":"**********","strong":"**********"})");
  for (const auto& e : errors_of<Login>(R"({"user":1,"password":5,"pasword":"hunter2","strong":"geheim"})")) {
    if (e.loc != std::vector<LocItem>{"user"}) {
      EXPECT_EQ(e.input, "") << e.type;
    }
  }
  EXPECT_EQ(outline<Login>(R"({"user":"u","strong":"geheim"})"), "string_too_short@strong missing@password");
}

TEST(Json, MemberOrderAndEscapedKeysDoNotMatter) {
  const auto page = parse_json<Page>(R"( { "offset" : 3 , "\u006cimit" : 7 } )");
  EXPECT_EQ(page.limit, 7);
  EXPECT_EQ(page.offset, 3);
}

TEST(Json, KeepsAtMostAHundredErrors) {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += i == 0 ? "\"x\"" : ",\"x\"";
  text += "]";
  EXPECT_EQ(errors_of<std::vector<int>>(text).size(), Errors::kLimit);
}

}  // namespace
}  // namespace ashlar::schema
