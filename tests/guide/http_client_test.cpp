// The code of docs/guide/http-client.md.
#include <gtest/gtest.h>

#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/client.hpp>
#include <ashlar/http/server.hpp>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

// sample: ask
Task<std::string> search(http::Client& client, std::string where, std::string words) {
  const http::ClientResponse response = co_await client.send({
      .url = where + "/search",
      .headers = {{"Accept", "text/plain"}},
      .timeout = 2s,
      .query = {{"q", std::move(words)}},
  });
  co_return response.error_for_status().body;
}
// end of sample

// sample: retries
http::ClientOptions patient() {
  return {
      .timeout = 10s,
      .follow_redirects = 5,
      .retry = {.retries = 3, .budget = 0.1},
  };
}
// end of sample

// sample: http2
http::ClientOptions to_our_mesh() {
  return {
      .http2 = {.prior_knowledge = true, .ping_after = 5s},
  };
}
// end of sample

// sample: hooks
http::ClientOptions for_web_hooks() {
  return {
      .timeout = 5s,
      .max_body = 64 * 1024,
      .destinations = http::Destinations::public_only().allow("hooks.internal"),
  };
}
// end of sample

// sample: upload
Task<int> upload(http::Client& client, std::string url) {
  const auto lines = []() -> Generator<std::string> {
    for (int i = 0; i < 1000; ++i) co_yield "line " + std::to_string(i) + "\n";
  };
  const auto response = co_await client.send({
      .method = "PUT",
      .url = std::move(url),
      .stream = lines,
      .expect_continue = true,
  });
  co_return response.status;
}
// end of sample

// sample: download
Task<std::size_t> download(http::Client& client, std::string url) {
  http::StreamedResponse streamed = co_await client.stream({.url = std::move(url)});
  streamed.response.error_for_status();
  std::size_t size = 0;
  while (auto piece = co_await streamed.body.next()) size += piece->size();
  co_return size;
}
// end of sample

class Echo final : public http::Handler {
 public:
  void handle(http::Exchange& exchange) noexcept override {
    exchange.response.content_type = "text/plain";
    exchange.response.body = exchange.request.body.empty() ? exchange.request.query : exchange.request.body;
    exchange.finish();
  }
};

Task<void> serve_until(async::Event& stop, http::Server& server) {
  async::Loop& loop = async::Loop::current();
  server.start(loop);
  co_await stop.wait();
  co_await server.drain(loop);
}

TEST(HttpClientGuide, AsksUploadsDownloadsAndGuards) {
  Echo echo;
  http::Server server{{.listen = {"127.0.0.1:0"}, .drain_grace = 10ms}, echo};
  server.bind();
  http::Client client{patient()};
  http::Client mesh{to_our_mesh()};
  http::Client hooks{for_web_hooks()};
  async::run([](http::Server& server, http::Client& client, http::Client& mesh, http::Client& hooks) -> Task<void> {
    async::Event stop;
    const auto ask = [&]() -> Task<void> {
      const std::string where = "http://" + server.addresses().front().to_string();
      EXPECT_EQ(co_await search(client, where, "a b"), "q=a%20b");
      for (http::Client* const one : {&client, &mesh}) {
        EXPECT_EQ(co_await upload(*one, where + "/lines"), 200);
        EXPECT_EQ(co_await download(*one, where + "/?12345"), 5u);
      }
      EXPECT_EQ(server.stats().http2_requests.get(), 2u);
      bool refused = false;
      try {
        static_cast<void>(co_await hooks.get(where));
      } catch (const http::DestinationRefused&) {
        refused = true;
      }
      EXPECT_TRUE(refused);
      client.close_idle();
      mesh.close_idle();
      stop.set();
    };
    co_await async::all(serve_until(stop, server), ask());
  }(server, client, mesh, hooks));
}

}  // namespace
