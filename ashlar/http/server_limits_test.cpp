#include <sys/resource.h>

#include <ashlar/http/server_test.hpp>

namespace ashlar::http::test {
namespace {

constexpr std::string_view kProblem = "Content-Type: application/problem+json\r\n";

void expect_refused(TestClient& client, int status) {
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, status);
  EXPECT_TRUE(answer.has(kProblem));
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_NE(answer.body.find("\"status\":" + std::to_string(status)), std::string::npos) << answer.body;
  EXPECT_TRUE(client.ended());
}

TEST(ServerLimits, RefuseAMalformedRequestWith400AndClose) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/ok") + "GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n" + get("/smuggled"));
  EXPECT_EQ(client.answer().status, 200);
  expect_refused(client, 400);
  EXPECT_EQ(server.handler.handled.load(), 1);
  EXPECT_EQ(server.stats().malformed.get(), 1u);
}

TEST(ServerLimits, LetTheClientReadARefusalWhileItStillSends) {
  RunningServer server;
  TestClient client(server.address());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n");
  client.try_send(std::string(1'000'000, 'x'));
  expect_refused(client, 413);
  EXPECT_EQ(server.stats().bodies_too_large.get(), 1u);
}

TEST(ServerLimits, RefuseAHeadOrTargetThatIsTooLong) {
  RunningServer server;
  TestClient client(server.address());
  client.send(get("/", "X: " + std::string(17'000, 'x') + "\r\n"));
  expect_refused(client, 431);
  TestClient slow(server.address());
  slow.send("GET / HTTP/1.1\r\nHost: a\r\n");
  for (int i = 0; i < 20; ++i) slow.try_send("X: " + std::string(1'000, 'x') + "\r\n");
  expect_refused(slow, 431);
  TestClient target(server.address());
  target.send(get("/" + std::string(9'000, 'x')));
  expect_refused(target, 414);
  EXPECT_EQ(server.stats().heads_too_large.get(), 2u);
  EXPECT_EQ(server.stats().targets_too_long.get(), 1u);
}

TEST(ServerLimits, TakeAHeadAsLongAsAllowedInPieces) {
  RunningServer server;
  TestClient client(server.address());
  const std::string head = get("/", "X: " + std::string(16'000, 'x') + "\r\n");
  for (std::size_t at = 0; at < head.size(); at += 1000) client.send(std::string_view(head).substr(at, 1000));
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.ask(get("/")).status, 200);
}

TEST(ServerLimits, RefuseAChunkedBodyAsSoonAsItIsTooLarge) {
  RunningServer server({.max_body = 100});
  TestClient client(server.address());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + std::string(100, 'x') +
              "\r\n1\r\n");
  expect_refused(client, 413);
  TestClient malformed(server.address());
  malformed.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
  expect_refused(malformed, 400);
}

TEST(ServerLimits, AnswerASlowHeadWith408) {
  RunningServer server({.header_timeout = 30ms});
  TestClient client(server.address());
  EXPECT_EQ(client.ask(get("/")).status, 200);
  client.send("GET / HTTP/1.1\r\nHos");
  expect_refused(client, 408);
  EXPECT_EQ(server.stats().header_timeouts.get(), 1u);
}

TEST(ServerLimits, GiveADripFedHeadNoMoreTime) {
  RunningServer server({.header_timeout = 50ms});
  TestClient client(server.address());
  client.send("GET / HTTP/1.1\r\n");
  // The drip: slow enough that the time runs out before the limit on the head's size is reached.
  while (client.try_send("X: y\r\n") && server.stats().header_timeouts.get() == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(server.stats().header_timeouts.get(), 1u);
}

TEST(ServerLimits, CloseAConnectionThatSaysNothing) {
  RunningServer server({.header_timeout = 30ms});
  TestClient client(server.address());
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.stats().header_timeouts.get(), 1u);
}

TEST(ServerLimits, CloseAnIdleConnection) {
  RunningServer server({.idle_timeout = 30ms});
  TestClient client(server.address());
  EXPECT_EQ(client.ask(get("/")).status, 200);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.stats().idle_timeouts.get(), 1u);
}

TEST(ServerLimits, AnswerASlowBodyWith408) {
  RunningServer server({.body_timeout = 30ms, .min_body_rate = 1'000'000});
  for (const std::string_view framing :
       {"Content-Length: 50", "Content-Length: 500000", "Transfer-Encoding: chunked"}) {
    TestClient client(server.address());
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\n" + std::string(framing) + "\r\n\r\n2\r\nab");
    expect_refused(client, 408);
  }
  EXPECT_EQ(server.stats().body_timeouts.get(), 3u);
}

TEST(ServerLimits, AnswerABodyThatStopsHalfWayWith408HoweverFastItBegan) {
  RunningServer server({.body_timeout = 30ms, .min_body_rate = 1024});
  TestClient client(server.address());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + std::string(400'000, 'a'));
  expect_refused(client, 408);
  EXPECT_EQ(server.stats().body_timeouts.get(), 1u);
}

TEST(ServerLimits, CloseAConnectionWhoseClientDoesNotRead) {
  RunningServer server({.write_timeout = 50ms, .min_write_rate = 1'000'000'000});
  for (const std::string_view path : {"/large", "/stream-endless"}) {
    TestClient client(server.address(), 4 * 1024);
    client.send(get(path));
    ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 1; }));
    EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
  }
  EXPECT_EQ(server.stats().write_timeouts.get(), 2u);
}

// The kernel's buffer takes the rest only when a good part of it is free: that takes a slow client many write_timeouts.
TEST(ServerLimits, LetAClientReadSlowlyAsLongAsItReads) {
  RunningServer server({.write_timeout = 250ms, .min_write_rate = 100'000});
  TestClient client(server.address(), 64 * 1024);
  client.send(get("/large"));
  ASSERT_TRUE(client.drip(2'000'000, 20'000, 15ms));
  EXPECT_EQ(client.answer().body.size(), 8u * 1024 * 1024);
  EXPECT_EQ(server.stats().write_timeouts.get(), 0u);
}

TEST(ServerLimits, StopReadingFromAClientThatDoesNotRead) {
  RunningServer server({.output_high_water = 64 * 1024});
  TestClient client(server.address(), 4 * 1024);
  std::string batch;
  for (int i = 0; i < 4; ++i) batch += get("/large");
  client.send(batch);
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.paused.get() > 0; }));
  EXPECT_EQ(server.handler.handled.load(), 1);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(client.answer().body.size(), 8u * 1024 * 1024);
}

TEST(ServerLimits, CancelARequestAtItsDeadline) {
  RunningServer server({.request_timeout = 30ms});
  TestClient client(server.address());
  EXPECT_EQ(client.ask(get("/gate")).status, 504);
  EXPECT_EQ(server.stats().request_timeouts.get(), 1u);
  EXPECT_EQ(client.ask(get("/")).status, 200);
}

TEST(ServerLimits, EndAConnectionAfterItsLastRequest) {
  RunningServer server({.max_requests_per_connection = 3});
  TestClient client(server.address());
  client.send(get("/") + get("/") + get("/") + get("/"));
  EXPECT_FALSE(client.answer().has("Connection: close"));
  EXPECT_FALSE(client.answer().has("Connection: close"));
  EXPECT_TRUE(client.answer().has("Connection: close"));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.stats().request_limits.get(), 1u);
}

TEST(ServerLimits, RefuseConnectionsAboveTheLimitWith503) {
  RunningServer server({.max_connections_per_loop = 2});
  TestClient first(server.address());
  TestClient second(server.address());
  EXPECT_EQ(first.ask(get("/")).status, 200);
  EXPECT_EQ(second.ask(get("/")).status, 200);
  TestClient third(server.address());
  const Answer answer = third.answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: 1\r\n"));
  EXPECT_TRUE(answer.has(kProblem));
  EXPECT_EQ(server.stats().refused_connections.get(), 1u);
  first.close();
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 1; }));
  TestClient fourth(server.address());
  EXPECT_EQ(fourth.ask(get("/")).status, 200);
}

TEST(ServerLimits, RefuseConnectionsWhenDescriptorsRunOut) {
  RunningServer server;
  TestClient first(server.address());
  EXPECT_EQ(first.ask(get("/")).status, 200);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ::close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;  // the client's descriptor is the last
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    TestClient refused(server.address());
    EXPECT_TRUE(refused.ended());
    EXPECT_EQ(server.stats().accept_failures.get(), i);
  }
  EXPECT_EQ(first.ask(get("/")).status, 200);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  TestClient again(server.address());
  EXPECT_EQ(again.ask(get("/")).status, 200);
}

TEST(ServerLimits, RefuseConnectionsOfOnePeerOverAllLoops) {
  RunningServer server({.max_connections_per_peer = 3, .limit_loopback_peers = true}, 2);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.address()));
    EXPECT_EQ(clients.back()->ask(get("/")).status, 200);
  }
  TestClient refused(server.address());
  EXPECT_EQ(refused.answer().status, 503);
  EXPECT_EQ(server.stats().refused_peer_connections.get(), 1u);
  clients.clear();
  ASSERT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
  TestClient again(server.address());
  EXPECT_EQ(again.ask(get("/")).status, 200);
}

}  // namespace
}  // namespace ashlar::http::test
