// Sockets: owned descriptors, listening, connecting, name resolution.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/net/address.hpp>

namespace ashlar::net {

/// A descriptor that is closed with its owner.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = false;  ///< several listeners share the port, the kernel spreads connections over them
  bool first = false;       ///< with reuse_port: no other listener may be there yet, those that come may share
};

/// A non-blocking listening socket. An existing Unix socket file that nobody listens on is replaced. Throws Unavailable
/// with what to do when the address is in use or not allowed.
Fd listen(const Address& address, ListenOptions options = {});

/// The address that the socket is bound to (the port that the kernel chose for port 0).
Address local_address(int fd);

/// Connects, non-blocking, with TCP_NODELAY. The deadline is the context's, or `async::timeout` around it. Throws
/// Unavailable with the address and the reason.
Task<Fd> connect(Address address);

/// Addresses of a host by the system's resolver (on the blocking pool), numeric ones at once. Throws Unavailable when
/// the name has none.
Task<std::vector<Address>> resolve(std::string host, std::uint16_t port);

/// Awaitable: until the descriptor is readable (EPOLLIN) or writable (EPOLLOUT). Nobody else may watch it meanwhile.
Task<void> ready(int fd, std::uint32_t events);

}  // namespace ashlar::net
