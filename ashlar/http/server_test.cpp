#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/http/chunked.hpp>
#include <ashlar/http/client.hpp>
#include <ashlar/http/detail/response_writer.hpp>
#include <ashlar/http/server_test.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::test {
namespace {

TEST(Server, AnswersARequestAndKeepsTheConnection) {
  RunningServer server;
  TestClient client(server.address());
  for (int i = 0; i < 3; ++i) {
    const Answer answer = client.ask(get("/a%20b?c"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_TRUE(answer.has("X-Path: /a%20b\r\n"));
    EXPECT_TRUE(answer.has("Content-Type: text/plain\r\n"));
    EXPECT_TRUE(answer.has("Content-Length: 5\r\n"));
    EXPECT_TRUE(answer.has("\r\nDate: "));
    EXPECT_TRUE(answer.has(" GMT\r\n"));
    EXPECT_FALSE(answer.has("Connection:"));
    EXPECT_FALSE(answer.has("Server:"));
  }
  EXPECT_EQ(server.stats().requests.get(), 3u);
  EXPECT_EQ(server.stats().accepted.get(), 1u);
}

TEST(Server, AnswersARequestThatComesByteByByte) {
  RunningServer server;
  TestClient client(server.address());
  for (const char c : post("/echo", "body")) client.send({&c, 1});
  EXPECT_EQ(client.answer().body, "body");
  EXPECT_EQ(client.ask(get("/")).body, "hello");
}

TEST(Server, KeepsTheHeadOfARequestWhoseBodyNeedsMoreRoom) {
  RunningServer server;
  TestClient client(server.address());
  // A body that goes on where the read buffer ends: the head moves with it.
  std::string head = "POST http://a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: ";
  head += std::string(16 * 1024 - head.size() - 4, 'x') + "\r\n\r\n";
  client.send(head);
  for (int i = 0; i < 10; ++i) client.send("400\r\n" + std::string(1024, 'b') + "\r\n");
  client.send("0\r\n\r\n");
  EXPECT_TRUE(client.answer().has("X-Path: /\r\n"));
}

TEST(Server, AnswersAPipelineInOrderWithOneConnection) {
  RunningServer server;
  TestClient client(server.address());
  std::string batch;
  for (int i = 0; i < 200; ++i) batch += get("/" + std::to_string(i)) + post("/echo", std::string(i * 7, 'p'));
  client.send(batch);
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(client.answer().has("X-Path: /" + std::to_string(i) + "\r\n"));
    EXPECT_EQ(client.answer().body, std::string(i * 7, 'p'));
  }
}

TEST(Server, SendsEarlierAnswersOfAPipelineBeforeAHandlerThatWaits) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/first") + get("/gate?1") + get("/last"));
  EXPECT_TRUE(client.answer().has("X-Path: /first\r\n"));
  server.handler.open_gate();
  EXPECT_EQ(client.answer().body, "gate 1");
  EXPECT_TRUE(client.answer().has("X-Path: /last\r\n"));
}

TEST(Server, ReadsTheNextRequestOnlyWhenTheHandlerHasAnswered) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/gate?1"));
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.requests_suspended.get() == 1; }));
  client.send(get("/gate?2"));
  TestClient other(server.address());
  EXPECT_EQ(other.ask(get("/")).status, 200);  // by now the loop has seen the second request's bytes
  EXPECT_EQ(server.stats().requests_running.get(), 1u);
  server.handler.open_gate();
  EXPECT_EQ(client.answer().body, "gate 1");
  EXPECT_EQ(client.answer().body, "gate 2");
}

TEST(Server, KeepsAnswersApartWhenOneHandlerFinishesAnothersExchange) {
  RunningServer server;
  TestClient held(server.address());
  held.send(get("/hold") + get("/after"));
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.requests_suspended.get() == 1; }));
  TestClient other(server.address());
  other.send(get("/before") + get("/finish"));
  EXPECT_TRUE(other.answer().has("X-Path: /before\r\n"));
  EXPECT_TRUE(other.answer().has("X-Path: /finish\r\n"));
  EXPECT_EQ(held.answer().body, "held");
  EXPECT_TRUE(held.answer().has("X-Path: /after\r\n"));
}

TEST(Server, TakesBodiesOfEverySizeInEveryFraming) {
  RunningServer server;
  TestClient client(server.address());
  for (const std::size_t size : {0UL, 1UL, 1000UL, 8191UL, 8192UL, 8193UL, 20'000UL, 300'000UL, 1'048'576UL}) {
    std::string body(size, 'b');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i * 31 % 26);
    EXPECT_EQ(client.ask(post("/echo", body)).body, body) << size;
    std::string chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (std::size_t at = 0; at < size; at += 1234) {
      const std::string piece = body.substr(at, 1234);
      char digits[kMostChunkDigits];
      chunked += std::string(format_chunk_size(piece.size(), digits)) + "\r\n" + piece + "\r\n";
    }
    EXPECT_EQ(client.ask(chunked + "0\r\nTrailer: x\r\n\r\n").body, body) << size;
  }
}

TEST(Server, LetsAHandlerAllowLargerBodies) {
  RunningServer server;
  TestClient client(server.address());
  EXPECT_EQ(client.ask(post("/upload", std::string(3'000'000, 'u'))).body.size(), 3'000'000u);
}

TEST(Server, Says100ContinueOnlyBeforeABodyThatItTakes) {
  RunningServer server;
  TestClient client(server.address());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer().status, 100);
  client.send("body");
  EXPECT_EQ(client.answer().body, "body");
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer().status, 413);
}

TEST(Server, AnswersHeadWithTheLengthAndNoBody) {
  RunningServer server;
  TestClient client(server.address());
  client.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(client.answer(true).has("Content-Length: 8388608\r\n"));
  client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(client.answer(true).has("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(client.ask(get("/")).body, "hello");
}

TEST(Server, Sends204WithoutBodyOrLength) {
  RunningServer server;
  TestClient client(server.address());
  const Answer answer = client.ask(get("/nothing"));
  EXPECT_EQ(answer.status, 204);
  EXPECT_FALSE(answer.has("Content-Length"));
  EXPECT_EQ(client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204);
  EXPECT_EQ(client.ask(get("/")).body, "hello");
}

TEST(Server, TakesAbsoluteFormAndHttp10) {
  RunningServer server;
  TestClient client(server.address());
  EXPECT_TRUE(client.ask("GET http://a/b HTTP/1.1\r\nHost: c\r\n\r\n").has("X-Path: /b\r\n"));
  const Answer kept = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(kept.has("Connection: keep-alive\r\n"));
  const Answer last = client.ask("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(last.has("Connection: close\r\n"));
  EXPECT_TRUE(client.ended());
}

TEST(Server, ClosesWhenEitherSideAsksForIt) {
  RunningServer server;
  TestClient client(server.address());
  EXPECT_TRUE(client.ask(get("/", "Connection: close\r\n")).has("Connection: close\r\n"));
  EXPECT_TRUE(client.ended());
  TestClient other(server.address());
  EXPECT_TRUE(other.ask(get("/close") + get("/never")).has("Connection: close\r\n"));
  EXPECT_TRUE(other.ended());
}

TEST(Server, AnswersAClientThatHasEndedItsSide) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/1") + get("/large"));
  client.end_sending();
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.answer().body.size(), 8u * 1024 * 1024);
  EXPECT_TRUE(client.ended());
}

TEST(Server, SendsLargeAndStaticBodies) {
  RunningServer server;
  TestClient client(server.address(), 16 * 1024);
  client.send(get("/large") + get("/static") + get("/"));
  EXPECT_EQ(client.answer().body, std::string(8 * 1024 * 1024, 'x'));
  EXPECT_EQ(client.answer().body, std::string(1024 * 1024, 's'));
  EXPECT_EQ(client.answer().body, "hello");
}

TEST(Server, StreamsChunkedWithLengthAndToTheEndOfTheConnection) {
  RunningServer server;
  TestClient client(server.address());
  const std::string whole = "aaaabbbbccccddddeeee";
  Answer answer = client.ask(get("/stream"));
  EXPECT_TRUE(answer.has("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(answer.body, whole);
  answer = client.ask(get("/stream-length"));
  EXPECT_TRUE(answer.has("Content-Length: 20\r\n"));
  EXPECT_EQ(answer.body, whole);
  EXPECT_EQ(client.ask(get("/stream") + get("/")).body, whole);
  EXPECT_EQ(client.answer().body, "hello");
  answer = client.ask("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_FALSE(answer.has("Transfer-Encoding"));
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_EQ(answer.body, whole);
}

TEST(Server, AsksAStreamForMoreOnlyWhenTheClientTakesIt) {
  RunningServer server;
  TestClient client(server.address(), 16 * 1024);
  client.send(get("/stream-large"));
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.paused.get() > 0; }));
  EXPECT_LT(server.handler.stream_pieces.load(), 64);
  const Answer answer = client.answer();
  EXPECT_EQ(answer.body.size(), 64u * 100 * 1024);
  EXPECT_EQ(answer.body[100 * 1024], 'b');
  EXPECT_EQ(client.ask(get("/")).body, "hello");
}

TEST(Server, SendsEachPieceOfAStreamAtOnce) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/stream-gate"));
  server.handler.open_gate();
  EXPECT_EQ(client.answer().body, "firstsecond");
}

TEST(Server, BreaksAFailedStreamOff) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/stream-failing"));
  const std::string all = client.rest();
  EXPECT_NE(all.find("4\r\npart\r\n"), std::string::npos);
  EXPECT_EQ(all.find("0\r\n\r\n"), std::string::npos);
}

TEST(Server, CancelsTheHandlerWhenTheClientLeaves) {
  RunningServer server;
  for (const bool hard : {false, true}) {
    TestClient client(server.address());
    client.send(get("/gate"));
    const auto suspended = [](const ServerStats& stats) { return stats.requests_suspended.get() == 1; };
    ASSERT_TRUE(server.becomes(suspended));
    hard ? client.reset() : client.close();
    EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.requests_running.get() == 0; }));
  }
  EXPECT_EQ(server.handler.cancelled.load(), 2);
  EXPECT_EQ(server.stats().clients_gone.get(), 2u);
}

TEST(Server, CancelsAStreamWhenTheClientLeaves) {
  RunningServer server;
  for (const std::string_view path : {"/stream-endless", "/stream-gate"}) {
    TestClient client(server.address(), 16 * 1024);
    client.send(get(path));
    ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.streams.get() == 1; }));
    client.reset();
    EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.streams.get() == 0; }));
  }
}

TEST(Server, ServesOverAUnixSocket) {
  char folder[] = "/tmp/ashlar-http-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/s";
  {
    RunningServer server({.listen = {"unix:" + path}}, 2);
    TestClient client(server.address());
    EXPECT_EQ(client.ask(get("/")).body, "hello");
    client.send(get("/gate"));
    ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.requests_suspended.get() == 1; }));
    client.close();
    EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
  }
  ::unlink(path.c_str());
  ::rmdir(folder);
}

TEST(Server, ServesManyConnectionsOnTwoLoops) {
  RunningServer server({}, 2);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(std::make_unique<TestClient>(server.address()));
  for (int round = 0; round < 3; ++round) {
    for (auto& client : clients) client->send(get("/"));
    for (auto& client : clients) EXPECT_EQ(client->answer().body, "hello");
  }
  EXPECT_EQ(server.stats().connections.get(), 300u);
  EXPECT_EQ(server.stats().requests.get(), 900u);
}

TEST(Server, NamesAnAddressThatItCannotHave) {
  TestHandler handler;
  Server unreadable({.listen = {"nonsense"}}, handler);
  EXPECT_THROW(unreadable.bind(), Invalid);
}

TEST(Server, SendsADateOfTheRfc) {
  char date[32];
  EXPECT_EQ(std::string(date, detail::write_http_date(784111777, date)), "Sun, 06 Nov 1994 08:49:37 GMT");
}

/// A loop that is held up until many requests have come, so that one tick has them all.
class HeldUp {
 public:
  explicit HeldUp(ServerOptions options = {}) : server(options) {
    server.handler.here = [this](Exchange& exchange) {
      arrived_.count_down();
      go_on_.wait();
      exchange.response.body = "held up";
    };
    first_.send(get("/here"));
    arrived_.wait();
  }
  void go_on() {
    go_on_.count_down();
    EXPECT_EQ(first_.answer().body, "held up");
  }
  RunningServer server;

 private:
  std::latch arrived_{1};
  std::latch go_on_{1};
  TestClient first_{server.address()};
};

TEST(ServerTick, AnswersEveryConnectionThatWasReady) {
  HeldUp held;
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 200; ++i) {
    auto& client = *clients.emplace_back(std::make_unique<TestClient>(held.server.address()));
    const std::string number = std::to_string(i);
    switch (i % 5) {
      case 0:
        client.send(get("/" + number));
        break;
      case 1:
        client.send(get("/" + number, "Connection: close\r\n"));
        break;
      case 2:
        client.send(get("/" + number));
        client.end_sending();
        break;
      case 3:
        client.send(get("/" + number) + post("/echo", std::string(5000, 'a')) +
                    post("/echo", std::string(50'000, 'b')));
        break;
      default:
        client.send(get("/" + number));
        client.reset();
        break;
    }
  }
  held.go_on();
  for (int i = 0; i < 200; ++i) {
    TestClient& client = *clients[static_cast<std::size_t>(i)];
    if (i % 5 == 4) continue;
    EXPECT_TRUE(client.answer().has("X-Path: /" + std::to_string(i) + "\r\n"));
    if (i % 5 == 0) EXPECT_EQ(client.ask(get("/again")).body, "hello");
    if (i % 5 == 1 || i % 5 == 2) EXPECT_TRUE(client.ended());
    if (i % 5 == 3) {
      EXPECT_EQ(client.answer().body, std::string(5000, 'a'));
      EXPECT_EQ(client.answer().body, std::string(50'000, 'b'));
    }
  }
}

TEST(ServerTick, LosesNoAnswerToADrainThatBeginsInIt) {
  HeldUp held({.drain_grace = 50ms, .linger_timeout = 50ms});
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back(std::make_unique<TestClient>(held.server.address()))->send(get("/" + std::to_string(i)));
  }
  auto drained = held.server.drain();
  held.go_on();
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(clients[static_cast<std::size_t>(i)]->answer().has("X-Path: /" + std::to_string(i) + "\r\n"));
    EXPECT_TRUE(clients[static_cast<std::size_t>(i)]->ended());
  }
  clients.clear();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(ServerTick, OfOneLoopSendsToClientsThatDoNotReadWhatTheyTake) {
  HeldUp held;
  TestClient slow(held.server.address(), 4096);
  std::string batch;
  for (int i = 0; i < 100; ++i) batch += post("/echo", std::string(15'000, 'c'));
  std::thread sender([&] { slow.send(batch); });
  TestClient other(held.server.address());
  other.send(get("/"));
  held.go_on();
  EXPECT_EQ(other.answer().body, "hello");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(slow.answer().body, std::string(15'000, 'c'));
  sender.join();
}

}  // namespace
}  // namespace ashlar::http::test
