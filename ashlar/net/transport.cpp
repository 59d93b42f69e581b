#include <ashlar/net/transport.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include <ashlar/net/detail/openssl.hpp>
#include <ashlar/net/detail/socket_calls.hpp>

namespace ashlar::net {

Transport::~Transport() { close(); }

void Transport::swap(Transport& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(ssl_, other.ssl_);
  std::swap(context_, other.context_);
  std::swap(peer_, other.peer_);
  std::swap(tls_error_, other.tls_error_);
  std::swap(error_, other.error_);
  std::swap(wants_write_, other.wants_write_);
  std::swap(asked_peer_, other.asked_peer_);
  std::swap(failure_, other.failure_);
}

void Transport::close() noexcept {
  const bool broken = failure_ != TlsFailure::none || tls_error_ != 0 || error_ != 0;
  if (ssl_ != nullptr && !broken) {  // after an error there is nothing more to say (SSL_shutdown(3))
    ::SSL_shutdown(ssl_);            // best effort: one try to send close_notify
    ::ERR_clear_error();
  }
  drop_tls();
  fd_.reset();
}

Io Transport::read(std::span<char> buffer) noexcept {
  if (ssl_ != nullptr) {
    ::ERR_clear_error();
    std::size_t got = 0;
    const int result = ::SSL_read_ex(ssl_, buffer.data(), buffer.size(), &got);
    return result == 1 ? Io{Io::State::done, got} : tls_result(result, true);
  }
  wants_write_ = false;
  for (;;) {
    const ssize_t got = detail::receive(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) return {Io::State::done, static_cast<std::size_t>(got)};
    if (got == 0) return {Io::State::closed};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {Io::State::would_block};
    error_ = errno;
    return {Io::State::failed};
  }
}

Io Transport::write(std::string_view bytes) noexcept {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return write(std::span{&part, 1});
}

Io Transport::write(std::span<const iovec> parts) noexcept {
  if (ssl_ != nullptr) return write_records(parts);
  wants_write_ = true;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  for (;;) {
    // Most answers are one part; send spares the kernel the copying and checking of the message and its list.
    const ssize_t put = parts.size() == 1 ? detail::send(fd_.get(), parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                                          : ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (put >= 0) return {Io::State::done, static_cast<std::size_t>(put)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {Io::State::would_block};
    error_ = errno;
    return {errno == EPIPE || errno == ECONNRESET ? Io::State::closed : Io::State::failed};
  }
}

void Transport::end_writing() noexcept {
  if (ssl_ != nullptr) {
    ::SSL_shutdown(ssl_);  // best effort, as in close()
    ::ERR_clear_error();
  }
  ::shutdown(fd_.get(), SHUT_WR);
}

std::string Transport::error() const {
  if (tls_error_ != 0) return detail::reason_of(tls_error_);
  return error_ != 0 ? std::strerror(error_) : "the connection was closed";
}

}  // namespace ashlar::net
