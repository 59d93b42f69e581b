// The one output buffer of a loop: what the connection now at work has to say is collected here and leaves in one
// write, at once or at the end of the tick.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace ashlar::http::detail {

class Cork {
 public:
  Cork() noexcept = default;
  Cork(const Cork&) = delete;
  Cork& operator=(const Cork&) = delete;
  ~Cork() { std::free(data_); }

  /// Of the connection now at work.
  [[nodiscard]] bool empty() const noexcept { return size_ == begin_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_ - begin_; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_ + begin_, size_ - begin_}; }
  void clear() noexcept { size_ = begin_; }

  /// What has been set aside is kept in front of what the next connection says.
  struct Aside {
    std::size_t begin;
    std::size_t size;
  };
  [[nodiscard]] Aside set_aside() noexcept {
    const Aside aside{begin_, size_ - begin_};
    begin_ = size_;
    return aside;
  }
  [[nodiscard]] std::string_view view(Aside aside) const noexcept { return {data_ + aside.begin, aside.size}; }
  [[nodiscard]] std::size_t bytes_aside() const noexcept { return begin_; }
  /// Precondition: nothing else is there.
  void forget_aside() noexcept { begin_ = size_ = 0; }

  /// Room for `more` bytes at the returned place; say with `wrote_to` up to where it was used.
  [[nodiscard]] char* room(std::size_t more) {
    if (capacity_ - size_ < more) [[unlikely]]
      grow(more);
    return data_ + size_;
  }
  void wrote_to(const char* end) noexcept { size_ = static_cast<std::size_t>(end - data_); }

  void append(std::string_view text) {
    if (text.empty()) return;  // its data may be null, which memcpy does not take
    char* at = room(text.size());
    std::memcpy(at, text.data(), text.size());
    size_ += text.size();
  }

 private:
  void grow(std::size_t more) {
    std::size_t capacity = capacity_ == 0 ? 64 * 1024 : capacity_ * 2;
    while (capacity - size_ < more) capacity *= 2;
    void* data = std::realloc(data_, capacity);
    if (data == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(data);
    capacity_ = capacity;
  }

  char* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace ashlar::http::detail
