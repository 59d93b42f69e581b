#include <ashlar/pg/shard_map.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/base/error.hpp>
#include <ashlar/pg/detail/blocking_client.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::ElementsAre;

TEST(ShardMap, HashesAsPostgresqlDoes) {
  const auto server = test::server();
  std::string text;
  for (int size = 0; size < 40; ++size) {
    EXPECT_EQ(server->run_sql("postgres", "select hashtextextended(" + detail::quote_literal(text) + ", 0)"),
              std::to_string(static_cast<std::int64_t>(shard_hash(text))))
        << text;
    text += static_cast<char>(size % 3 == 0 ? 'a' + size % 26 : '0' + size % 10);
  }
  EXPECT_EQ(server->run_sql("postgres", "select hashtextextended('größe', 0)"),
            std::to_string(static_cast<std::int64_t>(shard_hash("größe"))));
  EXPECT_EQ(server->run_sql("postgres", "select hashtextextended((-42::int8)::text, 0)"),
            std::to_string(static_cast<std::int64_t>(shard_hash_of(std::int64_t{-42}))));
  const Uuid uuid = Uuid::parse("0190b5a2-7c4e-7d3f-8a1b-2c3d4e5f6071").value();
  EXPECT_EQ(server->run_sql("postgres", "select hashtextextended('" + uuid.to_string() + "'::uuid::text, 0)"),
            std::to_string(static_cast<std::int64_t>(shard_hash_of(uuid))));
}

TEST(ShardMap, SpreadsKeysEvenly) {
  const ShardMap map = ShardMap::even(4);
  std::vector<int> held(4, 0);
  for (int key = 0; key < 40'000; ++key) ++held[map.shard_of(map.bucket_of(shard_hash_of(key)))];
  for (const int rows : held) EXPECT_NEAR(rows, 10'000, 600);
}

TEST(ShardMap, IsAShortText) {
  EXPECT_EQ(ShardMap::even(2, 8).to_string(), "v1 2 8 0-3:0 4-7:1");
  for (const std::size_t shards : {1U, 3U, 7U}) {
    const ShardMap map = ShardMap::even(shards, 1024).spread_over(shards + 1);
    EXPECT_EQ(ShardMap::parse(map.to_string()), map);
  }
}

TEST(ShardMap, RefusesATextThatIsNone) {
  for (const char* const bad : {"", "v1", "v1 2 8", "v1 2 8 0-3:0", "v1 2 8 0-3:0 4-7:2", "v1 2 8 0-3:0 5-7:1",
                                "v1 2 8 0-3:0 4-8:1", "v0 1 8 0-7:0", "v1 2 7 0-6:0", "v1 0 8 0-7:0", "1 2 8 0-7:0",
                                "v1 2 8 0-3:0 4-x:1", "v1 2 8 0-3:0 4-99999999999:1", "v1 2 99999999999 0-3:0"})
    EXPECT_THROW((void)ShardMap::parse(bad), Invalid) << bad;
  EXPECT_THROW((void)ShardMap::even(0), Invalid);
  EXPECT_THROW((void)ShardMap::even(2, 1000), Invalid);
  EXPECT_THROW((void)ShardMap::even(9, 8), Invalid);
}

TEST(ShardMap, AnotherShardTakesItsPartAndNothingElseMoves) {
  const ShardMap two = ShardMap::even(2, 1024);
  const ShardMap three = two.spread_over(3);
  EXPECT_EQ(three.version(), 2U);
  std::vector<std::size_t> held(3, 0);
  std::size_t moved = 0;
  for (std::size_t bucket = 0; bucket < two.buckets(); ++bucket) {
    ++held[three.shard_of(bucket)];
    if (two.shard_of(bucket) == three.shard_of(bucket)) continue;
    EXPECT_EQ(three.shard_of(bucket), 2U) << "buckets only move to the new shard";
    ++moved;
  }
  EXPECT_THAT(held, ElementsAre(342, 341, 341));
  EXPECT_EQ(moved, 341U);
}

TEST(ShardMap, AShardThatGoesGivesItsBucketsToTheOthers) {
  const ShardMap three = ShardMap::even(2, 16).spread_over(3);
  const ShardMap two = three.spread_over(2);
  std::size_t moved = 0;
  for (const ShardMap::Move& move : three.moves_to(two)) {
    EXPECT_EQ(move.from, 2U);
    moved += move.last - move.first + 1;
  }
  EXPECT_EQ(moved, 5U);
}

TEST(ShardMap, NamesWhatMoves) {
  const ShardMap one = ShardMap::even(1, 8);
  EXPECT_THAT(one.moves_to(one.spread_over(2)), ElementsAre(ShardMap::Move{4, 7, 0, 1}));
  EXPECT_THAT(one.moves_to(one), ElementsAre());
}

}  // namespace
}  // namespace ashlar::pg
