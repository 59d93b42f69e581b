// An open file, or a part of it, as the body of a response.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <ashlar/async/generator.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::http {

/// The descriptor may be shared: it is read at offsets, its position is left alone. HTTP/1.1 in the clear sends it by
/// sendfile(2); whoever encrypts or frames reads it with read().
class FileBody {
 public:
  FileBody(std::shared_ptr<const net::Fd> file, std::uint64_t offset, std::uint64_t length) noexcept
      : file_(std::move(file)), offset_(offset), length_(length) {}

  [[nodiscard]] int fd() const noexcept { return file_->get(); }
  [[nodiscard]] const std::shared_ptr<const net::Fd>& file() const noexcept { return file_; }
  /// Where the body begins in the file.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
  /// A part of it. Precondition: it lies within.
  [[nodiscard]] FileBody part(std::uint64_t at, std::uint64_t length) const noexcept {
    return {file_, offset_ + at, length};
  }

  /// Reads from `at` (0: the body's first byte) as much as there is room for or left. Blocks when the kernel has not
  /// got it in memory. 0 at the end; -1 when the file has become shorter or cannot be read: the body must be broken
  /// off.
  [[nodiscard]] std::ptrdiff_t read(std::uint64_t at, std::span<char> to) const noexcept;
  /// The body in pieces of up to 64 KiB, read off the loop. Throws Internal when the file has become shorter or cannot
  /// be read.
  [[nodiscard]] Generator<std::string> pieces() const;

 private:
  std::shared_ptr<const net::Fd> file_;
  std::uint64_t offset_;
  std::uint64_t length_;
};

}  // namespace ashlar::http
