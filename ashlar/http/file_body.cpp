#include <ashlar/http/file_body.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <ashlar/async/offload.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::http {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

Generator<std::string> read_pieces(FileBody file) {
  for (std::uint64_t at = 0; at < file.length();) {
    std::string piece;
    const std::ptrdiff_t got = co_await async::offload([&] {
      std::ptrdiff_t bytes = 0;
      piece.resize_and_overwrite(std::min<std::uint64_t>(kPiece, file.length() - at),
                                 [&](char* data, std::size_t room) {
                                   bytes = file.read(at, {data, room});
                                   return static_cast<std::size_t>(std::max<std::ptrdiff_t>(bytes, 0));
                                 });
      return bytes;
    });
    if (got <= 0) throw Internal("a file that was being sent became shorter, or cannot be read");
    at += static_cast<std::uint64_t>(got);
    co_yield std::move(piece);
  }
}

}  // namespace

std::ptrdiff_t FileBody::read(std::uint64_t at, std::span<char> to) const noexcept {
  const std::size_t wanted = std::min<std::uint64_t>(to.size(), length_ - at);
  std::size_t done = 0;
  while (done < wanted) {
    const ssize_t got = ::pread(fd(), to.data() + done, wanted - done, static_cast<off_t>(offset_ + at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    done += static_cast<std::size_t>(got);
  }
  return static_cast<std::ptrdiff_t>(done);
}

Generator<std::string> FileBody::pieces() const { return read_pieces(*this); }

}  // namespace ashlar::http
