#include <gtest/gtest.h>

#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/schema/detail/regex.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar::schema {
namespace {

bool matches(std::string_view expression, std::string_view text) { return detail::Regex(expression).found_in(text); }

TEST(Pattern, FindsLikeEcmaScript) {
  EXPECT_TRUE(matches("b+", "abbc"));
  EXPECT_FALSE(matches("^b+$", "abbc"));
  EXPECT_TRUE(matches("^[a-z0-9]+(?:-[a-z0-9]+)*$", "a-slug-2"));
  EXPECT_FALSE(matches("^[a-z0-9]+(?:-[a-z0-9]+)*$", "a--slug"));
  EXPECT_TRUE(matches("^(red|green|)$", ""));
  EXPECT_TRUE(matches("^(red|green)$", "green"));
  EXPECT_TRUE(matches("^\\d{2,3}$", "123"));
  EXPECT_FALSE(matches("^\\d{2,3}$", "1234"));
  EXPECT_TRUE(matches("^\\w+\\s\\W$", "ab_1 !"));
  EXPECT_TRUE(matches("^[^\\d]+$", "abc"));
  EXPECT_FALSE(matches("^[^\\d]+$", "ab1"));
  EXPECT_TRUE(matches("^.{3}$", "aü中"));
  EXPECT_FALSE(matches("^.$", "\n"));
  EXPECT_TRUE(matches("^[ä-ü]$", "ö"));
  EXPECT_TRUE(matches("^\\u0041\\x42\\u{43}$", "ABC"));
  EXPECT_TRUE(matches("\\bcat\\b", "a cat!"));
  EXPECT_FALSE(matches("\\bcat\\b", "concat"));
  EXPECT_TRUE(matches("^[\\]\\-a]+$", "a-]"));
  EXPECT_TRUE(matches("^a??b*?$", "abb"));
  EXPECT_TRUE(matches("x*", ""));
  EXPECT_TRUE(matches("a$|^b", "ca"));
}

TEST(Pattern, TakesLinearTime) {
  EXPECT_FALSE(matches("^(a+)+$", std::string(20'000, 'a') + "b"));
  EXPECT_FALSE(matches("^(a|aa)+$", std::string(20'000, 'a') + "b"));
  EXPECT_FALSE(matches("(x+x+)+y", std::string(5'000, 'x')));
}

TEST(Pattern, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"(", ")", "[a", "a{2", "a{3,2}", "*a", "a**", "(?=a)", "(?<n>a)", "\\1", "\\q", "[z-a]", "\\",
                          "a{99999}", "((a{1000}){1000}){1000}", "^*"}) {
    EXPECT_THROW(detail::Regex{bad}, Internal) << bad;
  }
  EXPECT_THROW(detail::Regex{std::string(1000, '(')}, Internal);
}

struct BadPattern {
  std::vector<Annotated<std::string, pattern{"(unclosed"}>> list;
};
struct SameName {
  int a;
  Annotated<int, alias{"a"}> b;
};
struct Fine {
  std::vector<Fine> children;
  Annotated<std::string, pattern{"^a$"}> text;
};
TEST(Prepare, RefusesTypesThatCannotWork) {
  EXPECT_THROW(prepare<BadPattern>(), Internal);
  EXPECT_THROW(prepare<SameName>(), Internal);
  EXPECT_NO_THROW(prepare<Fine>());
}

struct Odd {
  std::string text;
  static std::optional<Odd> parse(std::string_view text) { return Odd{std::string(text)}; }
  std::string to_string() const { return text; }
};
TEST(Values, OfTheProgramAreEscaped) {
  EXPECT_EQ(to_json(std::vector<Odd>{{"a\"b"}, {"plain"}, {"\xFF"}}), "[\"a\\\"b\",\"plain\",\"\xEF\xBF\xBD\"]");
}

TEST(Annotated, StandsWhereItsTypeStands) {
  Annotated<int, ge{1}> number = 5;
  number += 2;
  const int plain = number;
  EXPECT_EQ(plain + number, 14);
  Annotated<std::string, min_length{1}> text = "abc";
  text += "d";
  EXPECT_EQ(text.size(), 4U);
  const std::string& reference = text;
  EXPECT_EQ(reference, "abcd");
  EXPECT_EQ(unannotated(number), 7);
  EXPECT_EQ(&unannotated(text), &reference);
  static_assert(std::is_same_v<unannotated_t<Annotated<Annotated<int, ge{1}>, le{2}>>, int>);
}

}  // namespace
}  // namespace ashlar::schema
