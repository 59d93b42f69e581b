// KeyedHash: a hash of bytes that others cannot aim at: tables keyed by what clients send need it.
#pragma once

#include <cstdint>
#include <string_view>

namespace ashlar {

/// SipHash-2-4 (Aumasson, Bernstein 2012): 64 bits, and without the key nobody finds two texts with one hash faster
/// than by trying. A value; any thread.
class KeyedHash {
 public:
  /// A key of the kernel's random numbers.
  KeyedHash();
  constexpr KeyedHash(std::uint64_t first, std::uint64_t second) noexcept : first_(first), second_(second) {}

  [[nodiscard]] std::uint64_t operator()(std::string_view bytes) const noexcept;

 private:
  std::uint64_t first_;
  std::uint64_t second_;
};

}  // namespace ashlar
