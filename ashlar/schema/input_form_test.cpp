#include <ashlar/schema/input_form.hpp>

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <ashlar/schema/schema.hpp>

namespace ashlar::schema {
namespace {

struct Inner {
  Annotated<int, read_only{}> id = {};
  std::string name;
};
struct Outer {
  Annotated<Inner, read_only{}> made;
  Inner one;
  std::optional<Inner> maybe;
  std::vector<Inner> list;
  std::map<std::string, Inner> map;
  std::tuple<int, Inner> pair;
  static constexpr SchemaOptions schema{.naming = Naming::pascal_case};
};

TEST(InputForm, HasNothingThatOnlyTheServiceSets) {
  const Inner inner{.id = 7, .name = "a"};
  const Outer outer{inner, inner, inner, {inner}, {{"k", inner}}, {1, inner}};
  EXPECT_EQ(
      input_form(to_json(outer), type_info<Outer>()),
      R"({"One":{"name":"a"},"Maybe":{"name":"a"},"List":[{"name":"a"}],"Map":{"k":{"name":"a"}},"Pair":[1,{"name":"a"}]})");
}

TEST(InputForm, LeavesWhatItDoesNotKnow) {
  EXPECT_EQ(input_form(R"({"more":[1,null,"x"],"One":7})", type_info<Outer>()), R"({"more":[1,null,"x"],"One":7})");
  EXPECT_EQ(input_form("null", type_info<Outer>()), "null");
  EXPECT_EQ(input_form("no json", type_info<Outer>()), "no json");
}

}  // namespace
}  // namespace ashlar::schema
