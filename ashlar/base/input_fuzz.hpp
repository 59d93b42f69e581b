// What fuzz targets share: a promise that ends the program when it is broken, and inputs in blocks of exactly their
// size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <source_location>
#include <string_view>

namespace ashlar::fuzz {

/// Ends the program, so that the fuzzer keeps the input. Says where.
inline void require(bool holds, std::source_location where = std::source_location::current()) {
  if (holds) [[likely]]
    return;
  std::fprintf(stderr, "%s:%u: what must hold for every input does not\n", where.file_name(), where.line());
  std::abort();
}

/// The bytes in a block of exactly their size: AddressSanitizer finds one read past them. The fuzzer's own buffer is
/// larger at times.
class Block {
 public:
  explicit Block(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
    std::ranges::copy(bytes, bytes_.get());
  }
  Block(const std::uint8_t* data, std::size_t size) : Block({reinterpret_cast<const char*>(data), size}) {}

  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }
  /// The view points into the block, or at nothing.
  [[nodiscard]] bool holds(std::string_view part) const noexcept {
    return part.empty() || (part.data() >= bytes_.get() && part.data() + part.size() <= bytes_.get() + size_);
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

}  // namespace ashlar::fuzz
