#include <ashlar/schema/mask.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/secret.hpp>
#include <ashlar/schema/json_tree.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar::schema {
namespace {

constexpr std::size_t kAll = 10'000;

bool is_secret(std::string_view name) { return name == "pin" || name == "password" || name == "apiToken"; }

std::string masked(std::string_view json, std::size_t most = kAll) {
  return mask_json(json, is_secret, most).value_or("no JSON");
}

TEST(JsonMask, HidesTheValuesOfSecretNamesAtAnyDepthWhateverTheyAre) {
  EXPECT_EQ(masked(R"( { "user" : "ada", "password": "x", "a": [ {"pin": 1234, "apiToken": {"deep": ["x"]}} ] } )"),
            R"({"user":"ada","password":"**********","a":[{"pin":"**********","apiToken":"**********"}]})");
  EXPECT_EQ(masked(R"({"pin":null,"pins":1})"), R"({"pin":"**********","pins":1})");
}

TEST(JsonMask, SeesThroughEscapesInNames) {
  EXPECT_EQ(masked("{\"p\\u0069n\": 1, \"pass\\u0077ord\": 2, \"p\\\\in\": 3}"),
            "{\"p\\u0069n\":\"**********\",\"pass\\u0077ord\":\"**********\",\"p\\\\in\":3}");
}

TEST(JsonMask, ShowsNothingOfWhatIsNoJson) {
  for (const char* text : {"", "{", R"({'password': 'x'})", R"({"password": "x")", R"({"a": 1} x)", R"({"a": "x})",
                           R"([1,])", "nul", "\xff\xfe"}) {
    EXPECT_EQ(masked(text), "no JSON") << text;
  }
  EXPECT_EQ(masked(std::string(100'000, '[')), "no JSON");
}

TEST(JsonMask, IsJsonAgainAsLongAsNothingIsCutOff) {
  const std::string json = R"({"a":[],"b":{},"c":[1,-2.5e3,"\u00e9\"\\",true,null],"pin":{"x":1}})";
  EXPECT_TRUE(parse_tree(masked(json)));
}

TEST(JsonMask, IsCutOffBetweenCharacters) {
  EXPECT_EQ(masked(R"({"name":"ada"})", 9), R"({"name":"…)");
  EXPECT_EQ(masked(R"(["ää"])", 3), R"(["…)");
  EXPECT_EQ(masked(R"(["ää"])", 4), R"(["ä…)");
  // A secret that begins before the cut does not show.
  EXPECT_EQ(masked(R"({"password":"hunter2"})", 15), R"({"password":"**…)");
}

TEST(FormMask, HidesTheValuesOfSecretNames) {
  EXPECT_EQ(mask_form("user=ada&password=x&pin=1&flag&%70in=2&p%zz=3&=4", is_secret, kAll),
            "user=ada&password=**********&pin=**********&flag&%70in=**********&p%zz=**********&=4");
  EXPECT_EQ(mask_form("", is_secret, kAll), "");
  EXPECT_EQ(mask_form("user=ada&more=1", is_secret, 8), "user=ada…");
}

struct Card {
  Secret<> number;
  std::string owner;
};
struct Order {
  std::optional<Card> card;
  std::vector<Card> more;
  Annotated<Secret<>, alias{"voucherCode"}, also{"voucher_id"}> voucher;
  std::map<std::string, Secret<>> keys;
  std::string note;
};

TEST(SecretNames, AreThoseOfAllMembersThatAreSecretsAtAnyDepth) {
  EXPECT_EQ(secret_names(type_info<Order>()),
            (std::set<std::string>{"keys", "number", "voucher", "voucherCode", "voucher_id"}));
  EXPECT_TRUE(secret_names(type_info<std::vector<int>>()).empty());
}

}  // namespace
}  // namespace ashlar::schema
