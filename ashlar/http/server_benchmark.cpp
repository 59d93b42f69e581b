// What a request costs in the server alone: `http_benchmark serve 8123` answers a plain text; `http_benchmark ask 8123
// 10000 [depth]` asks one after the other on one connection, `depth` at a time, and prints requests a second.
//
//   valgrind --tool=callgrind http_benchmark serve 8123 &   then ask 1000 and /stop; again with 11000; the difference
//   of the two instruction counts, by 10000, is the price of a request.
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>

#include <ashlar/async/loop.hpp>
#include <ashlar/http/server.hpp>
#include <ashlar/net/socket.hpp>

namespace {

using namespace ashlar;

class Hello final : public http::Handler {
 public:
  void handle(http::Exchange& exchange) noexcept override {
    exchange.response.content_type = "text/plain";
    exchange.response.body = "Hello, World!";
    if (exchange.request.path == "/stop") async::Loop::current().stop();
    exchange.finish();
  }
};

int serve(const std::string& port) {
  Hello hello;
  async::Loop loop;
  http::Server server({.listen = {"127.0.0.1:" + port}}, hello);
  server.bind();
  server.start(loop);
  loop.run();
  return 0;
}

int ask(const std::string& port, int count, int depth) {
  const auto address = net::Address::parse("127.0.0.1:" + port);
  const net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), address->data(), address->size()) != 0) return 1;
  constexpr std::string_view kGet =
      "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8123\r\nUser-Agent: ashlar-benchmark\r\nAccept: */*\r\n\r\n";
  std::string batch;
  for (int i = 0; i < depth; ++i) batch += kGet;
  const auto began = std::chrono::steady_clock::now();
  char bytes[64 * 1024];
  std::size_t size = 0;  // of one answer; they all have the same
  for (int asked = 0; asked < count; asked += depth) {
    if (::send(fd.get(), batch.data(), batch.size(), 0) < 0) return 1;
    for (std::size_t left = size * static_cast<std::size_t>(depth); left != 0 || size == 0;) {
      const ssize_t got = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (got <= 0) return 1;
      if (size == 0) {
        size = std::string_view(bytes, static_cast<std::size_t>(got)).find("World!") + 6;
        left = size * static_cast<std::size_t>(depth);
      }
      left -= static_cast<std::size_t>(got);
    }
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began;
  fmt::print("{:.0f} requests a second\n", count / spent.count());
  constexpr std::string_view kStop = "GET /stop HTTP/1.1\r\nHost: a\r\n\r\n";
  if (std::getenv("STOP") != nullptr) {
    static_cast<void>(::send(fd.get(), kStop.data(), kStop.size(), 0));
    static_cast<void>(::recv(fd.get(), bytes, sizeof bytes, 0));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 2 ? argv[1] : "";
  if (what == "serve") return serve(argv[2]);
  if (what == "ask" && argc > 3) return ask(argv[2], std::atoi(argv[3]), argc > 4 ? std::atoi(argv[4]) : 1);
  fmt::print("usage: http_benchmark serve PORT | ask PORT COUNT [DEPTH]\n");
  return 2;
}
