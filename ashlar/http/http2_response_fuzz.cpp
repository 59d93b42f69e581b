// Any bytes of a server, in any pieces, to a client that asks in HTTP/2: each request ends with an answer or an error,
// and nothing is left of it.
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/client.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/net/transport.hpp>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

// An empty SETTINGS: without one nothing else is looked at.
constexpr std::string_view kGreeting("\0\0\0\4\0\0\0\0\0", 9);

class Scripted {
 public:
  Scripted() : listener_(listen(folder_)) {}
  ~Scripted() {
    ::unlink(path().c_str());
    ::rmdir(folder_);
  }

  void feed(std::string bytes, std::size_t step) {
    bytes_ = std::move(bytes);
    step_ = step;
    async::run(loop_, converse());
  }

 private:
  static net::Fd listen(char* folder) {
    fuzz::require(::mkdtemp(folder) != nullptr);
    return net::listen(*net::Address::unix_path(std::string(folder) + "/socket"));
  }
  [[nodiscard]] std::string path() const { return std::string(folder_) + "/socket"; }

  Task<void> converse() {
    http::ClientOptions options{.timeout = 20s, .max_connections_per_host = 1, .max_head = 512, .max_body = 2048};
    options.retry.first_backoff = 1ms;
    options.http2 = {.prior_knowledge = true, .max_concurrent_streams = 3, .stream_window = 1024, .ping_after = 0s};
    http::Client client(std::move(options));
    const auto clients = [&]() -> Task<void> {
      const auto body = []() -> Generator<std::string> {
        for (int i = 0; i < 3; ++i) co_yield std::string(30'000, 's');
      };
      co_await async::all(ask(client, {.url = "http://h/"}), ask(client, {.method = "HEAD", .url = "http://h/"}),
                          ask(client, {.method = "POST", .url = "http://h/", .body = std::string(100'000, 'b')}),
                          ask(client, {.method = "PUT", .url = "http://h/", .stream = body}),
                          stream(client, {.url = "http://h/"}));
    };
    const auto server = [&]() -> Task<bool> {
      for (;;) {
        co_await net::ready(listener_.get(), EPOLLIN);
        co_await speak(net::Transport(net::Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK))));
      }
    };
    const auto asking = [&]() -> Task<bool> {
      co_await clients();
      co_return true;
    };
    fuzz::require(co_await async::race(asking(), server()));
    const http::ClientStats stats = client.stats();
    fuzz::require(stats.active == 0 && stats.waiting == 0);
    client.close_idle();
    fuzz::require(client.stats().idle == 0);
  }

  Task<void> speak(net::Transport transport) {
    for (std::size_t at = 0; at < bytes_.size(); at += step_) {
      const net::Io io = transport.write(std::string_view(bytes_).substr(at, step_));
      if (io.state != net::Io::State::done) co_return;
      co_await net::ready(transport.fd(), EPOLLOUT);  // the client has its turn
    }
    transport.end_writing();
    ::shutdown(transport.fd(), SHUT_WR);
    char heard[16 * 1024];
    for (;;) {
      const net::Io io = transport.read(heard);
      if (io.state == net::Io::State::would_block) {
        co_await net::ready(transport.fd(), EPOLLIN);
      } else if (io.state != net::Io::State::done) {
        co_return;
      }
    }
  }

  static void check(const http::ClientResponse& response) {
    fuzz::require(response.status >= 200 && response.status <= 999);
    response.for_each_header([](std::string_view name, std::string_view value) {
      fuzz::require(!name.empty() && !name.starts_with(':'));
      fuzz::require(name.find_first_of(" \t\r\n:") == std::string_view::npos);
      fuzz::require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    });
  }

  Task<void> ask(http::Client& client, http::ClientRequest request) {
    request.unix_socket = path();
    const bool head = request.method == "HEAD";
    try {
      const http::ClientResponse response = co_await client.send(std::move(request));
      check(response);
      fuzz::require(response.body.size() <= 2048 && (!head || response.body.empty()));
    } catch (const Error&) {
    }
  }

  Task<void> stream(http::Client& client, http::ClientRequest request) {
    request.unix_socket = path();
    try {
      http::StreamedResponse streamed = co_await client.stream(std::move(request));
      check(streamed.response);
      co_await streamed.body.next();  // and no more: the rest is dropped
    } catch (const Error&) {
    }
  }

  char folder_[32] = "/tmp/ashlar-fuzz-XXXXXX";
  net::Fd listener_;
  async::Loop loop_;
  std::string bytes_;
  std::size_t step_ = 1;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Scripted scripted;
  if (size == 0) return 0;
  std::string bytes(kGreeting);
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  scripted.feed(bytes, data[0] == 0 ? bytes.size() : data[0]);
  return 0;
}
