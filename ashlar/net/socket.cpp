#include <ashlar/net/socket.hpp>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::net {
namespace {

Fd make_socket(int family) {
  Fd fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) throw Unavailable(fmt::format("cannot make a socket: {}", std::strerror(errno)));
  return fd;
}

void set_option(const Fd& fd, int level, int option, int value) {
  ::setsockopt(fd.get(), level, option, &value, sizeof value);
}

void replace_dead_unix_socket(const Address& address) {
  const Fd probe = make_socket(AF_UNIX);
  if (::connect(probe.get(), address.data(), address.size()) != 0 && errno == ECONNREFUSED) {
    ::unlink(address.host().c_str());
  }
}

class Ready final : public async::Waiter, private async::IoHandler {
 public:
  Ready(int fd, std::uint32_t events) noexcept : fd_(fd), events_(events) {}
  bool await_ready() noexcept {
    if (!cancelled_already()) [[likely]]
      return false;
    mark_cancelled();
    return true;
  }
  void await_suspend(std::coroutine_handle<> handle) {
    async::Loop::current().add(fd_, events_, *this);
    suspend(handle);
  }
  void await_resume() const { check_cancelled(); }

 private:
  void on_io(std::uint32_t) noexcept override {
    async::Loop::current().remove(fd_, *this);
    wake();
  }
  void on_cancel() noexcept override {
    async::Loop::current().remove(fd_, *this);
    mark_cancelled();
    wake();
  }
  int fd_;
  std::uint32_t events_;
};

}  // namespace

Task<void> ready(int fd, std::uint32_t events) { co_await Ready{fd, events}; }

void Fd::reset() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Fd listen(const Address& address, ListenOptions options) {
  Fd fd = make_socket(address.family());
  if (address.is_unix()) {
    replace_dead_unix_socket(address);
  } else {
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reuse_port && !options.first) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  }
  if (::bind(fd.get(), address.data(), address.size()) != 0 || ::listen(fd.get(), options.backlog) != 0) {
    const int error = errno;
    const char* hint = error == EADDRINUSE ? "; another program uses it: stop that one or choose another port"
                       : error == EACCES   ? "; ports below 1024 need a privilege: choose another port"
                                           : "";
    throw Unavailable(fmt::format("cannot listen on {}: {}{}", address.to_string(), std::strerror(error), hint));
  }
  // Only now: with it, a second program would get half of the first one's connections, and no error.
  if (options.reuse_port && options.first) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  return fd;
}

Address local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return Address{reinterpret_cast<const sockaddr*>(&storage), size};
}

Task<Fd> connect(Address address) {
  Fd fd = make_socket(address.family());
  if (!address.is_unix()) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  int error = 0;
  if (::connect(fd.get(), address.data(), address.size()) != 0) error = errno;
  if (error == EINPROGRESS) {
    co_await ready(fd.get(), EPOLLOUT);
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) {
    throw Unavailable(fmt::format("cannot connect to {}: {}", address.to_string(), std::strerror(error)));
  }
  co_return fd;
}

Task<std::vector<Address>> resolve(std::string host, std::uint16_t port) {
  if (auto numeric = Address::ip(host, port)) co_return std::vector<Address>{*numeric};
  co_return co_await async::offload([&] {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (error != 0) throw Unavailable(fmt::format("cannot resolve '{}': {}", host, ::gai_strerror(error)));
    std::vector<Address> addresses;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      addresses.emplace_back(one->ai_addr, one->ai_addrlen);
    }
    ::freeaddrinfo(found);
    return addresses;
  });
}

}  // namespace ashlar::net
