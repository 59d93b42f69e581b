#include <ashlar/pg/sql.hpp>

#include <gtest/gtest.h>

#include <string_view>

#include <ashlar/pg/query.hpp>

namespace ashlar::pg {
namespace {

constexpr FixedString kColumns{" id, name "};
static_assert(std::string_view(sql<"select", kColumns, "from t">) == "select id, name from t");
static_assert(sizeof(sql<"a", "b">) == 3, "as a literal: with the zero at its end");

struct Row {
  std::int64_t id;
  std::string name;
};
const Query<Row(std::int64_t)> kById{sql<"select", kColumns, "from t where id = $1">, {.name = "by_id"}};

TEST(Sql, JoinsConstantsIntoTheTextOfAQuery) { EXPECT_EQ(kById.sql(), "select id, name from t where id = $1"); }

}  // namespace
}  // namespace ashlar::pg
