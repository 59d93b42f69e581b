#include <ashlar/pg/table.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/pg/values.hpp>
#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/rules.hpp>

namespace ashlar::pg {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

enum class State : std::uint8_t { open, closed };
struct Address {
  std::string street, city;
};

struct Shop {
  std::int64_t id;
  Annotated<std::string, max_length{80}> name;
  std::optional<std::string> note;
  std::int32_t version;
  std::optional<DateTime> deleted_at;
};
inline const Table<Shop, "shops", primary_key{"id"}, identity{"id"}, unique{"name"}, version{"version"},
                   soft_delete{"deleted_at"}, default_value{"version", "1"},
                   constraint{"shops_name", "check (name <> '')"}>
    shops;

struct Everything {
  bool a;
  std::int16_t b;
  std::uint16_t c;
  int d;
  std::uint32_t e;
  std::int64_t f;
  float g;
  double h;
  Bytes i;
  Uuid j;
  Decimal k;
  Date l;
  TimeOfDay m;
  DateTime n;
  LocalDateTime o;
  Duration p;
  IpAddress q;
  Secret<std::string> r;
  State s;
  Address t;
  std::vector<Address> u;
  std::vector<std::string> v;
  std::vector<std::optional<int>> w;
  Json x;
  std::map<std::string, int> y;
  Range<DateTime> z;
};
using EverythingTable = Table<Everything, "stock.everything">;

TEST(Table, TakesTheColumnsFromTheStruct) {
  std::vector<std::string> types;
  for (const TableColumn& column : EverythingTable::kColumns) types.push_back(column.sql_type());
  EXPECT_THAT(types,
              ElementsAre("boolean", "smallint", "integer", "integer", "bigint", "bigint", "real", "double precision",
                          "bytea", "uuid", "numeric", "date", "time", "timestamptz", "timestamp", "interval", "inet",
                          "text", "text", "jsonb", "jsonb", "text[]", "integer[]", "jsonb", "jsonb", "tstzrange"));
}

TEST(Table, KnowsWhatMayBeNullAndWhatIsGiven) {
  using Shops = decltype(shops);
  EXPECT_FALSE(Shops::kColumns[1].nullable);
  EXPECT_TRUE(Shops::kColumns[2].nullable);
  EXPECT_TRUE(Shops::kColumns[0].identity);
  EXPECT_EQ(Shops::kColumns[3].default_value, "1");
  EXPECT_THAT(Shops::kKey, ElementsAre(0));
  EXPECT_EQ(Shops::kVersion, 3);
  EXPECT_EQ(Shops::kSoftDelete, 4);
  EXPECT_FALSE(EverythingTable::kVersion);
  EXPECT_TRUE(EverythingTable::kKey.empty());
}

TEST(Table, KeepsItsRules) {
  std::vector<std::string_view> unique_columns;
  for (const TableRule& rule : shops.spec().rules) {
    if (rule.kind == TableRuleKind::unique) unique_columns = rule.columns();
  }
  EXPECT_THAT(unique_columns, ElementsAre("name"));
}

TEST(Table, IsInTheListOfTheProgramWhileItLives) {
  const auto names = [] {
    std::vector<std::string> out;
    TableDeclaration::for_each([&](const TableDeclaration& table) { out.emplace_back(table.spec().name); });
    return out;
  };
  EXPECT_THAT(names(), Contains("shops"));
  {
    const EverythingTable here;
    EXPECT_THAT(names(), Contains("stock.everything"));
    EXPECT_NE(std::string_view(here.file()).find("table_test.cpp"), std::string_view::npos);
  }
  EXPECT_THAT(names(), ::testing::Not(Contains("stock.everything")));
}

}  // namespace
}  // namespace ashlar::pg
