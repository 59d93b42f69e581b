// ShardMap: which shard holds which rows. A key falls into a bucket for ever; buckets lie on shards, and move.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <ashlar/base/uuid.hpp>

namespace ashlar::pg {

/// What a shard key may be. It is hashed as PostgreSQL writes it as text, so that both agree on its bucket.
template <class T>
concept ShardKey = (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) ||
                   std::same_as<T, std::string> || std::same_as<T, std::string_view> || std::same_as<T, Uuid>;

/// PostgreSQL's hashtextextended(text, 0), for the collations that compare bytes (all but non-deterministic ones).
[[nodiscard]] std::uint64_t shard_hash(std::string_view text) noexcept;

template <ShardKey T>
[[nodiscard]] std::uint64_t shard_hash_of(const T& key) {
  if constexpr (std::same_as<T, Uuid>) {
    return shard_hash(key.to_string());
  } else if constexpr (std::integral<T>) {
    return shard_hash(std::to_string(key));
  } else {
    return shard_hash(key);
  }
}

class ShardMap {
 public:
  static constexpr std::size_t kMostBuckets = 65'536;
  static constexpr std::size_t kMostShards = 1'024;

  /// Buckets in equal runs, version 1. Throws Invalid unless `buckets` is a power of two, 1 … kMostBuckets, and there
  /// are 1 … kMostShards shards, no more than buckets.
  [[nodiscard]] static ShardMap even(std::size_t shards, std::size_t buckets = 4'096);
  /// What to_string() gave. Throws Invalid naming what is wrong with it.
  [[nodiscard]] static ShardMap parse(std::string_view text);
  /// "v1 2 4096 0-2047:0 2048-4095:1": version, shards, buckets, and runs of buckets with their shard.
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] std::size_t shards() const noexcept { return shards_; }
  [[nodiscard]] std::size_t buckets() const noexcept { return shard_of_.size(); }
  [[nodiscard]] std::size_t bucket_of(std::uint64_t hash) const noexcept { return hash & (shard_of_.size() - 1); }
  [[nodiscard]] std::size_t shard_of(std::size_t bucket) const noexcept { return shard_of_[bucket]; }

  /// Buckets that lie side by side and move together.
  struct Move {
    std::size_t first = 0;
    std::size_t last = 0;
    std::size_t from = 0;
    std::size_t to = 0;
    friend bool operator==(const Move&, const Move&) = default;
  };
  /// The next version, over so many shards: as even as can be with as few buckets moved as can be. Throws as even().
  [[nodiscard]] ShardMap spread_over(std::size_t shards) const;
  /// What moves from this map to that one. Precondition: as many buckets.
  [[nodiscard]] std::vector<Move> moves_to(const ShardMap& next) const;

  friend bool operator==(const ShardMap&, const ShardMap&) = default;

 private:
  ShardMap() = default;
  std::uint64_t version_ = 1;
  std::size_t shards_ = 0;
  std::vector<std::uint16_t> shard_of_;
};

}  // namespace ashlar::pg
