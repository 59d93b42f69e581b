// Requests and answers over HTTP/2.
#include <numeric>

#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/http2_test.hpp>

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

TEST(Http2Server, AnswersARequestWithPriorKnowledge) {
  RunningServer server({.server_header = "ashlar"});
  Http2Client client(server.address());
  for (int i = 0; i < 3; ++i) {
    const Http2Answer answer = client.ask("/a%20b?c");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_EQ(answer.field("x-path"), "/a%20b");
    EXPECT_EQ(answer.field("content-type"), "text/plain");
    EXPECT_EQ(answer.field("content-length"), "5");
    EXPECT_EQ(answer.field("server"), "ashlar");
    EXPECT_TRUE(answer.field("date")->ends_with(" GMT"));
    EXPECT_EQ(answer.fields.size(), 5U);
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.error, 0U);
  }
  EXPECT_EQ(server.stats().requests.get(), 3U);
  EXPECT_EQ(server.stats().http2_requests.get(), 3U);
  EXPECT_EQ(server.stats().http2_connections.get(), 1U);
  EXPECT_EQ(server.stats().accepted.get(), 1U);
  client.close();
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.http2_connections.get() == 0; }));
  EXPECT_EQ(server.stats().http2_accepted.get(), 1U);
  EXPECT_EQ(server.stats().clients_gone.get(), 0U);
}

TEST(Http2Server, SpeaksHttp1OnTheSameListener) {
  RunningServer server;
  TestClient old(server.address());
  Http2Client client(server.address());
  EXPECT_EQ(client.ask("/").body, "hello");
  EXPECT_EQ(old.ask(get("/")).body, "hello");
  TestClient put(server.address());
  EXPECT_EQ(put.ask("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);  // begins as the preface does
}

TEST(Http2Server, TakesThePrefaceInPieces) {
  RunningServer server;
  Http2Wire wire(server.address(), false);
  const std::string all = std::string(detail::kHttp2Preface) + frame(NGHTTP2_SETTINGS, 0, 0) + wire.get(1);
  for (const char c : all) wire.send({&c, 1});
  const auto answer = wire.receive(NGHTTP2_HEADERS);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stream, 1U);
}

TEST(Http2Server, CanBeSwitchedOff) {
  RunningServer server({.http2 = {.enabled = false}});
  TestClient client(server.address());
  client.send(detail::kHttp2Preface);
  EXPECT_EQ(client.answer().status, 505);
  EXPECT_EQ(server.stats().http2_accepted.get(), 0U);
}

TEST(Http2Server, DoesNotUpgrade) {
  RunningServer server;
  TestClient client(server.address());
  const Answer answer = client.ask(
      get("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
}

TEST(Http2Server, SaysItsLimits) {
  RunningServer server({.http2 = {.max_concurrent_streams = 7, .stream_window = 70'000}});
  Http2Client client(server.address());
  EXPECT_EQ(client.ask("/").status, 200);
  EXPECT_EQ(client.settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 7U);
  EXPECT_EQ(client.settings[NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE], 70'000U);
  EXPECT_GE(client.settings[NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE], 16U * 1024);
  EXPECT_EQ(client.settings[NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES], 1U);
}

TEST(Http2Server, AnswersManyRequestsAtOnceInTheOrderTheyAreReady) {
  RunningServer server;
  Http2Client client(server.address());
  const std::int32_t slow = client.get("/gate?1");
  std::vector<std::int32_t> fast;
  for (int i = 0; i < 100; ++i) fast.push_back(client.get("/" + std::to_string(i)));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.answer(fast[i]).field("x-path"), "/" + std::to_string(i));
  EXPECT_FALSE(client.of(slow).closed);
  EXPECT_EQ(server.stats().requests_suspended.get(), 1U);
  server.handler.open_gate();
  EXPECT_EQ(client.answer(slow).body, "gate 1");
}

TEST(Http2Server, AnswersAllThatOneTickMadeReady) {
  RunningServer server;
  Http2Client client(server.address());
  std::vector<std::int32_t> held;
  for (int i = 0; i < 20; ++i) held.push_back(client.get("/hold"));
  client.flush();
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 20; }));
  TestClient other(server.address());
  EXPECT_EQ(other.ask(get("/finish")).status, 200);
  for (const std::int32_t stream : held) EXPECT_EQ(client.answer(stream).body, "held");
}

TEST(Http2Server, GivesTheHandlerTheRequestAsHttp1Would) {
  struct Looking final : Handler {
    void handle(Exchange& exchange) noexcept override {
      const Request& request = exchange.request;
      std::string& body = exchange.response.body;
      body = std::string(request.method_text) + " " + std::string(request.path) + " " + std::string(request.query) +
             " " + std::string(request.target) + " " + std::string(request.authority) + " " +
             std::string(request.header(KnownHeader::host).value_or("-")) + " " +
             std::string(request.header(KnownHeader::cookie).value_or("-")) + " " +
             std::string(request.header("x-own").value_or("-")) + " " + (request.secure ? "s" : "c") +
             (request.version == Version::http2 ? "2" : "1") + (request.peer != nullptr ? "p" : "-");
      exchange.finish();
    }
  } handler;
  async::Loop loop;  // the server goes before it
  Server server({.listen = {"127.0.0.1:0"}}, handler);
  server.bind();
  server.start(loop);
  std::thread thread([&] { loop.run(); });
  Http2Client client(server.addresses().front());
  const auto ask = [&](const Fields& head) { return client.answer(client.request(head, false)).body; };
  const Fields start = {
      {":method", "PATCH"}, {":scheme", "https"}, {":authority", "a.test:80"}, {":path", "/p%20q?r=s"}};
  const auto with = [&](Fields more) {
    more.insert(more.begin(), start.begin(), start.end());
    return more;
  };
  EXPECT_EQ(ask(start), "PATCH /p%20q r=s /p%20q?r=s a.test:80 a.test:80 - - c2p");
  EXPECT_EQ(ask(with({{"cookie", "a=1"}, {"x-own", "me"}, {"cookie", "b=2"}, {"cookie", "c=3"}})),
            "PATCH /p%20q r=s /p%20q?r=s a.test:80 a.test:80 a=1; b=2; c=3 me c2p");
  EXPECT_EQ(ask(with({{"cookie", "a=1"}, {"host", "A.test:80"}})),
            "PATCH /p%20q r=s /p%20q?r=s a.test:80 A.test:80 a=1 - c2p");
  EXPECT_EQ(ask({{":method", "OPTIONS"}, {":scheme", "http"}, {":path", "*"}, {"host", "b"}}),
            "OPTIONS *  * b b - - c2p");
  EXPECT_EQ(ask({{":method", "BREW"}, {":scheme", "http"}, {":path", "/"}, {":authority", "b"}}),
            "BREW /  / b b - - c2p");
  client.close();
  loop.stop();
  thread.join();
}

TEST(Http2Server, SendsNoBodyWhereThereIsNone) {
  RunningServer server;
  Http2Client client(server.address());
  const Http2Answer head = client.answer(client.request("HEAD", "/static", {}, false));
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("content-length"), std::to_string(1024 * 1024));
  EXPECT_EQ(head.body, "");
  const Http2Answer nothing = client.ask("/nothing");
  EXPECT_EQ(nothing.status, 204);
  EXPECT_FALSE(nothing.field("content-length"));
  EXPECT_EQ(nothing.body, "");
  const Http2Answer empty = client.answer(client.post("/echo", ""));
  EXPECT_EQ(empty.status, 200);
  EXPECT_EQ(empty.field("content-length"), "0");
  EXPECT_TRUE(client.answer(client.request("HEAD", "/stream-length", {}, false)).ended);
}

TEST(Http2Server, SendsLargeBodiesAsTheWindowsOpen) {
  RunningServer server;
  Http2Client client(server.address(), {.window = 20'000});
  const std::int32_t large = client.get("/large");
  const std::int32_t page = client.get("/static");
  EXPECT_EQ(client.answer(page).body, std::string(1024 * 1024, 's'));
  EXPECT_EQ(client.answer(large).body, std::string(8 * 1024 * 1024, 'x'));
  Http2Client slow(server.address(), {.receive_buffer = 4 * 1024});
  EXPECT_EQ(slow.ask("/large").body, std::string(8 * 1024 * 1024, 'x'));
}

TEST(Http2Server, ServesOthersWhileOneStreamsWindowIsShut) {
  RunningServer server;
  Http2Client client(server.address(), {.window = 1'000, .opens_windows = false});
  const std::int32_t large = client.get("/large");
  ASSERT_TRUE(client.until([&] { return client.of(large).body.size() == 1'000; }));
  EXPECT_EQ(client.ask("/").body, "hello");
  client.open_window(large, 10 * 1024 * 1024);
  EXPECT_EQ(client.answer(large).body.size(), 8U * 1024 * 1024);
}

TEST(Http2Server, StreamsPiecesAsTheyCome) {
  RunningServer server;
  Http2Client client(server.address());
  const std::int32_t gated = client.get("/stream-gate");
  ASSERT_TRUE(client.until([&] { return client.of(gated).body == "first"; }));
  EXPECT_EQ(server.stats().streams.get(), 1U);
  EXPECT_EQ(client.ask("/stream").body, "aaaabbbbccccddddeeee");
  const Http2Answer sized = client.ask("/stream-length");
  EXPECT_EQ(sized.body, "aaaabbbbccccddddeeee");
  EXPECT_EQ(sized.field("content-length"), "20");
  server.handler.open_gate();
  EXPECT_EQ(client.answer(gated).body, "firstsecond");
  EXPECT_FALSE(client.of(gated).field("content-length"));
  EXPECT_EQ(client.ask("/stream-large").body.size(), 64U * 100 * 1024);
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.streams.get() == 0; }));
}

TEST(Http2Server, AsksAGeneratorForNoMoreThanTheClientTakes) {
  RunningServer server;
  Http2Client client(server.address(), {.window = 1'000, .opens_windows = false});
  const std::int32_t endless = client.get("/stream-endless");
  ASSERT_TRUE(client.until([&] { return client.of(endless).body.size() == 1'000; }));
  EXPECT_EQ(client.ask("/").body, "hello");
  EXPECT_LE(server.handler.stream_pieces.load(), 2);
  client.reset(endless);
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.streams.get() == 0; }));
  EXPECT_EQ(client.ask("/").body, "hello");
}

TEST(Http2Server, ResetsAStreamWhoseGeneratorFails) {
  RunningServer server;
  Http2Client client(server.address());
  const Http2Answer answer = client.ask("/stream-failing");
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.ended);
  EXPECT_EQ(answer.error, std::uint32_t{NGHTTP2_INTERNAL_ERROR});
  EXPECT_EQ(client.ask("/").body, "hello");  // the others go on
}

TEST(Http2Server, EndsInOrderWhenTheHandlerAsksForIt) {
  RunningServer server;
  Http2Client client(server.address());
  const std::int32_t gate = client.get("/gate?x");
  EXPECT_EQ(client.ask("/close").body, "bye");
  ASSERT_TRUE(client.until([&] { return client.goaways.size() == 2; }));
  EXPECT_EQ(client.goaways[0].last, (1LL << 31) - 1);
  server.handler.open_gate();
  EXPECT_EQ(client.answer(gate).body, "gate x");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.goaways.back().error, 0U);
}

// --------------------------------------------------------------------------------------------------------- bodies

TEST(Http2Server, TakesBodies) {
  RunningServer server;
  Http2Client client(server.address());
  EXPECT_EQ(client.answer(client.post("/echo", "body")).body, "body");
  const std::string large = bytes(3'000'000);
  EXPECT_EQ(client.answer(client.post("/upload", large)).body, large);
  EXPECT_EQ(client.answer(client.post("/echo", "12345", {{"content-length", "5"}})).body, "12345");
  const std::int32_t stream = client.open("/echo");
  for (int i = 0; i < 10; ++i) client.data(stream, std::to_string(i), i == 9);
  EXPECT_EQ(client.answer(stream).body, "0123456789");
}

TEST(Http2Server, TakesTrailers) {
  RunningServer server;
  Http2Client client(server.address());
  const std::int32_t stream = client.open("/echo");
  client.data(stream, "body", false);
  client.trailers(stream, {{"x-checksum", "1"}});
  EXPECT_EQ(client.answer(stream).body, "body");
  const std::int32_t read = client.open("/read");
  client.data(read, "body", false);
  client.trailers(read, {{"x-checksum", "1"}});
  EXPECT_EQ(client.answer(read).body, told("body"));
}

TEST(Http2Server, GivesTrailersToTheHandlerAndRefusesTooManyOfThem) {
  struct Looking final : Handler {
    void handle(Exchange& exchange) noexcept override {
      exchange.response.body = exchange.request.trailer("X-Checksum").value_or("none");
      exchange.response.body += exchange.request.trailer("authorization") ? " and more" : "";
      exchange.finish();
    }
  } handler;
  async::Loop loop;  // the server goes before it
  Server server({.listen = {"127.0.0.1:0"}}, handler);
  server.bind();
  server.start(loop);
  std::thread thread([&] { loop.run(); });
  Http2Client client(server.addresses().front());
  const auto ask = [&](const Fields& trailers) {
    const std::int32_t stream = client.open("/");
    client.data(stream, "body", false);
    client.trailers(stream, trailers);
    return client.answer(stream);
  };
  EXPECT_EQ(ask({{"x-checksum", "12"}, {"authorization", "too late"}}).body, "12");
  EXPECT_EQ(ask({{"x-other", "12"}}).body, "none");
  EXPECT_EQ(ask({{"x-checksum", std::string(9000, 'x')}}).status, 431);
  client.close();
  loop.stop();
  thread.join();
}

TEST(Http2Server, AsksForABodyWithContinue) {
  RunningServer server;
  Http2Client client(server.address());
  for (const std::string_view path : {"/echo", "/read"}) {
    const std::int32_t stream = client.open(path, {{"expect", "100-continue"}});
    ASSERT_TRUE(client.until([&] { return client.of(stream).informational == 100; }));
    client.data(stream, "abc", true);
    EXPECT_EQ(client.answer(stream).body, path == "/echo" ? "abc" : told("abc"));
  }
  const Http2Answer unread = client.answer(client.open("/read-not", {{"expect", "100-continue"}}));
  EXPECT_EQ(unread.status, 200);
  EXPECT_EQ(unread.informational, 0);
}

TEST(Http2Server, AnswersABodyThatIsTooLargeAndStopsIt) {
  RunningServer server({.max_body = 1000});
  Http2Client client(server.address());
  const Http2Answer announced = client.answer(client.open("/echo", {{"content-length", "1001"}}));
  EXPECT_EQ(announced.status, 413);
  EXPECT_EQ(announced.field("content-type"), "application/problem+json");
  EXPECT_TRUE(announced.ended);
  EXPECT_EQ(announced.error, 0U);
  const std::int32_t stream = client.open("/echo");
  client.data(stream, std::string(1001, 'x'), false);
  const Http2Answer grown = client.answer(stream);
  EXPECT_EQ(grown.status, 413);
  EXPECT_TRUE(grown.ended);
  EXPECT_EQ(client.answer(client.post("/echo", std::string(1000, 'y'))).body, std::string(1000, 'y'));
  EXPECT_EQ(server.stats().bodies_too_large.get(), 2U);
}

TEST(Http2Server, GivesBodiesToReadersAsTheyArrive) {
  RunningServer server;
  Http2Client client(server.address());
  const std::string body = bytes(5'000'000);
  const std::int32_t one = client.post("/read", body);
  const std::int32_t two = client.post("/read", body.substr(7));
  EXPECT_EQ(client.answer(two).body, told(body.substr(7)));
  EXPECT_EQ(client.answer(one).body, told(body));
  EXPECT_EQ(client.answer(client.post("/read-small", "12345678")).status, 200);
  EXPECT_EQ(client.answer(client.post("/read-small", "123456789")).status, 413);
  EXPECT_EQ(client.answer(client.post("/read", "")).body, told(""));
}

TEST(Http2Server, HoldsAnUploadUpUntilItIsReadAndNoOther) {
  RunningServer server({.http2 = {.stream_window = 100'000}});
  Http2Client client(server.address());
  const std::string body = bytes(4 * 1024 * 1024);
  const std::int32_t held = client.post("/read-gate", body);
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 1; }));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.answer(client.post("/upload", body)).body, body);
  EXPECT_LT(server.stats().bytes_received.get(), 3 * body.size() + 300'000);
  server.handler.open_gate();
  EXPECT_EQ(client.answer(held).body, told(body));
}

TEST(Http2Server, DropsABodyThatNobodyReads) {
  RunningServer server;
  Http2Client client(server.address());
  const Http2Answer answer = client.answer(client.post("/read-not", bytes(2'000'000)));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.error, 0U);
  EXPECT_EQ(client.ask("/").body, "hello");
}

TEST(Http2Server, CancelsTheHandlerOfAStreamThatIsReset) {
  RunningServer server;
  Http2Client client(server.address());
  const std::int32_t gate = client.get("/gate");
  const std::int32_t reader = client.open("/read");
  client.data(reader, "abc", false);
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 2; }));
  client.reset(gate);
  client.reset(reader);
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_running.get() == 0; }));
  EXPECT_EQ(server.handler.cancelled.load(), 2);
  EXPECT_EQ(server.stats().http2_resets.get(), 2U);
  EXPECT_EQ(client.ask("/").body, "hello");
}

TEST(Http2Server, CancelsAllWhenTheClientLeaves) {
  RunningServer server;
  for (const bool hard : {false, true}) {
    Http2Client client(server.address());
    const int before = server.handler.cancelled;
    client.get("/gate");
    client.data(client.open("/read"), "abc", false);
    ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 2; }));
    hard ? client.hard_close() : client.close();
    EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_running.get() == 0; }));
    EXPECT_EQ(server.handler.cancelled.load(), before + 2);
    EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.connections.get() == 0; }));
  }
}

}  // namespace
}  // namespace ashlar::http::test
