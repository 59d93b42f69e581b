// What a struct may say of its members: other names, the rest, strictness, changes, rules of its own, a base.
#include <ashlar/schema/json_schema.hpp>
#include <ashlar/schema/schema.hpp>
#include <ashlar/schema/settings.hpp>

#include <gtest/gtest.h>

#include <ashlar/base/decimal.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/base/uuid.hpp>

#include <map>
#include <vector>

namespace ashlar::schema {
namespace {

std::string outline(const std::vector<ErrorItem>& errors) {
  std::string out;
  for (const ErrorItem& e : errors) out += (out.empty() ? "" : " ") + e.type + "@" + loc_text(e.loc);
  return out;
}
template <class T>
std::vector<ErrorItem> errors_of(std::string_view json) {
  T value{};
  Errors errors;
  parse_json(json, value, errors, {"body"});
  return errors.take();
}
template <class T>
std::string outline(std::string_view json) {
  return outline(errors_of<T>(json));
}

struct Open {
  int id = 0;
  Annotated<std::map<std::string, Json>, rest{}, max_items{2}> more;
  std::string name;
};
struct Labels {
  std::string name;
  Annotated<std::map<std::string, int>, rest{}> counts;
  static constexpr SchemaOptions schema{.extra = Extra::forbid};
};

TEST(Rest, KeepsUnknownMembersAndWritesThemBack) {
  const auto open = parse_json<Open>(R"({"b":[1,{"c":null}],"name":"n","a":"x"})");
  EXPECT_EQ(open.more.size(), 2U);
  EXPECT_EQ(open.more.at("b").text(), R"([1,{"c":null}])");
  EXPECT_EQ(to_json(open), R"({"id":0,"name":"n","a":"x","b":[1,{"c":null}]})");
  EXPECT_EQ(to_json(parse_json<Open>(to_json(open))), to_json(open));
}

TEST(Rest, IsCheckedLikeAnyMap) {
  EXPECT_EQ(outline<Open>(R"({"name":"n","a":1,"b":2,"c":3})"), "too_long@body");
  EXPECT_EQ(outline<Labels>(R"({"name":"n","a":1,"b":"x"})"), "int_parsing@body.b");
  EXPECT_EQ(outline<Labels>(R"({"name":"n","a":1,"a":2})"), "json_invalid@body");
}

TEST(Rest, IsNoMemberOfItsOwnName) {
  EXPECT_EQ(parse_json<Labels>(R"({"name":"n","counts":5})").counts.at("counts"), 5);
}

TEST(Rest, NeverWritesAMemberTwice) {
  Labels labels{.name = "n", .counts = {}};
  labels.counts.emplace("name", 5);
  labels.counts.emplace("other", 6);
  EXPECT_EQ(to_json(labels), R"({"name":"n","other":6})");
}

TEST(Rest, TakesPairsOfUnknownNames) {
  const std::vector<Pair> pairs{{"name", "n"}, {"a", "1"}, {"b", "2"}, {"a", "3"}};
  const auto labels = parse_pairs<Labels>(pairs);
  EXPECT_EQ(labels.counts, (std::map<std::string, int>{{"a", 3}, {"b", 2}}));
  Labels into;
  Errors errors;
  EXPECT_FALSE(parse_pairs(std::vector<Pair>{{"name", "n"}, {"a", "x"}}, into, errors, {"query"}));
  EXPECT_EQ(outline(errors.items()), "int_parsing@query.a");
  EXPECT_EQ(parse_pairs<Open>(std::vector<Pair>{{"name", "n"}, {"q", "a\"b"}}).more.at("q").as_string(), "a\"b");
}

TEST(Rest, IsTheSchemaOfAdditionalProperties) {
  SchemaSet set;
  set.add<Labels>(Mode::input);
  EXPECT_EQ(Json(set.components()).find("Labels")->text(),
            R"({"type":"object","properties":{"name":{"type":"string"}},"required":["name"],)"
            R"("additionalProperties":{"type":"integer","format":"int32"}})");
}

struct TwoRests {
  Annotated<std::map<std::string, Json>, rest{}> a, b;
};
TEST(Rest, IsOne) { EXPECT_THROW(prepare<TwoRests>(), Internal); }

struct Moved {
  Annotated<std::string, also{"old_name", "older"}> name;
  int size = 0;
};
struct Clash {
  Annotated<std::string, also{"size"}> name;
  int size = 0;
};
TEST(Also, ReadsOtherNamesAndWritesTheOne) {
  EXPECT_EQ(to_json(parse_json<Moved>(R"({"older":"x","size":1})")), R"({"name":"x","size":1})");
  EXPECT_EQ(parse_json<Moved>(R"({"old_name":"x"})").name, "x");
  EXPECT_EQ(outline<Moved>(R"({"size":1})"), "missing@body.name");
  EXPECT_EQ(outline<Moved>(R"({"old_name":5})"), "string_type@body.name");
  EXPECT_EQ(outline<Moved>(R"({"old_name":"a","name":"b"})"), "json_invalid@body");
  EXPECT_EQ(parse_pairs<Moved>(std::vector<Pair>{{"old_name", "q"}}).name, "q");
  EXPECT_THROW(prepare<Clash>(), Internal);
}

struct Exact {
  Annotated<int, strict{}> count = 0;
  Annotated<bool, strict{}> flag = false;
  Annotated<double, strict{}> share = 0;
  Annotated<DateTime, strict{}> at = DateTime{1};
  int lax = 0;
};
TEST(Strict, IsOfOneMember) {
  EXPECT_EQ(outline<Exact>(R"({"count":"5","flag":1,"share":"1","at":0,"lax":"5"})"),
            "int_type@body.count bool_type@body.flag float_type@body.share datetime_type@body.at");
  EXPECT_EQ(outline<Exact>(R"({"count":5.0})"), "int_type@body.count");
  EXPECT_EQ(outline<Exact>(R"({"at":"1700000000"})"), "datetime_from_date_parsing@body.at");
  EXPECT_EQ(outline<Exact>(R"({"count":5,"flag":true,"share":1,"at":"2026-01-02T00:00:00Z"})"), "");
}

struct Iban {
  Annotated<std::string, transform{+[](std::string& s) { std::erase(s, ' '); }}, to_upper{}, min_length{4}> iban;
  Annotated<int, transform{+[](int& n) { n *= 2; }}, le{10}> doubled = 1;
};
TEST(Transform, ChangesTheValueBeforeItIsChecked) {
  EXPECT_EQ(parse_json<Iban>(R"({"iban":"de 89 37"})").iban, "DE8937");
  EXPECT_EQ(outline<Iban>(R"({"iban":"d e 8"})"), "string_too_short@body.iban");
  EXPECT_EQ(outline<Iban>(R"({"iban":"de89","doubled":6})"), "less_than_equal@body.doubled");
  EXPECT_EQ(parse_pairs<Iban>(std::vector<Pair>{{"iban", "a b c d"}, {"doubled", "5"}}).doubled, 10);
}

struct Line {
  int quantity = 0;
};
struct Order {
  std::vector<Line> order_lines;
  static constexpr SchemaOptions schema{.naming = Naming::camel_case};
  void validate(Violations& v) const {
    for (std::size_t i = 0; i < order_lines.size(); ++i) {
      if (order_lines[i].quantity > 3) {
        v.add(Violation{.message = "Only 3 are left",
                        .loc = {"order_lines", static_cast<std::int64_t>(i), "quantity"},
                        .type = "out_of_stock"});
      }
    }
    if (order_lines.empty()) v.add("order_lines", "are none");
  }
};
TEST(Violations, HaveATypeAndAPlaceOfTheirOwn) {
  const auto errors = errors_of<Order>(R"({"orderLines":[{"quantity":1},{"quantity":4}]})");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].type, "out_of_stock");
  EXPECT_EQ(errors[0].msg, "Only 3 are left");
  EXPECT_EQ(loc_text(errors[0].loc), "body.orderLines[1].quantity");
  const auto none = errors_of<Order>(R"({"orderLines":[]})");
  ASSERT_EQ(none.size(), 1U);
  EXPECT_EQ(none[0].msg, "Value error, are none");
  EXPECT_EQ(loc_text(none[0].loc), "body.orderLines");
}
TEST(Violations, OfPairsAndSettingsAreTheSame) {
  Order order;
  Errors errors;
  EXPECT_FALSE(parse_pairs(std::vector<Pair>{{"orderLines", R"({"quantity":9})"}}, order, errors, {"query"}));
  EXPECT_EQ(outline(errors.items()), "out_of_stock@query.orderLines[0].quantity");
  errors.clear();
  const SettingsSources sources{.environment = std::vector<Pair>{{"ORDER_LINES", R"([{"quantity":9}])"}}};
  EXPECT_FALSE(read_settings(type_info<Order>(), &order, sources, errors));
  EXPECT_EQ(outline(errors.items()), "out_of_stock@settings.orderLines[0].quantity");
}

struct Base {
  int id = 0;
  std::string name;
};
struct Derived : Base {
  double price = 0;
  static constexpr auto members = ashlar::inherited_members<Base, &Derived::price>;
};
struct Further : Derived {
  bool sold = false;
  static constexpr auto members = ashlar::inherited_members<Derived, &Further::sold>;
};
TEST(Inheritance, GivesTheMembersOfTheBaseFirst) {
  static_assert(kMemberCount<Further> == 4);
  const auto item = parse_json<Further>(R"({"id":1,"name":"n","price":2.5,"sold":true})");
  EXPECT_EQ(item.name, "n");
  EXPECT_EQ(item.price, 2.5);
  EXPECT_TRUE(item.sold);
  EXPECT_EQ(to_json(item), R"({"id":1,"name":"n","price":2.5,"sold":true})");
  EXPECT_EQ(outline<Further>(R"({"price":"x"})"), "float_parsing@body.price missing@body.name");
}

struct Checked {
  Annotated<std::array<int, 2>, check{+[](const std::array<int, 2>& a) { return a[0] < a[1]; }, "must rise"}> range{};
  Annotated<std::pair<int, int>, check{+[](const std::pair<int, int>& p) { return p.first != p.second; }, "are equal"}>
      pair{0, 1};
  Annotated<Json, check{+[](const Json& j) { return !j.is_null(); }, "must not be null"}> any = Json("1");
};
TEST(Check, IsOfAnyType) {
  EXPECT_EQ(outline<Checked>(R"({"range":[2,1],"pair":[1,1],"any":null})"),
            "value_error@body.range value_error@body.pair value_error@body.any");
  EXPECT_EQ(outline<Checked>(R"({"range":[1,2],"pair":[1,2],"any":{}})"), "");
}

struct BadDate {
  Annotated<Date, not_before{"yesterday"}> day;
};
TEST(NotBefore, IsCheckedWhenTheProgramStarts) { EXPECT_THROW(prepare<BadDate>(), Internal); }

struct Span {
  Annotated<Duration, gt{0}, le{60}> timeout = std::chrono::seconds(1);
  Annotated<DateTime, not_after{"2030-01-01T00:00:00Z"}> at = DateTime{1};
};
TEST(Times, AreReadFromNumbersToo) {
  EXPECT_EQ(parse_json<DateTime>("1700000000").to_string(), "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(parse_json<DateTime>("1700000000.5").to_string(), "2023-11-14T22:13:20.500Z");
  EXPECT_EQ(parse_json<DateTime>("1700000000123").to_string(), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(parse_json<Duration>("1.5"), Duration(1'500'000));
  EXPECT_EQ(parse_json<Date>("86400").to_string(), "1970-01-02");
  EXPECT_EQ(parse_json<Date>(R"("2026-01-02T00:00:00Z")").to_string(), "2026-01-02");
  EXPECT_EQ(parse_text<Duration>("30"), Duration(std::chrono::seconds(30)));
  EXPECT_EQ(outline<Span>(R"({"timeout":61,"at":"2031-01-01"})"),
            "less_than_equal@body.timeout less_than_equal@body.at");
  EXPECT_EQ(errors_of<Span>(R"({"timeout":0})")[0].msg, "Input should be greater than 0 seconds");
}

TEST(Variants, TakeTheFirstScalarThatReadsAText) {
  using Key = std::variant<int, Uuid, std::string>;
  EXPECT_EQ(parse_text<Key>("5").index(), 0U);
  EXPECT_EQ(parse_text<Key>("0192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f").index(), 1U);
  EXPECT_EQ(std::get<2>(parse_text<Key>("x")), "x");
  using Number = std::variant<int, bool>;
  Number number;
  Errors errors;
  EXPECT_FALSE(parse_text("maybe", number, errors, {"query", "n"}));
  EXPECT_EQ(outline(errors.items()), "int_parsing@query.n.int bool_parsing@query.n.bool");
  EXPECT_EQ((parse_text<std::variant<int, std::vector<int>>>("[1,2]").index()), 1U);
}

TEST(Null, IsAnAlternative) {
  using Maybe = std::variant<std::monostate, int>;
  EXPECT_EQ(parse_json<Maybe>("null").index(), 0U);
  EXPECT_EQ(parse_json<Maybe>("3").index(), 1U);
  EXPECT_EQ(to_json(Maybe{}), "null");
  SchemaSet set;
  EXPECT_EQ(set.schema<Maybe>(Mode::input), R"({"anyOf":[{"type":"null"},{"type":"integer","format":"int32"}]})");
}

struct UniqueTags {
  Annotated<std::vector<std::string>, unique_items{}> tag;
};
TEST(UniqueItems, HoldForQueriesToo) {
  UniqueTags tags;
  Errors errors;
  EXPECT_FALSE(parse_pairs(std::vector<Pair>{{"tag", "a"}, {"tag", "a"}}, tags, errors, {"query"}));
  EXPECT_EQ(outline(errors.items()), "unique_items@query.tag");
}

struct Token {
  Secret<Uuid> id;
};
TEST(Errors, SayNothingOfASecret) {
  const auto errors = errors_of<Token>(R"({"id":"q192d4e0-7b5a-7c3d-8e4f-1a2b3c4d5e6f"})");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].msg, "Input should be a valid UUID");
  EXPECT_EQ(errors[0].ctx, "");
  EXPECT_EQ(errors[0].input, "");
  Token token;
  Errors more;
  EXPECT_FALSE(parse_pairs(std::vector<Pair>{{"id", "hunter2"}}, token, more, {"query"}));
  EXPECT_EQ(more.items().at(0).msg, "Input should be a valid UUID");
}

TEST(Errors, NameTheLimitsOfTheirMessages) {
  using Code = Annotated<std::string, pattern{"^\"\\d$"}>;
  EXPECT_EQ(errors_of<Code>(R"("x")")[0].ctx, R"({"pattern":"^\"\\d$"})");
  using Pet = Annotated<std::variant<Labels>, discriminator{"kind"}>;
  EXPECT_EQ(errors_of<Pet>(R"({"kind":"a\"b"})")[0].ctx,
            R"({"discriminator":"'kind'","tag":"a\"b","expected_tags":"'Labels'"})");
}

TEST(JsonSchema, DescribesTheNewRules) {
  SchemaSet set;
  EXPECT_EQ((set.schema<Annotated<std::string, example{"a", "b"}>>(Mode::input)),
            R"({"type":"string","examples":["a","b"]})");
  EXPECT_EQ((set.schema<Annotated<Url, schemes{"http", "https"}, max_length{80}>>(Mode::input)),
            R"({"type":"string","format":"uri","maxLength":80,"pattern":"^(http|https)://"})");
}

}  // namespace
}  // namespace ashlar::schema
