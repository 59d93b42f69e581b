#include <ashlar/schema/json.hpp>
#include <ashlar/schema/text_io.hpp>

#include <gtest/gtest.h>

#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>

#include <set>
#include <vector>

namespace ashlar::schema {
namespace {

enum class Sort { newest, oldest };

struct Filter {
  Annotated<int, ge{1}, le{100}> limit = 20;
  Annotated<int, ge{0}> offset = 0;
  std::vector<std::string> tag;
  std::set<int> ids;
  std::optional<Sort> sort;
  std::optional<int> year;
  std::optional<std::string> text;
  bool drafts = false;
};

template <class T>
std::string outline(std::vector<Pair> pairs) {
  T value{};
  Errors errors;
  parse_pairs(pairs, value, errors, {"query"});
  std::string out;
  for (const ErrorItem& e : errors.items()) {
    if (!out.empty()) out += ' ';
    out += e.type + "@" + loc_text(e.loc);
  }
  return out;
}

TEST(Text, ReadsOneValue) {
  EXPECT_EQ(parse_text<int>("42"), 42);
  EXPECT_EQ(parse_text<int>(" +42 "), 42);
  EXPECT_EQ(parse_text<int>("007"), 7);
  EXPECT_EQ(parse_text<double>("1e3"), 1000.0);
  EXPECT_EQ(parse_text<bool>("On"), true);
  EXPECT_EQ(parse_text<std::string>("42"), "42");
  EXPECT_EQ(parse_text<Sort>("oldest"), Sort::oldest);
  EXPECT_EQ(parse_text<std::optional<int>>(""), std::nullopt);
  EXPECT_EQ(parse_text<DateTime>("2026-01-02").to_string(), "2026-01-02T00:00:00.000Z");
  EXPECT_EQ(parse_text<std::vector<int>>("5"), std::vector<int>{5});
  EXPECT_EQ(to_text(Sort::newest), "newest");
  EXPECT_EQ(to_text(42), "42");
}

TEST(Text, SaysWhereAndWhat) {
  Errors errors;
  int value = 0;
  EXPECT_FALSE(parse_text("abc", value, errors, {"path", "id"}));
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors.items()[0].type, "int_parsing");
  EXPECT_EQ(errors.items()[0].msg, "Input should be a valid integer, unable to parse string as an integer");
  EXPECT_EQ(loc_text(errors.items()[0].loc), "path.id");
  EXPECT_EQ(errors.items()[0].input, "\"abc\"");
}

TEST(Text, RefusesWhatIsNoValue) {
  for (const char* bad : {"", "abc", "1.5", "1 2", "0x1", "--1", "1e400", "99999999999999999999"}) {
    Errors errors;
    std::int64_t value = 0;
    EXPECT_FALSE(parse_text(bad, value, errors)) << bad;
  }
  EXPECT_THROW((void)parse_text<bool>("perhaps"), ValidationError);
  EXPECT_THROW((void)parse_text<std::string>("\xFF"), ValidationError);
  EXPECT_THROW((void)parse_text<double>("nan"), ValidationError);
  EXPECT_THROW((void)parse_text<double>(""), ValidationError);
}

TEST(Pairs, FillAStruct) {
  const std::vector<Pair> pairs{{"limit", "5"},     {"tag", "a"}, {"tag", "b"}, {"ids", "3"},    {"ids", "1"},
                                {"sort", "oldest"}, {"year", ""}, {"text", ""}, {"drafts", "1"}, {"x", "y"}};
  const auto filter = parse_pairs<Filter>(pairs);
  EXPECT_EQ(filter.limit, 5);
  EXPECT_EQ(filter.offset, 0);
  EXPECT_EQ(filter.tag, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(filter.ids, (std::set<int>{1, 3}));
  EXPECT_EQ(filter.sort, Sort::oldest);
  EXPECT_EQ(filter.year, std::nullopt);
  EXPECT_EQ(filter.text, "");
  EXPECT_TRUE(filter.drafts);
}

struct Login {
  std::string user;
  Secret<> password;
  static constexpr SchemaOptions schema{.extra = Extra::forbid};
};

TEST(Pairs, ReportEveryError) {
  EXPECT_EQ(outline<Filter>({{"limit", "0"}, {"offset", "x"}, {"ids", "1"}, {"ids", "z"}, {"sort", "up"}}),
            "greater_than_equal@query.limit int_parsing@query.offset int_parsing@query.ids[1] enum@query.sort");
  EXPECT_EQ(outline<Login>({{"user", "u"}, {"pass", "p"}}), "missing@query.password extra_forbidden@query.pass");
}

TEST(Pairs, AreWrittenAsTheyAreRead) {
  Filter filter;
  filter.limit = 5;
  filter.tag = {"a b", "c&d"};
  filter.ids = {3, 1};
  filter.sort = Sort::oldest;
  const auto written = to_pairs(filter);
  EXPECT_EQ(written, (std::vector<std::pair<std::string, std::string>>{{"limit", "5"},
                                                                       {"offset", "0"},
                                                                       {"tag", "a b"},
                                                                       {"tag", "c&d"},
                                                                       {"ids", "1"},
                                                                       {"ids", "3"},
                                                                       {"sort", "oldest"},
                                                                       {"drafts", "false"}}));
  std::vector<Pair> pairs;
  for (const auto& [name, value] : written) pairs.push_back({name, value});
  EXPECT_EQ(to_json(parse_pairs<Filter>(pairs)), to_json(filter));
}

TEST(Pairs, NeverEchoSecrets) {
  Login login;
  Errors errors;
  parse_pairs(std::vector<Pair>{{"password", "\xFF"}, {"pasword", "hunter2"}}, login, errors);
  for (const ErrorItem& e : errors.items()) EXPECT_EQ(e.input, "");
}

}  // namespace
}  // namespace ashlar::schema
