// Both ends of a connection on one loop, for the tests.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include <ashlar/base/error.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::net::test {

inline Task<Fd> accept_one(int listener) {
  co_await ready(listener, EPOLLIN);
  co_return Fd{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
}

inline Task<void> write_all(Transport& transport, std::string text) {
  std::string_view left = text;
  while (!left.empty()) {
    const Io io = transport.write(left);
    if (io.state == Io::State::done) {
      left.remove_prefix(io.bytes);
    } else if (io.state == Io::State::would_block) {
      co_await ready(transport.fd(), transport.wants_write() ? EPOLLOUT : EPOLLIN);
    } else {
      throw Unavailable(transport.error());
    }
  }
}

inline Task<std::string> read_some(Transport& transport, std::size_t wanted) {
  std::string text;
  while (text.size() < wanted) {
    char buffer[4096];
    const Io io = transport.read(buffer);
    if (io.state == Io::State::done) {
      text.append(buffer, io.bytes);
    } else if (io.state == Io::State::would_block) {
      co_await ready(transport.fd(), transport.wants_write() ? EPOLLOUT : EPOLLIN);
    } else {
      break;
    }
  }
  co_return text;
}

}  // namespace ashlar::net::test
