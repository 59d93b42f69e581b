#include <ashlar/schema/json_schema.hpp>

#include <gtest/gtest.h>

#include <ashlar/base/decimal.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/json.hpp>

#include <map>
#include <set>
#include <vector>

namespace ashlar::schema {

namespace blog {
struct Article {
  std::int64_t id;
  std::string title;
};
template <class T>
struct Page {
  std::vector<T> items;
  std::int32_t total;
};
}  // namespace blog
namespace shop {
struct Article {
  double price;
};
}  // namespace shop

namespace {

template <class T>
std::string of(Mode mode = Mode::input) {
  SchemaSet set;
  return set.schema<T>(mode);
}

TEST(JsonSchema, DescribesScalars) {
  EXPECT_EQ(of<bool>(), R"({"type":"boolean"})");
  EXPECT_EQ(of<int>(), R"({"type":"integer","format":"int32"})");
  EXPECT_EQ(of<std::uint64_t>(), R"({"type":"integer","format":"uint64","minimum":0})");
  EXPECT_EQ(of<double>(), R"({"type":"number","format":"double"})");
  EXPECT_EQ(of<std::string>(), R"({"type":"string"})");
  EXPECT_EQ(of<DateTime>(), R"({"type":"string","format":"date-time"})");
  EXPECT_EQ(of<Uuid>(), R"({"type":"string","format":"uuid"})");
  EXPECT_EQ(of<Decimal>(), R"({"type":"string","format":"decimal"})");
  EXPECT_EQ(of<Secret<>>(), R"({"type":"string","format":"password","writeOnly":true})");
  EXPECT_EQ(of<Json>(), "{}");
  EXPECT_EQ(of<Literal<"cat">>(), R"({"type":"string","const":"cat"})");
}

TEST(JsonSchema, DescribesContainers) {
  EXPECT_EQ(of<std::vector<int>>(), R"({"type":"array","items":{"type":"integer","format":"int32"}})");
  EXPECT_EQ(of<std::set<std::string>>(), R"({"type":"array","items":{"type":"string"},"uniqueItems":true})");
  EXPECT_EQ((of<std::map<std::string, bool>>()), R"({"type":"object","additionalProperties":{"type":"boolean"}})");
  EXPECT_EQ((of<std::array<bool, 2>>()), R"({"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":2})");
  EXPECT_EQ(
      (of<std::pair<bool, std::string>>()),
      R"({"type":"array","prefixItems":[{"type":"boolean"},{"type":"string"}],"items":{},"minItems":2,"maxItems":2})");
  EXPECT_EQ(of<std::optional<std::string>>(), R"({"type":["string","null"]})");
  EXPECT_EQ(of<std::optional<blog::Article>>(),
            R"({"anyOf":[{"$ref":"#/components/schemas/Article"},{"type":"null"}]})");
  EXPECT_EQ((of<std::variant<int, std::string>>()),
            R"({"anyOf":[{"type":"integer","format":"int32"},{"type":"string"}]})");
}

TEST(JsonSchema, DescribesConstraints) {
  EXPECT_EQ((of<Annotated<int, ge{1}, lt{10}, multiple_of{3}, description{"a \"number\""}, example{"3"}>>()),
            R"({"type":"integer","format":"int32","minimum":1,"exclusiveMaximum":10,"multipleOf":3,)"
            R"("description":"a \"number\"","examples":[3]})");
  EXPECT_EQ((of<Annotated<std::string, min_length{1}, max_length{5}, pattern{"^\\d+$"}, format{"x"}, deprecated{}>>()),
            R"({"type":"string","minLength":1,"maxLength":5,"pattern":"^\\d+$","format":"x","deprecated":true})");
  EXPECT_EQ((of<std::optional<Annotated<double, gt{0.5}>>>()),
            R"({"type":["number","null"],"format":"double","exclusiveMinimum":0.5})");
  EXPECT_EQ((of<Annotated<std::vector<bool>, min_items{1}, unique_items{}>>()),
            R"({"type":"array","items":{"type":"boolean"},"minItems":1,"uniqueItems":true})");
}

enum class State { draft, published };
struct Post {
  Annotated<std::string, min_length{1}> title;
  std::string body_text;
  std::vector<std::string> tags = {};
  State state = State::draft;
  std::optional<int> rank;
  Annotated<std::int64_t, read_only{}> id = 0;
  std::vector<Post> replies;
  static constexpr SchemaOptions schema{.naming = Naming::camel_case, .extra = Extra::forbid, .description = "A post"};
};

TEST(JsonSchema, StructsBecomeComponents) {
  SchemaSet set;
  EXPECT_EQ(set.schema<Post>(Mode::input), R"({"$ref":"#/components/schemas/Post"})");
  EXPECT_EQ(set.components(),
            R"({"Post":{"description":"A post","type":"object","properties":{)"
            R"("title":{"type":"string","minLength":1},"bodyText":{"type":"string"},)"
            R"("tags":{"type":"array","items":{"type":"string"},"default":[]},)"
            R"("state":{"$ref":"#/components/schemas/State","default":"draft"},)"
            R"("rank":{"type":["integer","null"],"format":"int32"},)"
            R"("replies":{"type":"array","items":{"$ref":"#/components/schemas/Post"},"default":[]}},)"
            R"("required":["title","bodyText"],"additionalProperties":false},)"
            R"("State":{"type":"string","enum":["draft","published"]}})");
}

TEST(JsonSchema, InputAndOutputPartOnlyWhereTheyDiffer) {
  SchemaSet set;
  set.add<Post>(Mode::input);
  set.add<Post>(Mode::output);
  set.add<blog::Article>(Mode::input);
  set.add<blog::Article>(Mode::output);
  EXPECT_EQ(set.schema<Post>(Mode::input), R"({"$ref":"#/components/schemas/PostInput"})");
  EXPECT_EQ(set.schema<Post>(Mode::output), R"({"$ref":"#/components/schemas/Post"})");
  EXPECT_EQ(set.schema<blog::Article>(Mode::input), R"({"$ref":"#/components/schemas/Article"})");
  EXPECT_EQ(set.schema<blog::Article>(Mode::output), R"({"$ref":"#/components/schemas/Article"})");
  const auto components = Json(set.components());
  EXPECT_EQ(components.keys(), (std::vector<std::string>{"Article", "Post", "PostInput", "State"}));
  EXPECT_EQ(components.find("Post")->find("properties")->find("tags")->text(),
            R"({"type":"array","items":{"type":"string"}})");
  EXPECT_EQ(components.find("Post")->find("required")->text(),
            R"(["title","bodyText","tags","state","rank","id","replies"])");
  EXPECT_EQ(components.find("PostInput")->find("properties")->find("replies")->find("items")->text(),
            R"({"$ref":"#/components/schemas/PostInput"})");
}

TEST(JsonSchema, NamesAreCleanAndDistinct) {
  SchemaSet set;
  EXPECT_EQ(set.name_of(type_info<blog::Page<blog::Article>>(), Mode::output), "PageOfArticle");
  EXPECT_EQ(set.name_of(type_info<blog::Page<std::string>>(), Mode::output), "PageOfString");
  EXPECT_EQ(set.name_of(type_info<blog::Article>(), Mode::output), "Article");
  EXPECT_EQ(set.name_of(type_info<shop::Article>(), Mode::output), "ShopArticle");
}

struct Cat {
  Literal<"cat"> kind;
};
struct Bird {
  double span;
};
TEST(JsonSchema, TaggedVariantsHaveADiscriminator) {
  EXPECT_EQ((of<Annotated<std::variant<Cat, Bird>, discriminator{"kind"}>>()),
            R"({"oneOf":[{"$ref":"#/components/schemas/Cat"},{"allOf":[{"$ref":"#/components/schemas/Bird"},)"
            R"({"type":"object","properties":{"kind":{"const":"Bird"}},"required":["kind"]}]}],)"
            R"("discriminator":{"propertyName":"kind","mapping":{"cat":"#/components/schemas/Cat",)"
            R"("Bird":"#/components/schemas/Bird"}}})");
}

TEST(JsonSchema, StandsAlone) {
  EXPECT_EQ(json_schema<blog::Article>(),
            R"({"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/Article","$defs":{"Article":)"
            R"({"type":"object","properties":{"id":{"type":"integer","format":"int64"},"title":{"type":"string"}},)"
            R"("required":["id","title"]}}})");
}

struct Query {
  Annotated<int, ge{1}, description{"How many"}> limit = 20;
  std::string text;
};
TEST(JsonSchema, GivesPropertiesOneByOne) {
  SchemaSet set;
  const auto all = set.properties(type_info<Query>(), Mode::input);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "limit");
  EXPECT_EQ(all[0].description, "How many");
  EXPECT_FALSE(all[0].required);
  EXPECT_EQ(all[0].schema, R"({"type":"integer","format":"int32","minimum":1,"description":"How many","default":20})");
  EXPECT_TRUE(all[1].required);
}

struct Search {
  std::optional<std::string> tag;
  Annotated<std::optional<int>, ge{1}, example{"3"}, deprecated{}> page;
};
TEST(JsonSchema, ParametersAreNeverNull) {
  SchemaSet set;
  const auto all = set.parameters(type_info<Search>());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].schema, R"({"type":"string"})");
  EXPECT_FALSE(all[0].required);
  EXPECT_EQ(all[1].schema, R"({"type":"integer","format":"int32","minimum":1,"examples":[3],"deprecated":true})");
  EXPECT_EQ(all[1].example, "3");
  EXPECT_TRUE(all[1].deprecated);
  EXPECT_EQ(set.parameter(type_info<Annotated<std::string, example{"x"}>>()).example, R"("x")");
}

struct Change {
  Annotated<Patch<std::string>, not_null{}, min_length{1}> title;
  Annotated<Patch<std::vector<std::string>>, not_null{}> tags;
};
TEST(JsonSchema, NotNullHasNoNull) {
  SchemaSet set;
  const auto all = set.properties(type_info<Change>(), Mode::input);
  EXPECT_EQ(all.at(0).schema, R"({"type":"string","minLength":1})");
  EXPECT_FALSE(all.at(0).required);
  EXPECT_EQ(all.at(1).schema, R"({"type":"array","items":{"type":"string"}})");
}

struct Sparse {
  std::optional<std::string> note;
  static constexpr SchemaOptions schema{.omit_null = true};
};
TEST(JsonSchema, WhatIsLeftOutWhenNullIsNeverNull) {
  SchemaSet set;
  EXPECT_EQ(set.properties(type_info<Sparse>(), Mode::output).at(0).schema, R"({"type":"string"})");
  EXPECT_EQ(set.properties(type_info<Sparse>(), Mode::input).at(0).schema, R"({"type":["string","null"]})");
}

}  // namespace
}  // namespace ashlar::schema
