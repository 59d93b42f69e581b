#include <ashlar/http/detail/file_output.hpp>

#include <sys/sendfile.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

FileIo write_through_buffer(net::Transport& transport, const FileBody& file) noexcept {
  // TLS that would block must be given the same bytes again: it is, as nothing was taken from the front meanwhile.
  thread_local const std::unique_ptr<char[]> buffer(new (std::nothrow) char[kBuffer]);
  if (buffer == nullptr) return {{net::Io::State::failed}, true};
  const std::ptrdiff_t got = file.read(0, {buffer.get(), kBuffer});
  if (got <= 0) return {{net::Io::State::failed}, true};
  return {transport.write({buffer.get(), static_cast<std::size_t>(got)})};
}

}  // namespace

FileIo write_file(net::Transport& transport, const FileBody& file, std::uint64_t most) noexcept {
  if (transport.secure()) return write_through_buffer(transport, file);
  off_t at = static_cast<off_t>(file.offset());
  while (true) {
    const ssize_t sent = ::sendfile(transport.fd(), file.fd(), &at, std::min(file.length(), most));
    if (sent > 0) return {{net::Io::State::done, static_cast<std::size_t>(sent)}};
    if (sent == 0) return {{net::Io::State::failed}, true};  // nothing there: it has become shorter
    switch (errno) {
      case EINTR:
        continue;
      case EAGAIN:
        return {{net::Io::State::would_block}};
      case EPIPE:
      case ECONNRESET:
        return {{net::Io::State::closed}};
      case EINVAL:
      case ENOSYS:
      case EOVERFLOW:  // a file system that cannot
        return write_through_buffer(transport, file);
      default:
        return {{net::Io::State::failed}, errno == EIO};
    }
  }
}

}  // namespace ashlar::http::detail
