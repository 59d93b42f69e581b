// Bodies that a handler reads while they arrive.
#include <algorithm>
#include <numeric>

#include <ashlar/http/chunked.hpp>
#include <ashlar/http/server_test.hpp>

namespace ashlar::http::test {
namespace {

std::string bytes(std::size_t size) {
  std::string made(size, '\0');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>(i * 31 + i / 251);
  return made;
}
std::string told(std::string_view body) {
  const auto sum = std::accumulate(body.begin(), body.end(), std::uint64_t{0},
                                   [](std::uint64_t all, char c) { return all + static_cast<unsigned char>(c); });
  return std::to_string(body.size()) + " " + std::to_string(sum);
}
std::string chunked(std::string_view path, std::string_view body, std::size_t chunk) {
  std::string text = "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
  while (!body.empty()) {
    char digits[kMostChunkDigits];
    const std::string_view piece = body.substr(0, chunk);
    body.remove_prefix(piece.size());
    text += format_chunk_size(piece.size(), digits);
    text += "\r\n";
    text += piece;
    text += "\r\n";
  }
  return text + "0\r\n\r\n";
}

TEST(StreamedBody, IsReadWhileItArrives) {
  RunningServer server;
  TestClient client(server.address());
  const std::string body = bytes(5'000'000);
  EXPECT_EQ(client.ask(post("/read", body)).body, told(body));
  EXPECT_EQ(client.ask(chunked("/read", body, 7000)).body, told(body));
  EXPECT_EQ(client.ask(post("/read", "x")).body, told("x"));
  EXPECT_EQ(client.ask(get("/")).body, "hello");  // the connection goes on
}

TEST(StreamedBody, LeavesWhatIsPipelinedBehindIt) {
  RunningServer server;
  TestClient client(server.address());
  client.send(post("/read", "first") + chunked("/read", "second", 2) + get("/") + post("/read", ""));
  EXPECT_EQ(client.answer().body, told("first"));
  EXPECT_EQ(client.answer().body, told("second"));
  EXPECT_EQ(client.answer().body, "hello");
  EXPECT_EQ(client.answer().body, "hello");  // without a body there is nothing to stream
}

TEST(StreamedBody, MayComeInAnyPieces) {
  RunningServer server;
  TestClient client(server.address());
  const std::string message = chunked("/read", "hello, world", 5);
  for (std::size_t cut = 1; cut < message.size(); cut += 3) {
    client.send(message.substr(0, cut));
    std::this_thread::yield();
    client.send(message.substr(cut));
    EXPECT_EQ(client.answer().body, told("hello, world")) << cut;
  }
}

TEST(StreamedBody, HoldsTheClientUpUntilItIsRead) {
  RunningServer server;
  TestClient client(server.address());
  const std::string body = bytes(16 * 1024 * 1024);
  std::thread sender([&] { client.send(post("/read-gate", body)); });
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 1; }));
  EXPECT_LT(server.stats().bytes_received.get(), 200'000U);
  server.handler.open_gate();
  sender.join();
  EXPECT_EQ(client.answer().body, told(body));
}

TEST(Trailers, AreThereOnceTheBodyIsRead) {
  RunningServer server;
  TestClient client(server.address());
  for (const std::string path : {"/echo", "/read"}) {
    const std::string message = "POST " + path + " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                "3\r\nabc\r\n0\r\nHost: other\r\nx-sum: 1 2 \r\n\r\n";
    EXPECT_TRUE(client.ask(message).has("X-Trailer: 1 2\r\n"));
    for (const char c : message) client.send({&c, 1});
    EXPECT_TRUE(client.answer().has("X-Trailer: 1 2\r\n"));
    EXPECT_FALSE(client.ask(chunked(path, "abc", 2)).has("X-Trailer:"));  // not those of the request before
    EXPECT_FALSE(client.ask(post(path, "abc")).has("X-Trailer:"));
  }
}

TEST(StreamedBody, AsksForItWithContinueOnlyWhenItIsRead) {
  RunningServer server;
  TestClient client(server.address());
  client.send("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer().status, 100);
  client.send("abc");
  EXPECT_EQ(client.answer().body, told("abc"));
  client.send("POST /read-not HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_TRUE(client.ended());
}

TEST(StreamedBody, ThatIsNotReadEndsTheConnection) {
  RunningServer server;
  TestClient client(server.address());
  client.send("POST /read-not HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nsome of it");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.has("Connection: close"));
  EXPECT_TRUE(client.ended());
}

TEST(StreamedBody, PastTheLimitIsTooLarge) {
  RunningServer server;
  {
    TestClient client(server.address());
    EXPECT_EQ(client.ask(post("/read-small", "12345678")).status, 200);
    EXPECT_EQ(client.ask(post("/read-small", "123456789")).status, 413);  // by its length: the handler is not asked
  }
  TestClient client(server.address());
  EXPECT_EQ(client.ask(chunked("/read-small", "12345678", 3)).status, 200);
  EXPECT_EQ(client.ask(chunked("/read-small", "123456789", 3)).status, 413);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.stats().bodies_too_large.get(), 2U);
}

TEST(StreamedBody, ThatIsMalformedIsToldToItsReader) {
  RunningServer server;
  TestClient client(server.address());
  client.send("POST /read HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX");
  EXPECT_EQ(client.answer().status, 400);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.stats().malformed.get(), 1U);
}

TEST(StreamedBody, ThatComesTooSlowlyTimesOut) {
  RunningServer server({.body_timeout = 50ms});
  TestClient client(server.address());
  client.send("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(client.answer().status, 408);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.stats().body_timeouts.get(), 1U);
}

TEST(StreamedBody, MayTakeLongerThanARequestWhenItsRateIsGood) {
  RunningServer server({.body_timeout = 10s, .request_timeout = 200ms});
  TestClient client(server.address());
  client.send("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n");
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(100ms);
    client.send("x");
  }
  EXPECT_EQ(client.answer().body, told("xxxxx"));
}

TEST(StreamedBody, EndsWithItsClient) {
  RunningServer server;
  for (const bool hard : {false, true}) {
    TestClient client(server.address());
    const int before = server.handler.cancelled;
    client.send("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc");
    ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 1; }));
    hard ? client.reset() : client.close();
    EXPECT_TRUE(server.becomes([&](const ServerStats&) { return server.handler.cancelled == before + 1; }));
    EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.connections.get() == 0; }));
  }
}

TEST(StreamedBody, IsReadToItsEndInADrain) {
  RunningServer server({.drain_grace = 10ms});
  TestClient client(server.address());
  client.send("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nabc");
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 1; }));
  TestClient idle(server.address());
  EXPECT_EQ(idle.ask(get("/")).status, 200);
  auto drained = server.drain();
  EXPECT_TRUE(idle.ended());  // the drain has begun, and the grace is over
  client.send("def");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.body, told("abcdef"));
  EXPECT_TRUE(answer.has("Connection: close"));
  drained.wait();
}

}  // namespace
}  // namespace ashlar::http::test
