#include <ashlar/net/detail/socket_bio.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace ashlar::net::detail {
namespace {

int fd_of(BIO* bio) noexcept { return static_cast<int>(reinterpret_cast<std::intptr_t>(::BIO_get_data(bio))); }

int on_write(BIO* bio, const char* bytes, std::size_t size, std::size_t* put) noexcept {
  BIO_clear_retry_flags(bio);
  for (;;) {
    const ssize_t sent = ::send(fd_of(bio), bytes, size, MSG_NOSIGNAL);
    if (sent >= 0) {
      *put = static_cast<std::size_t>(sent);
      return 1;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) BIO_set_retry_write(bio);
    return 0;
  }
}

int on_read(BIO* bio, char* bytes, std::size_t size, std::size_t* got) noexcept {
  BIO_clear_retry_flags(bio);
  for (;;) {
    const ssize_t received = ::recv(fd_of(bio), bytes, size, 0);
    if (received > 0) {
      *got = static_cast<std::size_t>(received);
      return 1;
    }
    if (received == 0) {
      BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
      return 0;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) BIO_set_retry_read(bio);
    return 0;
  }
}

long on_control(BIO* bio, int command, long, void*) noexcept {
  switch (command) {
    case BIO_CTRL_EOF:
      return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
      return 1;
    default:
      return 0;
  }
}

const BIO_METHOD* method() noexcept {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* const made =
        ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ashlar socket");  // lives as the program does
    ::BIO_meth_set_write_ex(made, &on_write);
    ::BIO_meth_set_read_ex(made, &on_read);
    ::BIO_meth_set_ctrl(made, &on_control);
    return made;
  }();
  return kMethod;
}

}  // namespace

BIO* make_socket_bio(int fd) noexcept {
  BIO* const bio = ::BIO_new(method());
  if (bio == nullptr) return nullptr;
  ::BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  ::BIO_set_init(bio, 1);
  return bio;
}

}  // namespace ashlar::net::detail
