#include <ashlar/schema/schema.hpp>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <variant>
#include <vector>

#include <ashlar/schema/json_test.hpp>

namespace ashlar::schema {
namespace {

using namespace test;

struct ArticlePatch {
  Patch<std::string> title;
  Patch<Annotated<std::string, min_length{1}>> body;
  Patch<int> views;
};
struct StrictPatch {
  Annotated<Patch<std::string>, not_null{}, min_length{1}> title;
  Annotated<Patch<std::vector<Annotated<std::string, max_length{3}>>>, not_null{}> tags;
  Annotated<std::optional<int>, not_null{}> views;
};
TEST(Json, NotNullRefusesNullButNotAbsence) {
  EXPECT_TRUE(parse_json<StrictPatch>("{}").tags.is_absent());
  EXPECT_EQ(parse_json<StrictPatch>(R"({"tags":[]})").tags->size(), 0U);
  EXPECT_EQ(outline<StrictPatch>(R"({"title":null,"tags":null,"views":null})"),
            "string_type@title list_type@tags int_type@views");
  EXPECT_EQ(errors_of<StrictPatch>(R"({"title":null})", {"body"}).at(0).input, "null");
  EXPECT_EQ(outline<StrictPatch>(R"({"title":"","tags":["long"]})"), "string_too_short@title string_too_long@tags[0]");
}

TEST(Json, PatchesKnowAbsentFromNull) {
  const auto patch = parse_json<ArticlePatch>(R"({"title":null,"body":"x"})");
  EXPECT_TRUE(patch.title.is_null());
  EXPECT_EQ(*patch.body, "x");
  EXPECT_TRUE(patch.views.is_absent());
  EXPECT_EQ(to_json(patch), R"({"title":null,"body":"x"})");
  EXPECT_EQ(outline<ArticlePatch>(R"({"body":""})"), "string_too_short@body");
}

struct Cat {
  Literal<"cat"> kind;
  int lives = 9;
};
struct Dog {
  Literal<"dog"> kind;
  std::string name;
};
struct Bird {
  double span = 0;
  static constexpr SchemaOptions schema{.extra = Extra::forbid, .tag = "bird"};
};
struct Owner {
  Annotated<std::variant<Cat, Dog, Bird>, discriminator{"kind"}> pet;
};
TEST(Json, TaggedVariantsGoByTheirTag) {
  EXPECT_EQ(round_trip<Owner>(R"({"pet":{"name":"Rex","kind":"dog"}})"), R"({"pet":{"kind":"dog","name":"Rex"}})");
  EXPECT_EQ(round_trip<Owner>(R"({"pet":{"span":1.5,"kind":"bird"}})"), R"({"pet":{"kind":"bird","span":1.5}})");
  EXPECT_EQ(outline<Owner>(R"({"pet":{"kind":"dog"}})"), "missing@pet.dog.name");
  EXPECT_EQ(outline<Owner>(R"({"pet":{"kind":"fish"}})"), "union_tag_invalid@pet");
  EXPECT_EQ(outline<Owner>(R"({"pet":{}})"), "union_tag_not_found@pet");
  EXPECT_EQ(outline<Owner>(R"({"pet":3})"), "model_attributes_type@pet");
  EXPECT_EQ(errors_of<Owner>(R"({"pet":{"kind":"fish"}})")[0].msg,
            "Input tag 'fish' found using 'kind' does not match any of the expected tags: 'cat', 'dog', 'bird'");
}

struct Circle {
  double radius;
};
struct Box {
  double width, height;
};
TEST(Json, UntaggedVariantsMayBeAsManyAsTheDocumentHolds) {
  std::string json = "[0";
  for (int i = 1; i < 30'000; ++i) json += i % 2 == 0 ? ",1" : R"(,"a")";
  EXPECT_EQ((parse_json<std::vector<std::variant<int, std::string>>>(json + "]").size()), 30'000U);
}

TEST(Json, UntaggedVariantsTakeTheBestMatch) {
  using Shape = std::variant<Circle, Box, std::string, int>;
  EXPECT_EQ(parse_json<Shape>(R"({"width":1,"height":2})").index(), 1U);
  EXPECT_EQ(parse_json<Shape>(R"({"radius":1})").index(), 0U);
  EXPECT_EQ(parse_json<Shape>(R"("5")").index(), 2U);
  EXPECT_EQ(parse_json<Shape>("5").index(), 3U);
  EXPECT_EQ((parse_json<std::variant<int, bool>>(R"("5")").index()), 0U);
  EXPECT_EQ(outline<Shape>(R"({"width":1})"), "missing@Circle.radius missing@Box.height");
  EXPECT_EQ(to_json(Shape{Box{1, 2}}), R"({"width":1.0,"height":2.0})");
  EXPECT_EQ((outline<std::variant<int, bool>>("[]")), "int_type@int bool_type@bool");
}

struct Tree;
using Either = std::variant<std::vector<Tree>, std::map<std::string, Tree>>;
struct Tree {
  std::variant<int, std::vector<Tree>> left = 0;
  std::variant<std::vector<Tree>, std::map<std::string, Tree>> right;
};
TEST(Json, NestedUntaggedVariantsStayBounded) {
  std::string text = "1";
  for (int i = 0; i < 25; ++i) text = R"({"left":[)" + text + R"(]})";
  // Exponential if it were not for the limit.
  const auto errors = errors_of<Tree>(text);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].msg.find("too many alternatives tried"), std::string::npos) << errors[0].msg;
}

struct WithJson {
  Json any;
  std::string_view name = "n";
};
TEST(Json, AnyJsonIsKeptAsItIs) {
  const auto v = parse_json<WithJson>(R"({"any": {"a":[1, 2],"b":"x\n"} })");
  EXPECT_EQ(v.any.text(), R"({"a":[1, 2],"b":"x\n"})");
  EXPECT_EQ(v.any.find("a")->at(1)->as_integer(), 2);
  EXPECT_EQ(v.any.find("b")->as_string(), "x\n");
  EXPECT_FALSE(v.any.find("c"));
  EXPECT_EQ(v.any.keys(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(to_json(v), R"({"any":{"a":[1, 2],"b":"x\n"},"name":"n"})");
  EXPECT_THROW(Json("{"), Invalid);
  EXPECT_TRUE(Json().is_null());
}

struct OmitsNull {
  std::optional<int> a;
  std::optional<int> b = 1;
  static constexpr SchemaOptions schema{.omit_null = true};
};
TEST(Json, NullsAreLeftOutOnRequest) { EXPECT_EQ(to_json(OmitsNull{}), R"({"b":1})"); }

}  // namespace
}  // namespace ashlar::schema
