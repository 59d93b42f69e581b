// The HTTP server alone, without routing, binding or middleware: what the layer above it adds is the difference to app.
//   http_server PORT
#include <fmt/core.h>
#include <ashlar/async/loop.hpp>
#include <ashlar/http/server.hpp>

#include <csignal>
#include <string>

using namespace ashlar;

namespace {

class Hello final : public http::Handler {
 public:
  void handle(http::Exchange& exchange) noexcept override {
    exchange.response.content_type = "text/plain; charset=utf-8";
    exchange.response.body = "Hello, World!";
    exchange.finish();
  }
};

async::Loop* serving = nullptr;

}  // namespace

int main(int argc, char** argv) {
  Hello hello;
  async::Loop loop;
  http::Server server({.listen = {fmt::format("127.0.0.1:{}", argc > 1 ? argv[1] : "0")}}, hello);
  server.bind();
  server.start(loop);
  serving = &loop;
  std::signal(SIGTERM, [](int) { serving->stop(); });
  loop.run();
}
