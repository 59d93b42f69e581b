// PieceBuffer: the pieces that a stream of HTTP/2 has been given, and its peer's windows have not let out yet.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace ashlar::http::detail {

class PieceBuffer {
 public:
  /// Valid until the next change.
  [[nodiscard]] std::string_view unsent() const noexcept { return std::string_view(bytes_).substr(sent_); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - sent_; }
  [[nodiscard]] bool empty() const noexcept { return sent_ == bytes_.size(); }
  /// Bytes that it holds on to.
  [[nodiscard]] std::size_t memory() const noexcept { return bytes_.capacity(); }

  void add(std::string&& piece) {
    if (!empty()) return append(piece);
    bytes_ = std::move(piece);
    sent_ = 0;
  }
  void append(std::string_view bytes) {
    if (sent_ > bytes_.size() / 2) bytes_.erase(0, std::exchange(sent_, 0));
    bytes_ += bytes;
  }
  /// The first so many have left.
  void pop(std::size_t bytes) noexcept { sent_ += bytes; }
  /// Forgets everything, and gives memory beyond `most` bytes back.
  void clear(std::size_t most) noexcept {
    bytes_.clear();
    sent_ = 0;
    if (bytes_.capacity() > most) [[unlikely]]
      bytes_.shrink_to_fit();
  }

 private:
  std::string bytes_;
  std::size_t sent_ = 0;
};

}  // namespace ashlar::http::detail
