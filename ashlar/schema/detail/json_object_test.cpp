// The reader has a short way for what nearly all members are, and a long one for the rest: nobody may see which was
// taken.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/json_test.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar::schema {
namespace {

using namespace test;

struct Part {
  Annotated<std::string, min_length{2}, max_length{40}> name;
  Annotated<std::int32_t, ge{-5}, le{10'000}> count;
  Annotated<double, gt{0}, lt{1000.5}> price;
  std::vector<std::string> tags = {};
};
struct Whole {
  std::string text;
  Part first;
  std::vector<Part> parts;
  std::int64_t number;
  bool flag;
  std::optional<std::string> note;
  double a_name_that_is_rather_long;
};

constexpr std::string_view kWhole =
    R"({"text":"a short one","first":{"name":"of twenty-three bytes..","count":-5,"price":12.25,"tags":["x","of more than fifteen"]},)"
    R"("parts":[{"name":"grün","count":0,"price":0.5},{"name":"thirty-two bytes and a few of more","count":9999,"price":1000,"tags":[]}],)"
    R"("number":-123456789012345678,"flag":true,"note":"with \u00e9 and \n","a_name_that_is_rather_long":12345.678e-2})";

// The same with white space wherever it may be.
std::string spaced(std::string_view json, std::string_view space) {
  std::string out;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"' && (i == 0 || json[i - 1] != '\\')) in_string = !in_string;
    const bool mark = !in_string && std::string_view("{}[],:").find(c) != std::string_view::npos;
    if (mark) out += space;
    out += c;
    if (mark) out += space;
  }
  return out;
}

TEST(JsonObject, WhiteSpaceChangesNothing) {
  const std::string expected = round_trip<Whole>(kWhole);
  for (const std::string_view space : {" ", "\n", "\r\n\t  ", "                         "}) {
    EXPECT_EQ(round_trip<Whole>(spaced(kWhole, space)), expected);
  }
  EXPECT_EQ(round_trip<Whole>(expected), expected);
}

// In blocks of exactly their size, so that AddressSanitizer sees a byte that is read behind them.
TEST(JsonObject, TextsMayEndAnywhere) {
  for (const std::string& whole : {std::string(kWhole), spaced(kWhole, " ")}) {
    const std::size_t last = whole.rfind('}');
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const fuzz::Block block(std::string_view(whole).substr(0, size));
      Errors errors;
      Whole value{};
      EXPECT_EQ(parse_json(block.view(), value, errors), size > last) << block.view();
      if (size <= last) EXPECT_EQ(errors.items().at(0).type, "json_invalid");
    }
  }
}

struct Texts {
  std::string text;
  std::string more = {};
};

// What stands behind a string says whether sixteen bytes of it may be loaded.
TEST(JsonObject, StringsOfEveryLengthAndPlace) {
  for (std::size_t size = 0; size <= 70; ++size) {
    for (std::size_t behind = 0; behind <= 40; ++behind) {
      const std::string text(size, 'x'), more(behind, 'y');
      const fuzz::Block block(R"({"text":")" + text + R"(","more":")" + more + R"("})");
      const auto read = parse_json<Texts>(block.view());
      ASSERT_EQ(read.text, text);
      ASSERT_EQ(read.more, more);
    }
    // Something to be seen to at each place.
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      text[at] = '\n';
      Texts value;
      Errors errors;
      ASSERT_FALSE(parse_json(R"({"text":")" + text + R"(","more":"behind it there is enough"})", value, errors));
      text.replace(at, 1, "\\n");
      const auto read = parse_json<Texts>(R"({"text":")" + text + R"(","more":"behind it there is enough"})");
      ASSERT_EQ(read.text.find('\n'), at);
      ASSERT_EQ(read.text.size(), size);
    }
  }
}

struct Defaults {
  std::string text = "a default of more than fifteen bytes, which has memory of its own";
  std::string other = "so has this one, which is long";
};

TEST(JsonObject, StringsGoWhereLongerOnesWere) {
  const auto read = parse_json<Defaults>(R"({"text":"short","other":"of nearly thirty-one bytes .."})");
  EXPECT_EQ(read.text, "short");
  EXPECT_EQ(read.other, "of nearly thirty-one bytes ..");
}

template <std::int64_t Least, std::int64_t Most>
struct Bounded {
  Annotated<std::string, min_length{Least}, max_length{Most}> text;
  std::string behind;
};

template <std::int64_t Least, std::int64_t Most>
void check_lengths() {
  using Text = Bounded<Least, Most>;
  for (const std::string_view character : {"a", "é", "€", "😀"}) {
    for (std::int64_t count = 0; count <= 40; ++count) {
      for (const std::string_view before : {"", "b"}) {
        std::string text(before);
        for (std::int64_t i = 0; i < count; ++i) text += character;
        const auto length = static_cast<std::int64_t>(utf8_length(text));
        const std::string expected = length < Least  ? "string_too_short@text"
                                     : length > Most ? "string_too_long@text"
                                                     : "";
        ASSERT_EQ(outline<Text>(R"({"text":")" + text + R"(","behind":"and thirty-three bytes or more behind"})"),
                  expected);
        ASSERT_EQ(outline<Text>(R"({"behind":"","text":")" + text + R"("})"), expected);
      }
    }
  }
}

TEST(JsonObject, LengthsAreThoseOfCharacters) {
  check_lengths<0, 5>();
  check_lengths<1, 15>();
  check_lengths<2, 2>();
  check_lengths<4, 16>();
  check_lengths<7, 31>();
  check_lengths<17, 20>();
}

template <class T>
struct One {
  T n;
};

template <class T>
void check_integers(std::int64_t lowest, std::uint64_t highest) {
  const auto expect = [](const std::string& text, bool valid) {
    const std::string json = R"({"n":)" + text + "}";
    EXPECT_EQ(outline<One<T>>(json).empty(), valid) << json;
    if (valid) EXPECT_EQ(round_trip<One<T>>(json), json);
  };
  expect(std::to_string(lowest), true);
  expect(std::to_string(highest), true);
  if (lowest > INT64_MIN) expect(std::to_string(lowest - 1), false);
  if (highest < UINT64_MAX) expect(std::to_string(highest + 1), false);
  expect("0", true);
  expect("100", true);
  expect("99999999999999999999", false);
}

TEST(JsonObject, IntegersFitTheirType) {
  check_integers<std::int8_t>(INT8_MIN, INT8_MAX);
  check_integers<std::uint8_t>(0, UINT8_MAX);
  check_integers<std::int16_t>(INT16_MIN, INT16_MAX);
  check_integers<std::uint16_t>(0, UINT16_MAX);
  check_integers<std::int32_t>(INT32_MIN, INT32_MAX);
  check_integers<std::uint32_t>(0, UINT32_MAX);
  check_integers<std::int64_t>(INT64_MIN, INT64_MAX);
  check_integers<std::uint64_t>(0, UINT64_MAX);
}

struct Bounds {
  Annotated<int, ge{3}, le{7}> closed = 5;
  Annotated<int, gt{3}, lt{7}> open = 5;
  Annotated<std::uint64_t, gt{INT64_MAX}> large = UINT64_MAX;
  Annotated<int, ge{2.5}> fraction = 5;
  Annotated<double, ge{0.25}, le{7}> real = 5;
  Annotated<double, gt{0}, lt{0.5}> between = 0.25;
  Annotated<int, multiple_of{5}> fives = 5;
};

TEST(JsonObject, BoundsOfNumbersHold) {
  EXPECT_EQ(
      outline<Bounds>(R"({"closed":3,"open":4,"large":9223372036854775808,"fraction":3,"real":0.25,"between":0.4999})"),
      "");
  EXPECT_EQ(outline<Bounds>(R"({"closed":7,"open":6,"real":7,"between":1e-300,"fives":-10})"), "");
  EXPECT_EQ(
      outline<Bounds>(
          R"({"closed":2,"open":3,"large":9223372036854775807,"fraction":2,"real":0.2499,"between":0,"fives":4})"),
      "greater_than_equal@closed greater_than@open greater_than@large greater_than_equal@fraction "
      "greater_than_equal@real greater_than@between multiple_of@fives");
  EXPECT_EQ(outline<Bounds>(R"({"closed":8,"open":7,"real":7.01,"between":0.5})"),
            "less_than_equal@closed less_than@open less_than_equal@real less_than@between");
  EXPECT_EQ(outline<Bounds>(R"({"closed":5.0,"open":5.5})"), "int_from_float@open");
}

TEST(JsonObject, DoublesAreTheNearest) {
  for (const char* text :
       {"0", "-0", "0.1", "-0.1", "245.5", "0.30000000000000004", "9007199254740993", "123456789.012345678",
        "0.00000000000000001", "999999999999999999", "1234567890123456.75", "1e22", "1.5E-7", "4.35"}) {
    const auto read = parse_json<One<double>>(std::string(R"({"n":)") + text + "}");
    EXPECT_EQ(read.n, std::strtod(text, nullptr)) << text;
    EXPECT_EQ(std::signbit(read.n), text[0] == '-') << text;
  }
  for (const char* text : {"01", "-", "1.", ".5", "-.5", "1.e5", "1e", "00.5", "+1", "1.5.5", "0x10", "1-"}) {
    EXPECT_EQ(outline<One<double>>(std::string(R"({"n":)") + text + "}"), "json_invalid@") << text;
    EXPECT_EQ(outline<One<double>>(std::string(R"({"n":)") + text), "json_invalid@") << text;
  }
}

struct Keys {
  int a = 0;
  int abcde = 0;
  int abcdef = 0;
  int twelve_bytes = 0;
  int thirteen_byte = 0;
  int fourteen_bytes = 0;
  int of_twenty_one_bytes_x = 0;
  int of_twenty_two_bytes__x = 0;
  int a_name_that_is_much_longer_than_others_a = 0;
  int a_name_that_is_much_longer_than_others_b = 0;
};

TEST(JsonObject, KeysAreComparedToTheirEnd) {
  const std::string_view names[] = {"a",
                                    "abcde",
                                    "abcdef",
                                    "twelve_bytes",
                                    "thirteen_byte",
                                    "fourteen_bytes",
                                    "of_twenty_one_bytes_x",
                                    "of_twenty_two_bytes__x",
                                    "a_name_that_is_much_longer_than_others_a",
                                    "a_name_that_is_much_longer_than_others_b"};
  std::string all = "{", reversed = "{";
  for (std::size_t i = 0; i < std::size(names); ++i) {
    all += (i == 0 ? "\"" : ",\"") + std::string(names[i]) + "\":" + std::to_string(i + 1);
    const std::size_t j = std::size(names) - 1 - i;
    reversed += (i == 0 ? "\"" : ",\"") + std::string(names[j]) + "\":" + std::to_string(j + 1);
  }
  all += '}';
  reversed += '}';
  EXPECT_EQ(round_trip<Keys>(all), all);
  EXPECT_EQ(round_trip<Keys>(reversed), all);
  for (const std::string_view name : names) {
    for (const std::string_view behind : {"}", R"(,"unknown":"and more than sixteen bytes"})"}) {
      const std::string value = "\":1" + std::string(behind);
      EXPECT_NE(round_trip<Keys>("{\"" + std::string(name) + value), round_trip<Keys>("{}")) << name;
      for (std::size_t i = 0; i < name.size(); ++i) {  // each byte counts
        std::string other(name);
        other[i] = '~';
        EXPECT_EQ(round_trip<Keys>("{\"" + other + value), round_trip<Keys>("{}")) << other;
      }
    }
  }
}

TEST(JsonObject, AKeyMayComeOnlyOnceWhereverItStands) {
  const auto message = [](std::string_view json) { return errors_of<Keys>(json).at(0).msg; };
  EXPECT_EQ(message(R"({"a":1,"a":2})"), "Invalid JSON: duplicate key at line 1 column 8");
  EXPECT_EQ(message(R"({"a":1,"abcde":2,"a":3})"), "Invalid JSON: duplicate key at line 1 column 18");
  EXPECT_EQ(message(R"({"abcde":1,"a":2,"abcde":3})"), "Invalid JSON: duplicate key at line 1 column 18");
  EXPECT_EQ(message("{\"a\":1,\n \"abcde\":2,\n  \"a\":3}"), "Invalid JSON: duplicate key at line 3 column 3");
  EXPECT_EQ(message("{\"abcde\":1,\n \"a\":2,\n  \"abcde\":3}"), "Invalid JSON: duplicate key at line 3 column 3");
}

TEST(JsonObject, WhatIsWrongIsSaidWithItsPlace) {
  const auto errors = errors_of<Whole>(
      R"({"text":5,"first":{"name":"a","count":10001,"price":0,"tags":["",1]},"parts":[{"name":"é","count":1.5,"price":1}],)"
      R"("number":1,"flag":3,"note":null,"a_name_that_is_rather_long":"x"})");
  std::string all;
  for (const ErrorItem& e : errors) {
    all += e.type + '@' + loc_text(e.loc) + ' ' + std::to_string(e.column) + ' ' + e.input + '\n';
  }
  EXPECT_EQ(all,
            "string_type@text 9 5\n"
            "string_too_short@first.name 27 \"a\"\n"
            "less_than_equal@first.count 39 10001\n"
            "greater_than@first.price 53 0\n"
            "string_type@first.tags[1] 66 1\n"
            "string_too_short@parts[0].name 87 \"é\"\n"
            "int_from_float@parts[0].count 100 1.5\n"
            "bool_parsing@flag 134 3\n"
            "float_parsing@a_name_that_is_rather_long 177 \"x\"\n");
}

}  // namespace
}  // namespace ashlar::schema
