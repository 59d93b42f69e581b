// The code of docs/guide/http.md.
#include <gtest/gtest.h>

#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/client.hpp>
#include <ashlar/http/server.hpp>

namespace {

using namespace ashlar;

// sample: handler
class Hello final : public http::Handler {
 public:
  void handle(http::Exchange& exchange) noexcept override {
    exchange.response.content_type = "text/plain";
    exchange.response.body = "hello";
    exchange.finish();
  }
};
// end of sample

// sample: serve
Task<void> serve_until(async::Event& stop, http::Server& server) {
  async::Loop& loop = async::Loop::current();
  server.start(loop);
  co_await stop.wait();
  co_await server.drain(loop);
}
// end of sample

// sample: client
Task<std::string> greeting(http::Client& client, std::string where) {
  const http::ClientResponse response = co_await client.send({
      .url = where + "/hello",
      .headers = {{"Accept", "text/plain"}},
      .timeout = std::chrono::seconds{2},
  });
  if (response.status != 200) throw Unavailable("the greeter has a bad day");
  co_return response.body;
}
// end of sample

TEST(HttpGuide, ServesAndAsks) {
  Hello hello;
  http::Server server{{.listen = {"127.0.0.1:0"}, .drain_grace = std::chrono::milliseconds{10}}, hello};
  server.bind();
  http::Client client;
  async::run([](http::Server& server, http::Client& client) -> Task<void> {
    async::Event stop;
    const auto ask = [&]() -> Task<void> {
      EXPECT_EQ(co_await greeting(client, "http://" + server.addresses().front().to_string()), "hello");
      client.close_idle();
      stop.set();
    };
    co_await async::all(serve_until(stop, server), ask());
  }(server, client));
}

}  // namespace
