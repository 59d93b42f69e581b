#include <ashlar/pg/shards.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Order {
  std::int64_t tenant;
  std::int64_t id;
};

const ShardQuery<void(std::int64_t, std::int64_t)> add_order{"insert into shard_orders (tenant, id) values ($1, $2)"};
const ShardQuery<Order(std::int64_t, std::int64_t), 1> order_of{
    "select tenant, id from shard_orders where id = $1 and tenant = $2", {.name = "order_of"}};
const ShardQuery<std::int64_t(std::int64_t)> count_of{"select count(*) from shard_orders where tenant = $1"};
const EveryShardQuery<Order(std::int64_t)> newest_orders{
    "select tenant, id from shard_orders order by id desc limit $1"};
const EveryShardQuery<Order()> unordered_orders{"select tenant, id from shard_orders order by id"};
const EveryShardQuery<std::int64_t()> counts{"select count(*) from shard_orders"};
const EveryShardQuery<void(std::string)> add_country{
    "insert into shard_countries (name) values ($1) on conflict do nothing"};
const Query<std::string()> country{"select name from shard_countries"};
const Query<std::string()> database{"select current_database()::text"};

/// Databases with the tables, which are dropped at the end.
class ShardsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3; ++i) {
      databases_.push_back(std::make_unique<TestDatabase>(test::server(), "template1"));
      test::server()->run_sql(databases_.back()->name(),
                              "create table shard_orders (tenant bigint not null, id bigint not null);"
                              "create table shard_countries (name text primary key)");
    }
  }
  [[nodiscard]] ShardsOptions options(std::vector<std::size_t> which) const {
    ShardsOptions out;
    for (const std::size_t i : which) out.urls.push_back(databases_.at(i)->url());
    out.tables = {{"shard_orders", "tenant"}};
    out.reference_tables = {"shard_countries"};
    out.each.check_queries = false;
    return out;
  }
  template <class F>
  static void with(ShardsOptions options, F body) {
    async::run([](ShardsOptions given, F& function) -> Task<void> {
      Shards shards(std::move(given));
      std::exception_ptr error;
      try {
        co_await shards.start();
        co_await shards.start_loop(async::Loop::current());
        co_await function(shards);
      } catch (...) {
        error = std::current_exception();
      }
      co_await shards.stop_loop(async::Loop::current());
      co_await shards.stop();
      if (error) std::rethrow_exception(error);
    }(std::move(options), body));
  }
  /// What the start says to these.
  static std::string refusal(ShardsOptions options) {
    try {
      with(std::move(options), [](Shards&) -> Task<void> { co_return; });
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }
  static Task<void> fill(Shards& shards) {
    for (std::int64_t tenant = 1; tenant <= 20; ++tenant) {
      for (std::int64_t id = tenant; id <= 100; id += 20) co_await shards.exec(add_order, tenant, id);
    }
  }

  std::vector<std::unique_ptr<TestDatabase>> databases_;
};

TEST_F(ShardsTest, ThatAreThrownAwayLeaveTheirDatabasesAlone) {
  async::run([](ShardsOptions given) -> Task<void> {
    Shards shards(std::move(given));
    EXPECT_TRUE(shards.use_throwaway());
    co_await shards.start();
    co_await shards.start_loop(async::Loop::current());
    EXPECT_EQ(co_await shards.on(std::int64_t{1}).one(database), "ashlar");
    co_await shards.stop_loop(async::Loop::current());
    co_await shards.stop();
  }(options({0, 1})));
  for (const int i : {0, 1})
    EXPECT_EQ(test::server()->run_sql(databases_.at(static_cast<std::size_t>(i))->name(),
                                      "select count(*) from pg_class where relname = 'ashlar_shard'"),
              "0");
}

TEST_F(ShardsTest, AQueryGoesWhereItsKeyLies) {
  with(options({0, 1}), [&](Shards& shards) -> Task<void> {
    co_await fill(shards);
    for (std::int64_t tenant = 1; tenant <= 20; ++tenant) {
      EXPECT_EQ(co_await shards.one(count_of, tenant), 5);
      EXPECT_EQ((co_await shards.one(order_of, tenant + 20, tenant)).tenant, tenant)
          << "the key is the second argument";
      EXPECT_FALSE(co_await shards.maybe(order_of, 999, tenant));
    }
    const auto held = co_await shards.every(counts);
    EXPECT_EQ(held.at(0) + held.at(1), 100);
    EXPECT_GT(held.at(0), 0);
    EXPECT_GT(held.at(1), 0);
    EXPECT_EQ(co_await shards.on(std::int64_t{1}).one(database), databases_[shards.shard_of(shard_hash_of(1))]->name());
    EXPECT_EQ(co_await shards.unhealthy(), std::nullopt);
  });
}

TEST_F(ShardsTest, PostgresqlFindsTheSameBuckets) {
  with(options({0, 1}), [&](Shards& shards) -> Task<void> {
    co_await fill(shards);
    for (std::size_t shard = 0; shard < 2; ++shard) {
      EXPECT_EQ(test::server()->run_sql(databases_[shard]->name(),
                                        "select count(*) from shard_orders where (hashtextextended(tenant::text, 0) & "
                                        "4095) / 2048 <> " +
                                            std::to_string(shard)),
                "0");
    }
  });
}

TEST_F(ShardsTest, RowsOfAllShardsAreMergedInOrderUpToALimit) {
  with(options({0, 1, 2}), [&](Shards& shards) -> Task<void> {
    co_await fill(shards);
    std::vector<std::int64_t> ids;
    for (const Order& order : co_await shards.merged<std::greater<>>(7, &Order::id, newest_orders, 7))
      ids.push_back(order.id);
    EXPECT_THAT(ids, ElementsAre(100, 99, 98, 97, 96, 95, 94));
    EXPECT_EQ((co_await shards.merged(1000, &Order::id, unordered_orders)).size(), 100U);
    EXPECT_THAT(
        (co_await test::caught<Internal>(shards.merged<std::greater<>>(50, &Order::id, unordered_orders)))->message(),
        HasSubstr("does not order its rows"));
  });
}

TEST_F(ShardsTest, ATransactionStaysOnItsShard) {
  with(options({0, 1}), [&](Shards& shards) -> Task<void> {
    const std::int64_t here = 1;
    std::int64_t there = 2;
    while (shards.shard_of(shard_hash_of(there)) == shards.shard_of(shard_hash_of(here))) ++there;
    const auto error = co_await test::caught<CrossShard>(shards.transaction(here, [&](ShardTx& tx) -> Task<void> {
      co_await tx.exec(add_order, here, 1);
      co_await tx.exec(add_order, there, 1);
    }));
    EXPECT_THAT(error->message(), HasSubstr("a transaction stays on the shard of its key"));
    EXPECT_EQ(co_await shards.one(count_of, here), 0) << "rolled back";
    EXPECT_EQ(co_await shards.one(count_of, there), 0);
    const auto counted = co_await shards.transaction(here, serializable, [&](ShardTx& tx) -> Task<std::int64_t> {
      co_await tx.exec(add_order, here, 1);
      co_return co_await tx.one(count_of, here);
    });
    EXPECT_EQ(counted, 1);
  });
}

TEST_F(ShardsTest, ReferenceTablesAreWrittenEverywhereAndReadAnywhere) {
  with(options({0, 1, 2}), [&](Shards& shards) -> Task<void> {
    EXPECT_EQ(co_await shards.exec_every(add_country, "Peru"), 3U);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await shards.any().one(country), "Peru");
  });
}

TEST_F(ShardsTest, AShardThatDoesNotAnswerInTimeIsNamed) {
  ShardsOptions given = options({0, 1});
  given.every_timeout = 50ms;
  with(std::move(given), [&](Shards& shards) -> Task<void> {
    const auto error = co_await test::caught<ShardFailed>(
        shards.every(EveryShardQuery<int(double)>{"select 1 from pg_sleep($1)"}, 20.0));
    EXPECT_THAT(error->shard(), HasSubstr("/"));
    EXPECT_EQ(error->kind(), ErrorKind::unavailable);
  });
}

TEST_F(ShardsTest, AShardThatIsGoneFailsItsOwnKeysAndWhatNeedsAllOfThem) {
  auto lone = PrivateServer::start();
  TestDatabase& kept = *databases_[0];
  lone->run_sql("ashlar", "create table shard_orders (tenant bigint not null, id bigint not null)");
  ShardsOptions given = options({0});
  given.urls.push_back(lone->url());
  with(std::move(given), [&](Shards& shards) -> Task<void> {
    std::vector<std::int64_t> keys(2, 0);
    for (std::int64_t key = 1; keys[0] == 0 || keys[1] == 0; ++key) keys[shards.shard_of(shard_hash_of(key))] = key;
    co_await shards.exec(add_order, keys[0], 1);
    lone->kill();
    EXPECT_EQ(co_await shards.one(count_of, keys[0]), 1) << kept.name();
    EXPECT_THROW((void)co_await shards.one(count_of, keys[1]), Unavailable);
    const auto error = co_await test::caught<ShardFailed>(shards.every(counts));
    EXPECT_EQ(error->shard(), shards.describe(1));
    EXPECT_THAT(error->message(), testing::Not(HasSubstr(lone->socket_folder()))) << "clients are not told where";
    EXPECT_THAT((co_await shards.unhealthy()).value_or(""), HasSubstr(shards.describe(1)));
  });
}

TEST_F(ShardsTest, TooManyRowsOfAllShardsAreAnError) {
  ShardsOptions given = options({0, 1});
  given.max_rows = 99;
  with(std::move(given), [&](Shards& shards) -> Task<void> {
    co_await fill(shards);
    EXPECT_THAT((co_await test::caught<TooManyRows>(shards.every(unordered_orders)))->message(),
                HasSubstr("more than 99 rows"));
  });
}

TEST_F(ShardsTest, ShardsInAnotherOrderOrNumberAreRefusedAtTheStart) {
  with(options({0, 1}), [](Shards& shards) -> Task<void> {
    EXPECT_EQ(shards.map().version(), 1U);
    co_return;
  });
  with(options({0, 1}), [](Shards&) -> Task<void> { co_return; });
  EXPECT_THAT(refusal(options({1, 0})), HasSubstr("in another order"));
  EXPECT_THAT(refusal(options({0, 2})), HasSubstr("is it the right database?"));
  EXPECT_THAT(refusal(options({0})), HasSubstr("`shards plan 1`"));
  EXPECT_THAT(refusal(options({})), HasSubstr("DATABASE_SHARD_URLS"));
  ShardsOptions other_buckets = options({0, 1});
  other_buckets.buckets = 64;
  EXPECT_THAT(refusal(std::move(other_buckets)), HasSubstr("that cannot change"));
}

TEST_F(ShardsTest, WithoutMigrationsTheFirstMapIsMadeByItsCommand) {
  ShardsOptions given = options({0, 1});
  given.each.migrate = false;
  EXPECT_THAT(refusal(given), HasSubstr("`shards init`"));
  async::run([](ShardsOptions where) -> Task<void> {
    Shards shards(std::move(where));
    const auto commands = shards.commands();
    testing::internal::CaptureStdout();
    EXPECT_EQ(co_await commands.at(0).run({"init"}), 0);
    EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("2048 buckets"));
    testing::internal::CaptureStdout();
    EXPECT_EQ(co_await commands.at(0).run({"plan", "3"}), 0);
    const std::string plan = testing::internal::GetCapturedStdout();
    EXPECT_THAT(plan, HasSubstr("1365 of 4096 buckets move; from version 1 to 2"));
    EXPECT_THAT(plan, HasSubstr("hashtextextended(\"tenant\"::text, 0) & 4095 between"));
    testing::internal::CaptureStderr();
    EXPECT_EQ(co_await commands.at(0).run({"plan", "many"}), 2);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("a number of shards is expected"));
  }(given));
  EXPECT_EQ(refusal(given), "");
}

TEST_F(ShardsTest, AQueryThatDoesNotSayItsShardIsFoundByTheCheck) {
  with(options({0, 1}), [](Shards& shards) -> Task<void> {
    EXPECT_THAT(co_await shards.check(), testing::Not(testing::Contains(HasSubstr("shard_orders"))));
    const Query<std::int64_t()> anywhere{"select count(*) from shard_orders", {.name = "anywhere"}};
    const ShardQuery<std::int64_t(std::int64_t)> loose{"select tenant from shard_orders where id = $1",
                                                       {.name = "loose"}};
    const Query<void()> one_sided{"delete from shard_countries", {.name = "one_sided"}};
    const auto problems = co_await shards.check();
    EXPECT_THAT(problems, testing::Contains(HasSubstr("query anywhere")));
    EXPECT_THAT(problems, testing::Contains(HasSubstr("does not hold shard_orders.tenant to it")));
    EXPECT_THAT(problems, testing::Contains(HasSubstr("same on every shard")));
  });
}

// The names of Citus, which Debian does not have: what is called there, and whether it is called once.
constexpr const char* kStandIn =
    "create table citus_tables (table_name regclass, citus_table_type text, distribution_column text);"
    "create function create_reference_table(name regclass) returns void language sql as "
    "$$ insert into citus_tables values (name, 'reference', '<none>') $$;"
    "create function create_distributed_table(name regclass, key text) returns void language sql as "
    "$$ insert into citus_tables values (name, 'distributed', key) $$";

TEST_F(ShardsTest, WhereCitusIsItDistributesTheTables) {
  const auto sql = [&](const char* text) { return test::server()->run_sql(databases_[0]->name(), text); };
  sql(kStandIn);
  for (int i = 0; i < 2; ++i) {
    with(options({0}), [](Shards& shards) -> Task<void> {
      if (co_await shards.one(count_of, 7) == 0) co_await shards.exec(add_order, 7, 1);
    });
    EXPECT_EQ(sql("select string_agg(format('%s %s %s', table_name, citus_table_type, distribution_column), ', ') "
                  "from citus_tables"),
              "shard_countries reference <none>, shard_orders distributed tenant");
  }
  EXPECT_EQ(refusal(options({1, 2})), "") << "there is none";

  sql("update citus_tables set distribution_column = 'id' where citus_table_type = 'distributed'");
  EXPECT_THAT(refusal(options({0})), HasSubstr("in Citus it is distributed by id: `select alter_distributed_table"));
  sql("update citus_tables set citus_table_type = 'distributed'");
  EXPECT_THAT(refusal(options({0})), HasSubstr("shard_countries is a reference table, and Citus distributes it"));
}

TEST_F(ShardsTest, WithoutMigrationsCitusIsToldByHand) {
  test::server()->run_sql(databases_[0]->name(), kStandIn);
  ShardsOptions given = options({0});
  given.each.migrate = false;
  EXPECT_THAT(refusal(given), HasSubstr("run what the command `shards citus` says"));
  async::run([](ShardsOptions where) -> Task<void> {
    Shards shards(std::move(where));
    testing::internal::CaptureStdout();
    EXPECT_EQ(co_await shards.commands().at(0).run({"citus"}), 0);
    EXPECT_THAT(testing::internal::GetCapturedStdout(),
                HasSubstr("\nselect create_reference_table('\"shard_countries\"');\n"
                          "select create_distributed_table('\"shard_orders\"', 'tenant');\n"));
  }(given));
}

}  // namespace
}  // namespace ashlar::pg
