// Memory that lives as long as one request: taken by moving a pointer, given back all at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ashlar::http {

// Not thread-safe. Nothing in it is destroyed: for bytes and trivially destructible objects. Keeps its first block
// between requests; asks the heap only when a request outgrows it.
class Scratch {
 public:
  static constexpr std::size_t kBlock = 2048;

  Scratch() noexcept = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(); }

  /// Uninitialised memory; throws std::bad_alloc. `align` is a power of two.
  [[nodiscard]] void* allocate(std::size_t size, std::size_t align = alignof(std::max_align_t)) {
    const std::uintptr_t at = (reinterpret_cast<std::uintptr_t>(next_) + align - 1) & ~(align - 1);
    if (next_ == nullptr || at + size > reinterpret_cast<std::uintptr_t>(end_)) return allocate_slowly(size, align);
    next_ = reinterpret_cast<char*>(at + size);
    return reinterpret_cast<void*>(at);
  }

  /// A copy of the bytes that lives until clear().
  [[nodiscard]] std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* to = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

  /// For a request that lives long: what it keeps is given back, and what it takes until clear() comes in small
  /// blocks. Nothing may have been taken yet.
  void take_little() noexcept {
    release();
    least_ = kSmallBlock;
  }

  /// Gives everything back at once; keeps one block.
  void clear() noexcept {
    if (least_ != kBlock) [[unlikely]] {
      release();
      least_ = kBlock;
    }
    if (blocks_ != nullptr && blocks_->before != nullptr) {
      release();
    } else if (blocks_ != nullptr) {
      next_ = reinterpret_cast<char*>(blocks_ + 1);
    }
  }

 private:
  struct Block {
    Block* before;
    std::size_t size;  // so that two words keep what follows aligned
  };

  void* allocate_slowly(std::size_t size, std::size_t align);
  void release() noexcept;

  static constexpr std::size_t kSmallBlock = 128;

  std::size_t least_ = kBlock;  // bytes of a block
  char* next_ = nullptr;
  char* end_ = nullptr;
  Block* blocks_ = nullptr;
};

}  // namespace ashlar::http
