#include <ashlar/base/keyed_hash.hpp>

#include <sys/random.h>

#include <bit>
#include <cstddef>
#include <cstring>

#include <ashlar/base/error.hpp>

namespace ashlar {
namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
  void absorb(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace

KeyedHash::KeyedHash() {
  std::uint64_t key[2];
  if (::getrandom(key, sizeof key, 0) != sizeof key) throw Internal("the kernel gives no random numbers");
  first_ = key[0];
  second_ = key[1];
}

std::uint64_t KeyedHash::operator()(std::string_view bytes) const noexcept {
  State state{first_ ^ 0x736f6d6570736575, second_ ^ 0x646f72616e646f6d, first_ ^ 0x6c7967656e657261,
              second_ ^ 0x7465646279746573};
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    state.absorb(word);
  }
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (std::size_t i = at; i < bytes.size(); ++i) {
    last |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * (i - at));
  }
  state.absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace ashlar
