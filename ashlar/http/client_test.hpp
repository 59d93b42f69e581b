// Servers that misbehave on purpose, for the tests of the client.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <ashlar/http/client.hpp>
#include <ashlar/http/server_test.hpp>

namespace ashlar::http::test {

inline std::string url(const net::Address& address, std::string_view path) {
  return "http://" + address.to_string() + std::string(path);
}

inline constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The other end of a connection, blocking.
class RawPeer {
 public:
  explicit RawPeer(net::Fd fd) : fd_(std::move(fd)) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  /// Everything up to and with the marker; what there is when the connection ends before.
  std::string until(std::string_view marker) {
    std::size_t at = 0;
    while ((at = buffer_.find(marker)) == std::string::npos) {
      if (!fill()) return std::exchange(buffer_, {});
    }
    std::string result = buffer_.substr(0, at + marker.size());
    buffer_.erase(0, at + marker.size());
    return result;
  }
  std::string bytes(std::size_t size) {
    while (buffer_.size() < size && fill()) {
    }
    std::string result = buffer_.substr(0, size);
    buffer_.erase(0, result.size());
    return result;
  }
  std::string rest() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void end() { ::shutdown(fd_.get(), SHUT_RDWR); }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  bool fill() {
    char bytes[16 * 1024];
    const ssize_t more = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (more > 0) buffer_.append(bytes, static_cast<std::size_t>(more));
    return more > 0;
  }
  net::Fd fd_;
  std::string buffer_;
};

/// Runs the function for each connection, on a thread of its own. The number counts connections from 0.
class RawServer {
 public:
  explicit RawServer(std::function<void(RawPeer&, int)> serve) : listener_(listen_anywhere()) {
    address_ = net::local_address(listener_.get());
    thread_ = std::thread([this, serve = std::move(serve)] {
      std::vector<std::thread> running;
      for (int number = 0;; ++number) {
        net::Fd fd(::accept(listener_.get(), nullptr, nullptr));
        if (!fd) break;
        {
          const std::lock_guard lock(mutex_);
          open_.push_back(::dup(fd.get()));
        }
        running.emplace_back([&serve, number, fd = std::move(fd)]() mutable {
          RawPeer peer(std::move(fd));
          serve(peer, number);
          peer.end();
        });
      }
      for (std::thread& one : running) one.join();
    });
  }
  ~RawServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    thread_.join();
    for (const int fd : open_) ::close(fd);
  }
  [[nodiscard]] const net::Address& address() const { return address_; }

  static net::Fd listen_anywhere() {
    net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto any = net::Address::parse("127.0.0.1:0");
    EXPECT_EQ(::bind(fd.get(), any->data(), any->size()), 0);
    EXPECT_EQ(::listen(fd.get(), 256), 0);
    return fd;
  }

 private:
  net::Fd listener_;
  net::Address address_;
  std::mutex mutex_;
  std::vector<int> open_;
  std::thread thread_;
};

/// A server that follows a script: for each connection in turn, for each request in turn, sends an answer as it is.
/// An empty answer: closes without one.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::vector<std::string>> connections) : listener_(RawServer::listen_anywhere()) {
    address_ = net::local_address(listener_.get());
    thread_ = std::thread([this, connections = std::move(connections)] {
      for (const auto& answers : connections) {
        const net::Fd fd(::accept(listener_.get(), nullptr, nullptr));
        const timeval limit{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        for (const std::string& answer : answers) {
          std::string got;
          char bytes[4096];
          while (got.find("\r\n\r\n") == std::string::npos) {
            const ssize_t more = ::recv(fd.get(), bytes, sizeof bytes, 0);
            if (more <= 0) break;
            got.append(bytes, static_cast<std::size_t>(more));
          }
          {
            const std::lock_guard lock(mutex_);
            requests_.push_back(got);
          }
          if (answer.empty()) break;
          static_cast<void>(::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
        }
      }
    });
  }
  ~ScriptedServer() { thread_.join(); }

  [[nodiscard]] const net::Address& address() const { return address_; }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  net::Fd listener_;
  net::Address address_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

/// Sends a request and cancels it when a script says so.
inline Task<void> cancelled_when(async::Event& there, Client& client, ClientRequest request) {
  const auto cancelling = [&]() -> Task<ClientResponse> {
    co_await there.wait();
    throw Conflict("enough");
  };
  bool enough = false;
  try {
    static_cast<void>(co_await async::race(client.send(std::move(request)), cancelling()));
  } catch (const Conflict&) {
    enough = true;
  }
  EXPECT_TRUE(enough);
  EXPECT_EQ(client.stats().active, 0U);
}

/// What the client throws for this request.
inline std::string message_of(Client& client, ClientRequest request) {
  try {
    static_cast<void>(async::run(client.send(std::move(request))));
    return "nothing";
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace ashlar::http::test
