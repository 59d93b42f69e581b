// Any bytes behind the preface of HTTP/2, in any pieces, through a real server on a socket: it answers, refuses or ends
// the connection, and forgets it.
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/runtime.hpp>
#include <ashlar/async/timer.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/server.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/net/transport.hpp>

namespace {

using namespace ashlar;

class Answering final : public http::Handler, private async::Completion {
 public:
  void handle(http::Exchange& exchange) noexcept override {
    const http::Request& request = exchange.request;
    fuzz::require(request.path.starts_with('/') || request.path == "*");
    fuzz::require(!request.authority.empty() && request.has(http::KnownHeader::host));
    for (const http::Header& header : request.headers()) {
      fuzz::require(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
      fuzz::require(request.header(header.name).has_value());
    }
    ++open;
    if (exchange.body != nullptr) return async::launch(read(exchange), *this);
    exchange.response.header("X-Path", "fuzz");
    exchange.response.body = request.body;
    if (request.path.size() > 4) exchange.response.body.assign(100'000, 'x');
    --open;
    exchange.finish();
  }
  http::BodyPlan plan_body(const http::Request& head, std::uint64_t) noexcept override {
    return {.limit = 256, .stream = head.method == http::Method::put};
  }
  int open = 0;

 private:
  Task<void> read(http::Exchange& exchange) {
    try {
      while (!(co_await exchange.body->next()).empty()) {
      }
    } catch (const Error&) {
      exchange.response.status = 400;
    }
    --open;
    exchange.finish();
  }
  void on_complete(std::exception_ptr) noexcept override {}
};

class Running {
 public:
  Running() {
    fuzz::require(::mkdtemp(folder_) != nullptr);
    http::ServerOptions options{.listen = {"unix:" + path()}};
    options.http2.max_concurrent_streams = 4;
    options.http2.stream_window = 1024;
    options.http2.control_burst = 50;
    options.http2.reset_burst = 5;
    options.head = {.max_head = 512, .max_target = 128, .max_headers = 10};
    server_ = std::make_unique<http::Server>(std::move(options), handler);
    server_->bind();
    server_->start(loop_);
  }
  ~Running() {
    server_.reset();
    ::unlink(path().c_str());
    ::rmdir(folder_);
  }

  // Sends the bytes in pieces, ends the connection, and sees that the server has forgotten it.
  void feed(std::string bytes, std::size_t step) {
    async::run(loop_, converse(server_->addresses().front(), std::move(bytes), step));
    fuzz::require(handler.open == 0);
  }

  Answering handler;

 private:
  [[nodiscard]] std::string path() const { return std::string(folder_) + "/socket"; }

  Task<void> converse(net::Address address, std::string bytes, std::size_t step) {
    net::Transport transport(co_await net::connect(address));
    char answer[16 * 1024];
    bool open = true;
    for (std::size_t at = 0; at < bytes.size() && open; at += step) {
      open = transport.write(std::string_view(bytes).substr(at, step)).state == net::Io::State::done;
      co_await net::ready(transport.fd(), EPOLLOUT);  // the server has its turn
    }
    transport.end_writing();
    while (true) {
      const net::Io io = transport.read(answer);
      if (io.state == net::Io::State::would_block) {
        co_await net::ready(transport.fd(), EPOLLIN);
      } else if (io.state != net::Io::State::done) {
        break;
      }
    }
    transport.close();
    while (server_->stats().connections.get() != 0) co_await async::sleep(std::chrono::milliseconds{1});
    const http::ServerStats stats = server_->stats();
    fuzz::require(stats.requests_running.get() == 0 && stats.requests_suspended.get() == 0 && stats.streams.get() == 0);
    fuzz::require(stats.http2_connections.get() == 0);
  }

  char folder_[32] = "/tmp/ashlar-fuzz-XXXXXX";
  async::Loop loop_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Running running;
  if (size == 0) return 0;
  const std::size_t step = data[0] == 0 ? size : data[0];
  running.feed(
      std::string(http::detail::kHttp2Preface) + std::string(reinterpret_cast<const char*>(data) + 1, size - 1),
      step + (data[0] == 0 ? http::detail::kHttp2Preface.size() : 0));
  return 0;
}
