// What a connection still has to send after the socket took no more.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/http/file_body.hpp>

namespace ashlar::http::detail {

/// A first-in first-out queue of bytes; large bodies are moved into it, not copied. Empty for almost every connection
/// almost always, and then no larger than a few words.
class OutputQueue {
 public:
  static constexpr std::size_t kMostParts = 16;

  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  void push_copy(std::string_view text);
  /// Takes the string over; its first `skip` bytes are already sent.
  void push_owned(std::string&& text, std::size_t skip);
  /// Bytes that stay valid until they are sent.
  void push_static(std::string_view text);
  /// Bytes that `owner` keeps valid.
  void push_shared(std::string_view text, std::shared_ptr<const void> owner);
  void push_file(FileBody file);

  /// Set when a file is at the front: what is left of it.
  [[nodiscard]] std::optional<FileBody> front_file() const noexcept;
  /// The front of the queue up to the next file, for one write.
  [[nodiscard]] std::span<const iovec> front(iovec (&parts)[kMostParts]) const noexcept;
  /// Drops what was written.
  void pop(std::size_t bytes) noexcept;
  void clear() noexcept;

 private:
  struct Segment {
    std::string owned;
    std::string_view fixed;
    std::shared_ptr<const void> owner;  // of `fixed`; null: nobody need keep it
    std::size_t skip = 0;
    std::optional<FileBody> file;
    [[nodiscard]] std::string_view rest() const noexcept {
      return (fixed.data() != nullptr ? fixed : std::string_view(owned)).substr(skip);
    }
    [[nodiscard]] std::size_t left() const noexcept { return file ? file->length() - skip : rest().size(); }
  };

  std::vector<Segment> segments_;
  std::size_t first_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace ashlar::http::detail
