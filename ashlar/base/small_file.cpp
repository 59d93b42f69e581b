#include <ashlar/base/small_file.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <ashlar/base/error.hpp>

namespace ashlar {
namespace {

struct Descriptor {
  explicit Descriptor(int its_fd) noexcept : fd(its_fd) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

}  // namespace

std::string read_small_file(const std::string& path, std::string_view what, std::size_t limit) {
  const auto fail = [&](std::string_view why) {
    throw Invalid(fmt::format("{}: cannot read {}: {}", what, path, why));
  };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) fail(std::strerror(errno));
  std::string text;
  char chunk[4096];
  for (;;) {
    const ssize_t size = ::read(file.fd, chunk, sizeof chunk);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail(std::strerror(errno));
    if (size == 0) return text;
    text.append(chunk, static_cast<std::size_t>(size));
    if (text.size() > limit) fail(fmt::format("it has more than {} bytes", limit));
  }
}

}  // namespace ashlar
