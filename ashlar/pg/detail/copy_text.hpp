// copy_text: a text to where it is sent, and whether it holds a NUL, in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ashlar::pg::detail {

/// Copies `size` bytes. False: there is a zero byte among them, which PostgreSQL's text types cannot hold.
[[nodiscard, gnu::always_inline]] inline bool copy_text(char* to, const char* from, std::size_t size) noexcept {
  // Names and the like are copied in blocks of which the last two overlap: calling memchr and memcpy takes longer than
  // what they do then.
  constexpr std::size_t kShort = 256;
  using Block [[gnu::vector_size(16)]] = unsigned char;
  const auto move = [&]<class Word>(std::size_t at, Word& word) {
    std::memcpy(&word, from + at, sizeof word);
    std::memcpy(to + at, &word, sizeof word);
  };
  if (size >= sizeof(Block)) {
    if (size > kShort) [[unlikely]] {
      std::memcpy(to, from, size);
      return std::memchr(from, 0, size) == nullptr;
    }
    Block least;
    move(size - sizeof(Block), least);
    for (std::size_t at = 0; at + sizeof(Block) < size; at += sizeof(Block)) {
      Block block;
      move(at, block);
      least = __builtin_elementwise_min(least, block);
    }
    return !__builtin_reduce_or(least == 0);
  }
  // https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord: not zero if one of the bytes is.
  const auto zeros = [](std::uint64_t word) { return (word - 0x0101010101010101) & ~word & 0x8080808080808080; };
  if (size >= 8) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    move(0, first);
    move(size - 8, last);
    return (zeros(first) | zeros(last)) == 0;
  }
  if (size >= 4) {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    move(0, first);
    move(size - 4, last);
    return zeros(first | static_cast<std::uint64_t>(last) << 32) == 0;
  }
  bool whole = true;
  for (std::size_t at = 0; at < size; ++at) {
    to[at] = from[at];
    whole = whole && from[at] != 0;
  }
  return whole;
}

}  // namespace ashlar::pg::detail
