// When the client sends a request again, and when it does not.
#include <gtest/gtest.h>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client_test.hpp>

namespace ashlar::http::test {
namespace {

constexpr std::string_view kBusy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

RetryPolicy fast(unsigned retries) { return {.retries = retries, .first_backoff = 1ms, .max_backoff = 5ms}; }

/// Answers with these in turn, over any number of connections, and counts.
class Answers {
 public:
  explicit Answers(std::vector<std::string> answers)
      : answers_(std::move(answers)), server_([this](RawPeer& peer, int) {
          while (!peer.until("\r\n\r\n").empty()) {
            const std::size_t number = count++;
            if (!peer.send(answers_[std::min(number, answers_.size() - 1)])) return;
          }
        }) {}
  std::atomic<std::size_t> count{0};
  [[nodiscard]] std::string where() const { return url(server_.address(), "/"); }

 private:
  std::vector<std::string> answers_;
  RawServer server_;
};

TEST(ClientRetry, AsksAgainWhenTheServerIsBusy) {
  Answers server({std::string(kBusy), std::string(kBusy), std::string(kOk)});
  Client client({.retry = fast(3)});
  EXPECT_EQ(async::run(client.get(server.where())).body, "ok");
  EXPECT_EQ(server.count, 3u);
  EXPECT_EQ(client.stats().retries, 2u);
  client.close_idle();
}

TEST(ClientRetry, GivesTheLastAnswerWhenItHasTriedEnough) {
  Answers server({std::string(kBusy)});
  Client client({.retry = fast(2)});
  const ClientResponse response = async::run(client.get(server.where()));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "busy");
  EXPECT_EQ(server.count, 3u);
}

TEST(ClientRetry, DoesNotByItself) {
  Answers server({std::string(kBusy)});
  Client client;
  EXPECT_EQ(async::run(client.get(server.where())).status, 503);
  EXPECT_EQ(server.count, 1u);
}

TEST(ClientRetry, RepeatsAPostOnlyWithAnIdempotencyKey) {
  Answers server({std::string(kBusy), std::string(kBusy), std::string(kOk)});
  Client client({.retry = fast(3)});
  EXPECT_EQ(async::run(client.post(server.where(), "")).status, 503);
  EXPECT_EQ(server.count, 1u);
  const auto response =
      async::run(client.send({.method = "POST", .url = server.where(), .headers = {{"Idempotency-Key", "1"}}}));
  EXPECT_EQ(response.status, 200);
}

TEST(ClientRetry, RepeatsAnythingThatNeverWentOut) {
  net::Fd closed = RawServer::listen_anywhere();
  const net::Address address = net::local_address(closed.get());
  closed.reset();
  Client client({.retry = fast(2)});
  EXPECT_NE(message_of(client, {.method = "POST", .url = url(address, "/"), .body = "x"}).find("cannot connect"),
            std::string::npos);
  EXPECT_EQ(client.stats().retries, 2u);
}

TEST(ClientRetry, DoesNotRepeatWhatIsHopeless) {
  Answers server({"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"});
  Client client({.retry = fast(3)});
  EXPECT_NE(message_of(client, {.url = server.where()}).find("more than one Content-Length"), std::string::npos);
  EXPECT_EQ(server.count, 1u);
}

TEST(ClientRetry, WaitsAsLongAsTheServerAsksAndNoLongerThanAllowed) {
  const std::string soon = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n";
  const std::string late = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 3600\r\n\r\n";
  Answers server({soon, std::string(kOk), late});
  Client client({.retry = fast(3)});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(async::run(client.get(server.where())).status, 200);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_EQ(async::run(client.get(server.where())).status, 429);
  EXPECT_EQ(server.count, 3u);
}

TEST(ClientRetry, DoesNotBeginWhatWouldEndAfterTheDeadline) {
  Answers server({"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 9\r\n\r\n"});
  Client client({.timeout = 5s, .retry = fast(3)});
  EXPECT_EQ(async::run(client.get(server.where())).status, 503);
  EXPECT_EQ(server.count, 1u);
}

TEST(ClientRetry, KeepsToItsBudget) {
  Answers server({std::string(kBusy)});
  RetryPolicy policy = fast(1);
  policy.budget = 0.1;
  policy.burst = 2;
  Client client({.retry = policy});
  async::run([](Client& client, const std::string& where) -> Task<void> {
    for (int i = 0; i < 40; ++i) EXPECT_EQ((co_await client.get(where)).status, 503);
    client.close_idle();
  }(client, server.where()));
  EXPECT_GE(client.stats().retries, 4u);
  EXPECT_LE(client.stats().retries, 6u) << "two that were saved up, and a tenth of forty";
}

TEST(ClientRetry, StreamsAgainFromTheBeginning) {
  std::vector<std::string> bodies;
  RawServer server([&](RawPeer& peer, int) {
    while (!peer.until("\r\n\r\n").empty()) {
      bodies.push_back(peer.until("0\r\n\r\n"));
      peer.send(bodies.size() == 1 ? kBusy : kOk);
    }
  });
  {
    Client client({.retry = fast(1)});
    const auto made = []() -> Generator<std::string> { co_yield std::string("abc"); };
    EXPECT_EQ(async::run(client.send({.method = "PUT", .url = url(server.address(), "/"), .stream = made})).body, "ok");
  }
  ASSERT_EQ(bodies.size(), 2u);
  EXPECT_EQ(bodies[0], "3\r\nabc\r\n0\r\n\r\n");
  EXPECT_EQ(bodies[1], bodies[0]);
}

}  // namespace
}  // namespace ashlar::http::test
