#include <ashlar/testing/statements.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/database.hpp>

namespace ashlar::testing {
namespace {

using namespace std::chrono_literals;

inline const pg::Query<std::int64_t()> kIds{"select generate_series(1, 3)::bigint", {.name = "ids"}};
inline const pg::Query<std::int64_t(std::int64_t)> kSquare{"select $1::bigint * $1::bigint", {.name = "square"}};
inline const pg::Query<std::int64_t()> kUnnamed{"select 7::bigint"};

class StatementsOf : public ::testing::Test {
 protected:
  StatementsOf() {
    app_.provide(db_);
    app_.get<"/squares">([](pg::Db& db) -> Task<std::vector<std::int64_t>> {
      std::vector<std::int64_t> out;
      for (const std::int64_t id : co_await db.all(kIds)) out.push_back(co_await db.one(kSquare, id));
      co_return out;
    });
    app_.post<"/both">([](pg::Db& db) -> Task<void> {
      co_await db.transaction([](pg::Tx& tx) -> Task<void> { static_cast<void>(co_await tx.one(kUnnamed)); });
    });
    client_.emplace(app_);
  }

  Database database_;
  pg::Db db_{{.url = database_.url(), .check_queries = false}};
  App app_;
  std::optional<Client> client_;
};

TEST_F(StatementsOf, ARequestShowAQueryForEachRowOfAnother) {
  const Statements statements;
  EXPECT_EQ(client_->get("/squares").send().body, "[1,4,9]");
  EXPECT_EQ(statements.count(), 4U);
  EXPECT_EQ(
      statements.text(),
      "-- ids, 1 time\nselect generate_series(1, 3)::bigint\n\n-- square, 3 times\nselect $1::bigint * $1::bigint\n");
}

TEST_F(StatementsOf, ATransactionAreTheSameInEveryRun) {
  Statements statements;
  const std::string expected = "-- 1 time\nbegin\n\n-- 1 time\nselect 7::bigint\n\n-- 1 time\ncommit\n";
  client_->post("/both").send();
  EXPECT_EQ(statements.text(), expected);
  statements.clear();
  EXPECT_EQ(statements.text(), "");
  // The request has a deadline, and so has the transaction.
  client_->post("/both").header("X-Request-Timeout-Ms", "20000").send();
  EXPECT_EQ(statements.text(), expected);
}

TEST_F(StatementsOf, ATestAreNotedUntilItsEnd) {
  {
    const Statements statements;
    EXPECT_THROW(Statements(), Invalid);
  }
  static_cast<void>(client_->get("/squares").send());
  const Statements statements;
  EXPECT_EQ(statements.count(), 0U);
}

}  // namespace
}  // namespace ashlar::testing
