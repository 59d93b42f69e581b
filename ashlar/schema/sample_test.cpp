#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/json_schema.hpp>
#include <ashlar/schema/sample.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar::schema {
namespace {

enum class Colour { red, green };
struct Dot {
  Literal<"dot"> kind;
  int x;
};
struct Line {
  Literal<"line"> kind;
  double length;
};
struct Part {
  Annotated<std::string, pattern{"^[a-z]{2,4}-[0-9]+$"}, max_length{12}> code;
  Annotated<double, gt{0}, lt{1}> share;
};
struct Everything {
  Annotated<std::string, min_length{3}, max_length{7}> name;
  Annotated<int, ge{10}, le{40}, multiple_of{5}> step;
  Annotated<std::int64_t, gt{-3}> more;
  std::uint8_t small;
  Colour colour;
  Annotated<std::vector<Part>, min_items{1}, max_items{3}> parts;
  std::set<std::string> tags;
  Annotated<std::vector<int>, unique_items{}, min_items{2}, max_items{4}> numbers;
  std::map<std::string, Colour> colours;
  std::tuple<int, std::string> pair;
  std::array<bool, 2> two;
  Annotated<std::variant<Dot, Line>, discriminator{"kind"}> shape;
  std::optional<std::string> note;
  Patch<int> patched;
  Uuid id;
  DateTime at;
  Date day;
  TimeOfDay time;
  Duration lasts;
  Decimal price;
  Url link;
  Email mail;
  IpAddress address;
  Bytes bytes;
  Annotated<Url, schemes{"ftp", "sftp"}> file;
};
struct Chain {
  std::string name;
  std::vector<Chain> next;
};

template <class T>
struct Schema {
  SchemaDocument document{json_schema<T>()};
  const SchemaNode& node = document.schema(document.root());
};

template <class T>
bool is_read(const Tree& tree, std::string* why = nullptr) {
  T value{};
  Errors errors;
  const bool good = parse_json(tree.json(), value, errors);
  if (!good && why != nullptr) *why = ValidationError(std::move(errors)).what();
  return good;
}

TEST(Sample, FitsItsSchemaAndIsReadByTheTypeThatTheSchemaIsOf) {
  Schema<Everything> schema;
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const Tree value = sample(schema.node, random);
    ASSERT_EQ(check_schema(schema.node, value), std::nullopt) << value.json();
    std::string why;
    ASSERT_TRUE(is_read<Everything>(value, &why)) << why << "\n" << value.json();
  }
}

TEST(Sample, IsTheSameForTheSameSeed) {
  Schema<Everything> schema;
  Random one(7), two(7), other(8);
  const Tree value = sample(schema.node, one);
  EXPECT_EQ(value, sample(schema.node, two));
  EXPECT_NE(value, sample(schema.node, other));
}

TEST(Sample, ReachesBothEndsOfEachRange) {
  Schema<Everything> schema;
  Random random(3);
  std::set<std::size_t> lengths;
  std::set<std::string> steps, small;
  for (int i = 0; i < 500; ++i) {
    const Tree value = sample(schema.node, random, Letters::plain);
    lengths.insert(value.find("name")->text.size());
    steps.insert(value.find("step")->text);
    small.insert(value.find("small")->text);
  }
  EXPECT_TRUE(lengths.contains(3) && lengths.contains(7));
  EXPECT_EQ(steps, (std::set<std::string>{"10", "15", "20", "25", "30", "35", "40"}));
  EXPECT_TRUE(small.contains("0") && small.contains("255"));
}

TEST(Sample, OfTheWholeHasAllThatMayBeThere) {
  Schema<Everything> schema;
  Random random(4);
  for (int i = 0; i < 50; ++i) {
    const Tree value = sample_whole(schema.node, random, Letters::tame);
    ASSERT_TRUE(is_read<Everything>(value)) << value.json();
    EXPECT_EQ(value.items.size(), schema.node.members.size());
    EXPECT_EQ(value.find("note")->kind, Tree::Kind::text);
    EXPECT_FALSE(value.find("tags")->items.empty());
  }
  Schema<Chain> endless;
  EXPECT_TRUE(is_read<Chain>(sample_whole(endless.node, random)));
}

TEST(Sample, OfARangeHasSmallNumbersAsOftenAsLargeOnes) {
  SchemaDocument document(R"({"type":"integer","minimum":1,"maximum":1000})");
  const SchemaNode& node = document.schema(document.root());
  Random random(6);
  int small = 0, large = 0;
  for (int i = 0; i < 1000; ++i) {
    const long double value = sample(node, random).number();
    small += value <= 20;
    large += value > 500;
  }
  EXPECT_GT(small, 300);
  EXPECT_GT(large, 150);
}

TEST(Sample, OfATypeWithinItselfComesToAnEnd) {
  Schema<Chain> schema;
  Random random(5);
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(is_read<Chain>(sample(schema.node, random)));
}

TEST(Sample, OfAPatternMatchesIt) {
  Random random(9);
  for (const char* expression : {"^[A-Z][a-z]+( [A-Z][a-z]+)*$", "\\S", "^(a|bb|ccc){3}$", "^\\d{4}-\\d\\d$", "^[^/]+$",
                                 "\\bword\\b", "^\\u00e9+$", "^.{5,9}$"}) {
    const detail::Regex regex(expression);
    for (int i = 0; i < 100; ++i) {
      const auto text = sample_pattern(regex, random, 12);
      ASSERT_TRUE(text) << expression;
      EXPECT_TRUE(regex.found_in(*text)) << expression << ": " << *text;
    }
  }
}

TEST(Neighbours, AreRefusedByTheTypeOneForEachConstraint) {
  Schema<Everything> schema;
  Random random(11);
  std::set<std::string> reasons;
  for (int i = 0; i < 50; ++i) {
    const Tree value = sample(schema.node, random, Letters::tame);
    for (const Change& change : neighbours(schema.node, value)) {
      Tree changed = value;
      change.apply(changed);
      reasons.insert(change.why);
      if (!change.certain) continue;
      EXPECT_FALSE(fits_schema(schema.node, changed)) << change.why;
      EXPECT_FALSE(is_read<Everything>(changed)) << change.why << "\n" << changed.json();
    }
  }
  for (const char* reason : {"name is missing",
                             "name: shorter than 3",
                             "name: longer than 7",
                             "name: null",
                             "name: a number",
                             "step: below 10",
                             "step: above 40",
                             "step: no multiple of 5",
                             "step: not whole",
                             "more: below -3",
                             "small: above 255",
                             "colour: none of its values",
                             "parts: fewer than 1 items",
                             "parts: more than 3 items",
                             "parts.0.code: does not match ^[a-z]{2,4}-[0-9]+$",
                             "parts.0.share: below 0",
                             "parts.0.share: above 1",
                             "numbers: the same item twice",
                             "pair: fewer than 2 items",
                             "two: more than 2 items",
                             "id: no uuid",
                             "at: no date-time",
                             "shape: null"}) {
    EXPECT_TRUE(reasons.contains(reason)) << reason;
  }
}

TEST(Boundaries, FitAndAreRead) {
  Schema<Everything> schema;
  Random random(13);
  const Tree value = sample(schema.node, random, Letters::tame);
  const auto all = boundaries(schema.node, value);
  EXPECT_GT(all.size(), 20U);
  for (const Change& change : all) {
    Tree changed = value;
    change.apply(changed);
    std::string why;
    EXPECT_TRUE(is_read<Everything>(changed, &why)) << change.why << ": " << why;
  }
}

TEST(Boundaries, OfATextHaveWhatProgramsStumbleOn) {
  SchemaDocument document(R"({"type":"string","minLength":1,"maxLength":6})");
  std::string all;
  for (const Change& change : boundaries(document.schema(document.root()), Tree::of_text("ab"))) {
    EXPECT_LE(change.value.text.size(), 24U);
    all += change.value.text;
  }
  for (const char* text : {"'", "\"", "\\", "%", "<", "é", "🙂", "\n"})
    EXPECT_NE(all.find(text), std::string::npos) << text;
}

TEST(Simpler, StaysWithinTheSchema) {
  Schema<Everything> schema;
  Random random(17);
  const Tree value = sample(schema.node, random);
  for (const Change& change : simpler(schema.node, value, true)) {
    Tree changed = value;
    change.apply(changed);
    EXPECT_TRUE(fits_schema(schema.node, changed));
  }
}

TEST(CheckSchema, SaysWhereAndWhat) {
  Schema<Everything> schema;
  Random random(19);
  Tree value = sample(schema.node, random, Letters::tame);
  value.find("parts")->items[0].find("share")->text = "1.5";
  EXPECT_EQ(check_schema(schema.node, value), "parts.0.share: 1.5 is too large");
  value = sample(schema.node, random, Letters::tame);
  *value.find("name") = Tree::of_number("1");
  EXPECT_EQ(check_schema(schema.node, value), "name: 1 is a number");
}

TEST(CheckSchema, TellsAlternativesApartByTheirKind) {
  const SchemaDocument whole(
      R"({"anyOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"null"}]})");
  SchemaDocument document(
      R"({"anyOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"null"}]})");
  const SchemaNode& node = document.schema(document.root());
  EXPECT_TRUE(fits_schema(node, *parse_tree("null")));
  EXPECT_EQ(check_schema(node, *parse_tree("{\"a\":1}")), "a: 1 is a number");
}

TEST(Tree, WritesWhatItRead) {
  const std::string text = R"({"a":[1,-2.5e3,true,null,"\"x\" é\n"],"b":{"c":{}}})";
  EXPECT_EQ(parse_tree(text)->json(), R"({"a":[1,-2.5e3,true,null,"\"x\" é\n"],"b":{"c":{}}})");
  EXPECT_FALSE(parse_tree("{\"a\":1,}"));
  EXPECT_FALSE(parse_tree(std::string(100, '[')));
}

}  // namespace
}  // namespace ashlar::schema
