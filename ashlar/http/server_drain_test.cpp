#include <fcntl.h>

#include <ashlar/http/server_test.hpp>

namespace ashlar::http::test {
namespace {

TEST(ServerDrain, AnswersWhatRunsWithConnectionClose) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/gate?x"));
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.requests_suspended.get() == 1; }));
  auto drained = server.drain();
  server.handler.open_gate();
  const Answer answer = client.answer();
  EXPECT_EQ(answer.body, "gate x");
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(client.ended());
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(ServerDrain, AnswersAPipelineThatHasArrivedAndClosesWithTheLast) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/gate?x"));
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.requests_suspended.get() == 1; }));
  client.send(get("/1") + get("/2"));
  auto drained = server.drain();
  server.handler.open_gate();
  EXPECT_FALSE(client.answer().has("Connection: close\r\n"));
  EXPECT_FALSE(client.answer().has("Connection: close\r\n"));
  EXPECT_TRUE(client.answer().has("Connection: close\r\n"));
  EXPECT_TRUE(client.ended());
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(ServerDrain, AnswersARequestOnAConnectionThatWasIdle) {
  RunningServer server({.drain_grace = 10s});
  TestClient client(server.address());
  EXPECT_EQ(client.ask(get("/")).status, 200);
  auto drained = server.drain();
  const Answer answer = client.ask(get("/late"));
  EXPECT_EQ(answer.status, 200);
  while (!answer.has("Connection: close\r\n")) {  // the drain may begin after this answer: then the next one closes
    const Answer next = client.ask(get("/later"));
    ASSERT_EQ(next.status, 200);
    if (next.has("Connection: close\r\n")) break;
  }
  EXPECT_TRUE(client.ended());
  client.close();
  EXPECT_EQ(drained.wait_for(5s), std::future_status::ready);
}

TEST(ServerDrain, ClosesAnIdleConnectionInOrderAfterTheGrace) {
  RunningServer server({.drain_grace = 30ms});
  TestClient client(server.address());
  EXPECT_EQ(client.ask(get("/")).status, 200);
  auto drained = server.drain();
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(client.try_send(get("/too-late")));  // is read and dropped: no reset
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(ServerDrain, CancelsWhatDoesNotEnd) {
  RunningServer server({.drain_grace = 10ms, .drain_timeout = 50ms});
  TestClient client(server.address());
  client.send(get("/gate"));
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.requests_suspended.get() == 1; }));
  auto drained = server.drain();
  EXPECT_EQ(client.answer().status, 503);
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(server.handler.cancelled.load(), 1);
}

// Every client asks as fast as it can, on kept connections and on new ones, while the server drains. A request may stay
// unanswered only if the server had not accepted its connection, or had ended it in order before the answer began.
TEST(ServerDrain, DropsNoAcceptedRequestUnderLoad) {
  for (int round = 0; round < 5; ++round) {
    auto server = std::make_unique<RunningServer>(ServerOptions{.drain_grace = 200ms}, 2);
    const net::Address address = server->address();
    std::atomic<int> answered{0};
    std::atomic<int> dropped{0};
    std::atomic<int> said_close{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 8; ++i) {
      clients.emplace_back([&, i] {
        while (true) {
          net::Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
          const int connecting = ::connect(probe.get(), address.data(), address.size());
          if (connecting != 0 && errno != EINPROGRESS) return;
          pollfd writable{.fd = probe.get(), .events = POLLOUT, .revents = 0};
          if (::poll(&writable, 1, 2000) != 1) return;  // the SYN was dropped: nobody listens any more
          int error = 0;
          socklen_t size = sizeof error;
          ::getsockopt(probe.get(), SOL_SOCKET, SO_ERROR, &error, &size);
          if (error != 0) return;  // refused: not accepted
          ::fcntl(probe.get(), F_SETFL, 0);
          const int asks = i % 2 == 0 ? 1 << 30 : 3;
          for (int n = 0; n < asks; ++n) {
            const std::string ask = get("/");
            std::string got;
            char bytes[4096];
            if (::send(probe.get(), ask.data(), ask.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(ask.size())) {
              ++dropped;
              break;
            }
            ssize_t more = 0;
            while (got.find("hello") == std::string::npos && (more = ::recv(probe.get(), bytes, sizeof bytes, 0)) > 0) {
              got.append(bytes, static_cast<std::size_t>(more));
            }
            if (got.find("hello") == std::string::npos) {
              ++dropped;
              break;
            }
            ++answered;
            if (got.find("Connection: close") != std::string::npos) {
              ++said_close;
              break;
            }
          }
        }
      });
    }
    ASSERT_TRUE(server->becomes([](const ServerStats& stats) { return stats.requests.get() > 500; }));
    auto drained = server->drain();
    EXPECT_EQ(drained.wait_for(20s), std::future_status::ready);
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(dropped.load(), 0);
    EXPECT_GT(said_close.load(), 0);
    EXPECT_EQ(static_cast<std::uint64_t>(answered.load()), server->stats().requests.get());
  }
}

TEST(ServerDrain, AcceptsWhatWaitsInTheBacklog) {
  // The loop has not run yet when the client connects and asks: the connection waits in the kernel.
  TestHandler handler;
  Server server({.listen = {"127.0.0.1:0"}, .drain_grace = 20ms}, handler);
  server.bind();
  async::Loop loop;
  server.start(loop);
  TestClient client(server.addresses().front());
  client.send(get("/"));
  std::thread thread([&] { async::run(loop, server.drain(loop)); });
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(client.ended());
  client.close();
  thread.join();
}

}  // namespace
}  // namespace ashlar::http::test
