#include <ashlar/pg/shard_map.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <sstream>
#include <system_error>

#include <ashlar/base/error.hpp>

namespace ashlar::pg {
namespace {

/// The state of Bob Jenkins' lookup3 (https://burtleburtle.net/bob/c/lookup3.c, public domain), as PostgreSQL uses it.
struct Mixer {
  std::uint32_t a, b, c;

  void turn(std::uint32_t& x, std::uint32_t& y, std::uint32_t& z, int bits) noexcept {
    x -= z;
    x ^= std::rotl(z, bits);
    z += y;
  }
  void mix() noexcept {
    turn(a, b, c, 4);
    turn(b, c, a, 6);
    turn(c, a, b, 8);
    turn(a, b, c, 16);
    turn(b, c, a, 19);
    turn(c, a, b, 4);
  }
  static void fold(std::uint32_t& x, std::uint32_t y, int bits) noexcept {
    x ^= y;
    x -= std::rotl(y, bits);
  }
  void finish() noexcept {
    fold(c, b, 14);
    fold(a, c, 11);
    fold(b, a, 25);
    fold(c, b, 16);
    fold(a, c, 4);
    fold(b, a, 14);
    fold(c, b, 24);
  }
};

std::uint32_t word(const char* from, std::size_t size) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  return value;
}

void check_counts(std::size_t shards, std::size_t buckets) {
  if (!std::has_single_bit(buckets) || buckets > ShardMap::kMostBuckets)
    throw Invalid(fmt::format("{} buckets: a power of two up to {} is expected", buckets, ShardMap::kMostBuckets));
  if (shards == 0 || shards > ShardMap::kMostShards || shards > buckets)
    throw Invalid(fmt::format("{} shards: 1 to {}, and no more than the {} buckets, are expected", shards,
                              ShardMap::kMostShards, buckets));
}

template <class T>
bool read(std::string_view text, T& to) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::uint64_t shard_hash(std::string_view text) noexcept {
  const std::uint32_t begin = 0x9e3779b9U + static_cast<std::uint32_t>(text.size()) + 3'923'095U;
  Mixer mixer{begin, begin, begin};
  const char* from = text.data();
  std::size_t left = text.size();
  for (; left >= 12; left -= 12, from += 12) {
    mixer.a += word(from, 4);
    mixer.b += word(from + 4, 4);
    mixer.c += word(from + 8, 4);
    mixer.mix();
  }
  if (left > 8) mixer.c += word(from + 8, left - 8) << 8;  // its lowest byte was kept for the length
  if (left > 4) mixer.b += word(from + 4, std::min<std::size_t>(left - 4, 4));
  if (left > 0) mixer.a += word(from, std::min<std::size_t>(left, 4));
  mixer.finish();
  return (static_cast<std::uint64_t>(mixer.b) << 32) | mixer.c;
}

ShardMap ShardMap::even(std::size_t shards, std::size_t buckets) {
  check_counts(shards, buckets);
  ShardMap out;
  out.shards_ = shards;
  out.shard_of_.resize(buckets);
  for (std::size_t bucket = 0; bucket < buckets; ++bucket)
    out.shard_of_[bucket] = static_cast<std::uint16_t>(bucket * shards / buckets);
  return out;
}

ShardMap ShardMap::parse(std::string_view text) {
  const auto wrong = [&](std::string_view what) -> Invalid {
    return Invalid(fmt::format("this is not a map of shards: {} in {:?}", what, text.substr(0, 200)));
  };
  std::istringstream in{std::string(text)};
  std::string version, shards, buckets;
  in >> version >> shards >> buckets;
  ShardMap out;
  std::size_t count = 0;
  if (!version.starts_with('v') || !read(std::string_view(version).substr(1), out.version_) || out.version_ == 0 ||
      !read(shards, out.shards_) || !read(buckets, count))
    throw wrong("version, shards and buckets do not stand first");
  check_counts(out.shards_, count);
  for (std::string run; in >> run;) {
    const std::size_t dash = run.find('-');
    const std::size_t colon = run.find(':');
    std::size_t first = 0, last = 0, shard = 0;
    const std::string_view view = run;
    if (dash == std::string::npos || colon == std::string::npos || dash > colon || !read(view.substr(0, dash), first) ||
        !read(view.substr(dash + 1, colon - dash - 1), last) || !read(view.substr(colon + 1), shard))
      throw wrong(run);
    if (first != out.shard_of_.size() || last < first || last >= count || shard >= out.shards_) throw wrong(run);
    out.shard_of_.resize(last + 1, static_cast<std::uint16_t>(shard));
  }
  if (out.shard_of_.size() != count) throw wrong("not all buckets");
  return out;
}

std::string ShardMap::to_string() const {
  std::string out = fmt::format("v{} {} {}", version_, shards_, shard_of_.size());
  for (std::size_t first = 0; first < shard_of_.size();) {
    std::size_t last = first;
    while (last + 1 < shard_of_.size() && shard_of_[last + 1] == shard_of_[first]) ++last;
    out += fmt::format(" {}-{}:{}", first, last, shard_of_[first]);
    first = last + 1;
  }
  return out;
}

ShardMap ShardMap::spread_over(std::size_t shards) const {
  check_counts(shards, buckets());
  ShardMap out = *this;
  ++out.version_;
  out.shards_ = shards;
  std::vector<std::size_t> held(std::max(shards, shards_), 0);
  for (const std::uint16_t shard : shard_of_) ++held[shard];
  // The shards that hold the most today keep the buckets that are left over.
  std::vector<std::size_t> order(shards);
  for (std::size_t i = 0; i < shards; ++i) order[i] = i;
  std::ranges::sort(order,
                    [&](std::size_t a, std::size_t b) { return held[a] != held[b] ? held[a] > held[b] : a < b; });
  std::vector<std::size_t> wanted(held.size(), 0);
  for (std::size_t i = 0; i < shards; ++i) wanted[order[i]] = buckets() / shards + (i < buckets() % shards ? 1 : 0);
  std::size_t to = 0;
  for (std::size_t bucket = buckets(); bucket-- > 0;) {  // from the end, so that runs stay runs
    const std::size_t from = shard_of_[bucket];
    if (held[from] <= wanted[from]) continue;
    while (held[to] >= wanted[to]) ++to;
    --held[from];
    ++held[to];
    out.shard_of_[bucket] = static_cast<std::uint16_t>(to);
  }
  return out;
}

std::vector<ShardMap::Move> ShardMap::moves_to(const ShardMap& next) const {
  std::vector<Move> out;
  for (std::size_t bucket = 0; bucket < buckets(); ++bucket) {
    const std::size_t from = shard_of_[bucket];
    const std::size_t to = next.shard_of_[bucket];
    if (from == to) continue;
    if (!out.empty() && out.back().last + 1 == bucket && out.back().from == from && out.back().to == to) {
      out.back().last = bucket;
    } else {
      out.push_back({bucket, bucket, from, to});
    }
  }
  return out;
}

}  // namespace ashlar::pg
