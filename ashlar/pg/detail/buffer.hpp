// A growing byte queue: written at the end, consumed at the front, contiguous, reused.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace ashlar::pg::detail {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  [[nodiscard]] const char* data() const noexcept { return data_.get() + begin_; }
  [[nodiscard]] char* data() noexcept { return data_.get() + begin_; }
  [[nodiscard]] std::string_view view() const noexcept { return {data(), size()}; }

  /// Room for at least n more bytes; write there, then commit().
  char* reserve(std::size_t n) {
    if (capacity_ - end_ < n) [[unlikely]]
      grow(n);
    return data_.get() + end_;
  }
  [[nodiscard]] std::size_t room() const noexcept { return capacity_ - end_; }
  void commit(std::size_t n) noexcept { end_ += n; }
  void append(const void* bytes, std::size_t n) {
    if (n == 0) return;
    std::memcpy(reserve(n), bytes, n);
    commit(n);
  }
  void append(std::string_view bytes) { append(bytes.data(), bytes.size()); }
  void consume(std::size_t n) noexcept {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Drops what was written after size() was `size`.
  void truncate(std::size_t size) noexcept { end_ = begin_ + size; }
  void clear() noexcept { begin_ = end_ = 0; }
  /// Gives memory back when a rare big message has made the buffer big.
  void shrink(std::size_t keep) {
    if (!empty() || capacity_ <= keep) return;
    data_.reset();
    begin_ = end_ = capacity_ = 0;
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }
  void grow(std::size_t n) {
    const std::size_t used = size();
    if (begin_ > 0 && capacity_ - used >= n && begin_ >= used) {
      std::memcpy(data_.get(), data_.get() + begin_, used);
    } else {
      std::size_t capacity = capacity_ < 4096 ? 4096 : capacity_ * 2;
      while (capacity < used + n) capacity *= 2;
      std::unique_ptr<char[]> bigger(new char[capacity]);
      if (used != 0) std::memcpy(bigger.get(), data_.get() + begin_, used);
      data_ = std::move(bigger);
      capacity_ = capacity;
    }
    begin_ = 0;
    end_ = used;
  }

  std::unique_ptr<char[]> data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace ashlar::pg::detail
