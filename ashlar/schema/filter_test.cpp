#include <ashlar/schema/filter.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <ashlar/base/decimal.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/schema/json_schema.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::schema {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class State { draft, sold };

struct Products {
  FilterBy<std::string> name;
  Annotated<FilterBy<Decimal, FilterOp::gte, FilterOp::lte>, description{"The net price"}> price;
  FilterBy<State> state;
  FilterBy<std::optional<DateTime>> sold_at;
  SortBy<"name", "price", "sold_at"> sort = "-sold_at,name";
  Annotated<int, ge{1}, le{100}> limit = 20;
  static constexpr SchemaOptions schema{.naming = Naming::camel_case};
};

Products read(std::vector<Pair> pairs, Errors& errors) {
  Products value{};
  read_pairs(list_type<Products>(), pairs, &value, errors, {"query", {}});
  return value;
}
Products read(std::vector<Pair> pairs) {
  Errors errors;
  Products value = read(std::move(pairs), errors);
  EXPECT_TRUE(errors.empty()) << errors.items().front().msg;
  return value;
}
std::string outline(std::vector<Pair> pairs) {
  Errors errors;
  (void)read(std::move(pairs), errors);
  std::string out;
  for (const ErrorItem& e : errors.items()) out += (out.empty() ? "" : " ") + e.type + "@" + loc_text(e.loc);
  return out;
}

TEST(FilterBy, ReadsAComparisonOfAField) {
  const Products got = read({{"name", "ash"}, {"name__contains", "s"}, {"price__gte", "1.50"}, {"limit", "5"}});
  EXPECT_EQ(got.name.eq, "ash");
  EXPECT_EQ(got.name.contains, "s");
  ASSERT_TRUE(got.price.gte);
  EXPECT_EQ(got.price.gte->to_string(), "1.50");
  EXPECT_FALSE(got.price.lte);
  EXPECT_EQ(got.limit, 5);
}

TEST(FilterBy, TakesAChoiceOnceForEachValue) {
  const Products got = read({{"state__in", "draft"}, {"state__in", "sold"}});
  EXPECT_THAT(got.state.in, ElementsAre(State::draft, State::sold));
}

TEST(FilterBy, NamesFollowThePolicyOfTheStruct) {
  const Products got = read({{"soldAt__null", "true"}, {"soldAt__gt", "2026-01-01T00:00:00Z"}});
  EXPECT_EQ(got.sold_at.null, true);
  EXPECT_TRUE(got.sold_at.gt);
}

TEST(FilterBy, WithoutAnyParameterAsksNothing) {
  const Products got = read({});
  EXPECT_FALSE(got.name.eq || got.name.contains || got.price.gte || got.sold_at.null);
  EXPECT_TRUE(got.state.in.empty());
  EXPECT_EQ(got.limit, 20);
}

TEST(FilterBy, RefusesFieldsAndComparisonsThatTheStructHasNot) {
  EXPECT_EQ(outline({{"colour", "red"}}), "extra_forbidden@query.colour");
  EXPECT_EQ(outline({{"price", "5"}}), "extra_forbidden@query.price");
  EXPECT_EQ(outline({{"price__gt", "5"}}), "extra_forbidden@query.price__gt");
  EXPECT_EQ(outline({{"state__contains", "d"}}), "extra_forbidden@query.state__contains");
  EXPECT_EQ(outline({{"name__null", "true"}}), "extra_forbidden@query.name__null");
}

TEST(FilterBy, SaysEverythingThatIsWrongAtOnce) {
  EXPECT_EQ(outline({{"price__gte", "cheap"}, {"state", "lost"}, {"state__in", "lost"}, {"limit", "0"}, {"a", "b"}}),
            "decimal_parsing@query.price__gte enum@query.state enum@query.state__in[0] "
            "greater_than_equal@query.limit extra_forbidden@query.a");
  EXPECT_EQ(outline({{"name__contains", ""}}), "string_too_short@query.name__contains");
}

TEST(FilterBy, BoundsTheNumberOfChoices) {
  std::vector<Pair> pairs(101, Pair{"name__in", "x"});
  EXPECT_EQ(outline(pairs), "too_long@query.name__in");
  pairs.pop_back();
  EXPECT_EQ(outline(pairs), "");
}

TEST(SortBy, ReadsFieldsWithTheirDirection) {
  EXPECT_EQ(read({}).sort.to_string(), "-sold_at,name");
  const Products got = read({{"sort", "price, -name"}});
  EXPECT_THAT(got.sort.keys(), ElementsAre(SortKey{1, false}, SortKey{0, true}));
}

TEST(SortBy, AFieldThatComesAgainIsLeftOut) {
  EXPECT_EQ(read({{"sort", "name,-name,price"}}).sort.to_string(), "name,price");
}

TEST(SortBy, RefusesAnyOtherField) {
  for (const char* bad : {"colour", "", "name,", "--name", "name;drop table products", "Name"})
    EXPECT_EQ(outline({{"sort", bad}}), "value_error@query.sort") << bad;
  Errors errors;
  (void)read({{"sort", "colour"}}, errors);
  EXPECT_EQ(errors.items()[0].msg,
            "Value error, fields are 'name', 'price' and 'sold_at', with '-' before one for descending order and ',' "
            "between two");
}

TEST(ListType, DescribesEveryParameter) {
  SchemaSet set;
  std::vector<std::string> names;
  const auto parameters = set.parameters(list_type<Products>());
  for (const auto& p : parameters) {
    names.push_back(p.name);
    EXPECT_FALSE(p.required) << p.name;
  }
  EXPECT_THAT(names,
              ElementsAre("name", "name__ne", "name__in", "name__contains", "name__starts_with", "price__gte",
                          "price__lte", "state", "state__ne", "state__in", "soldAt", "soldAt__ne", "soldAt__lt",
                          "soldAt__lte", "soldAt__gt", "soldAt__gte", "soldAt__in", "soldAt__null", "sort", "limit"));
  const auto of = [&](std::string_view name) {
    return *std::ranges::find(parameters, name, &SchemaSet::Property::name);
  };
  EXPECT_EQ(of("price__gte").description, "The net price. Only where `price` is this or more");
  EXPECT_THAT(of("sort").schema, HasSubstr(R"("pattern":"^-?(name|price|sold_at)(,-?(name|price|sold_at))*$")"));
  EXPECT_THAT(of("sort").schema, HasSubstr(R"("default":"-sold_at,name")"));
  EXPECT_THAT(of("limit").schema, HasSubstr(R"("default":20)"));
  EXPECT_THAT(of("name__in").schema, HasSubstr(R"("maxItems":100)"));
}

struct Twice {
  FilterBy<int> a;
  std::optional<int> a__lt;  // NOLINT(bugprone-reserved-identifier): what a reader would not see
};
TEST(ListType, ToldApartByTheirNames) { EXPECT_THROW(list_type<Twice>(), Internal); }

}  // namespace
}  // namespace ashlar::schema
