// WebSockets over HTTP/2 (RFC 8441).
#include <ashlar/http/http2_test.hpp>
#include <ashlar/http/websocket_test.hpp>

namespace ashlar::http::test {
namespace {

constexpr std::int32_t kEnableConnectProtocol = 8;

class WebSocketOverHttp2 : public testing::Test {
 protected:
  void start(WebSocketOptions options = {}, ServerOptions server_options = {}) {
    sockets = std::make_unique<TestSockets>(std::move(options));
    server = std::make_unique<RunningServer>(std::move(server_options));
    server->handler.websockets = sockets.get();
  }
  void TearDown() override {
    if (sockets) sockets->open();
    server.reset();
  }

  static std::int32_t ask(Http2Client& client, std::string_view path, const Fields& more = {},
                          std::string_view protocol = "websocket", bool open = true) {
    Fields head = {{":method", "CONNECT"},
                   {":protocol", std::string(protocol)},
                   {":scheme", "http"},
                   {":path", std::string(path)},
                   {":authority", "test"}};
    head.insert(head.end(), more.begin(), more.end());
    return client.request(head, open);
  }
  // The stream of a socket that is there.
  static std::int32_t connect(Http2Client& client, std::string_view path, Fields more = {}) {
    more.emplace_back("sec-websocket-version", "13");
    const std::int32_t stream = ask(client, path, more);
    EXPECT_TRUE(client.until([&] { return client.of(stream).status != 0; }));
    EXPECT_EQ(client.of(stream).status, 200);
    return stream;
  }
  static int status(Http2Client& client, std::string_view path, const Fields& more) {
    return client.answer(ask(client, path, more)).status;
  }
  // The next frame of a stream; absent when the stream ends before it.
  static std::optional<ReceivedFrame> receive(Http2Client& client, std::int32_t stream) {
    std::string& bytes = client.of(stream).body;
    FrameHeadResult head;
    const auto complete = [&] {
      head = parse_frame_head(bytes, WebSocketSide::server, true);
      return head.state == FrameHeadResult::State::complete && bytes.size() >= head.size + head.head.length;
    };
    client.until([&] { return complete() || client.of(stream).ended || client.of(stream).closed; });
    if (!complete()) return std::nullopt;
    ReceivedFrame frame{head.head, bytes.substr(head.size, head.head.length)};
    bytes.erase(0, head.size + head.head.length);
    return frame;
  }
  [[nodiscard]] bool becomes(auto&& predicate) {
    return server->becomes([&](const ServerStats& stats) { return predicate(stats.websockets); });
  }

  std::unique_ptr<TestSockets> sockets;
  std::unique_ptr<RunningServer> server;
};

TEST_F(WebSocketOverHttp2, IsOfferedInTheSettings) {
  start();
  Http2Client client(server->address());
  ASSERT_TRUE(client.until([&] { return !client.settings.empty(); }));
  EXPECT_EQ(client.settings[kEnableConnectProtocol], 1U);
}

TEST_F(WebSocketOverHttp2, BeginsWithA200AndWhatWasAgreedOn) {
  start({.subprotocols = {"chat.v1"}});
  Http2Client client(server->address());
  const std::int32_t stream = connect(client, "/ws/echo",
                                      {{"sec-websocket-protocol", "chat.v0, chat.v1"},
                                       {"sec-websocket-extensions", "permessage-deflate; client_max_window_bits"}});
  const Http2Answer& answer = client.of(stream);
  EXPECT_EQ(answer.field("sec-websocket-protocol"), "chat.v1");
  EXPECT_EQ(answer.field("sec-websocket-extensions"),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  EXPECT_EQ(answer.field("x-path"), "/ws/echo");
  EXPECT_FALSE(answer.field("sec-websocket-accept"));
  EXPECT_FALSE(answer.field("content-length"));
  EXPECT_FALSE(answer.ended);
}

TEST_F(WebSocketOverHttp2, CarriesMessagesOfEverySizeBothWays) {
  start();
  Http2Client client(server->address(), {.window = 64 * 1024});
  const std::int32_t stream = connect(client, "/ws/echo");
  for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 65535UL, 65536UL, 1'000'000UL}) {
    const std::string payload(size, 'z');
    client.data(stream, client_frame(Opcode::binary, payload), false);
    const auto frame = receive(client, stream);
    ASSERT_TRUE(frame) << size;
    EXPECT_EQ(frame->head.opcode, Opcode::binary);
    EXPECT_EQ(frame->payload, payload);
  }
}

TEST_F(WebSocketOverHttp2, CompressesWhenItWasAgreedOn) {
  start();
  Http2Client client(server->address());
  const std::int32_t stream = connect(client, "/ws/echo", {{"sec-websocket-extensions", "permessage-deflate"}});
  client.data(stream, client_frame(Opcode::text, std::string(5000, 't')), false);
  const auto frame = receive(client, stream);
  ASSERT_TRUE(frame && frame->head.compressed);
  EXPECT_LT(frame->payload.size(), 100U);
}

TEST_F(WebSocketOverHttp2, SharesItsConnectionWithOthersAndWithRequests) {
  start();
  Http2Client client(server->address());
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(connect(client, "/ws/echo"));
  for (const std::int32_t stream : streams) {
    client.data(stream, client_frame(Opcode::text, "to " + std::to_string(stream)), false);
  }
  EXPECT_EQ(client.ask("/").body, "hello");
  for (const std::int32_t stream : streams) {
    EXPECT_EQ(receive(client, stream)->payload, "to " + std::to_string(stream));
  }
  EXPECT_EQ(server->stats().websockets.open.get(), 20U);
  EXPECT_EQ(server->stats().connections.get(), 1U);
}

TEST_F(WebSocketOverHttp2, RefusesWhatIsNoneWithAnOrdinaryAnswer) {
  start();
  Http2Client client(server->address());
  const Fields version = {{"sec-websocket-version", "13"}};
  EXPECT_EQ(status(client, "/ws/echo", {}), 426);
  EXPECT_EQ(status(client, "/ws/echo", {{"sec-websocket-version", "8"}}), 426);
  EXPECT_EQ(status(client, "/ws/echo", {{"sec-websocket-version", "13"}, {"origin", "https://evil.example"}}), 403);
  EXPECT_EQ(client.answer(ask(client, "/ws/echo", version, "webtransport")).status, 501);
  EXPECT_EQ(client.answer(ask(client, "/ws/echo", version, "websocket", false)).status, 400);
  EXPECT_EQ(client.ask("/ws/echo").status, 426);  // a GET
  // A 200 of a handler that knows nothing of WebSockets would tell the client that it has one.
  const Http2Answer plain = client.answer(ask(client, "/", version));
  EXPECT_EQ(plain.status, 400);
  EXPECT_NE(plain.body.find("no WebSocket at this path"), std::string::npos);
  EXPECT_EQ(client.answer(client.request({{":method", "CONNECT"}, {":authority", "test:80"}}, false)).status, 501);
}

TEST_F(WebSocketOverHttp2, ClosesInOrderWhoeverBegins) {
  start();
  Http2Client client(server->address());
  const std::int32_t theirs = connect(client, "/ws/close");
  EXPECT_EQ(receive(client, theirs)->code(), 4001);
  client.data(theirs, client_frame(Opcode::close, close_payload(4001, {})), true);
  EXPECT_FALSE(receive(client, theirs));
  EXPECT_TRUE(client.until([&] { return client.of(theirs).closed; }));
  EXPECT_EQ(client.of(theirs).error, 0U);

  const std::int32_t ours = connect(client, "/ws/echo");
  client.data(ours, client_frame(Opcode::text, "last"), false);
  EXPECT_EQ(receive(client, ours)->payload, "last");
  client.data(ours, client_frame(Opcode::close, close_payload(1000, {})), false);
  EXPECT_EQ(receive(client, ours)->code(), 1000);
  ASSERT_TRUE(client.until([&] { return client.of(ours).ended; }));
  client.data(ours, {}, true);
  EXPECT_TRUE(becomes([&](const WebSocketStats& now) { return now.open.get() == 0 && sockets->ended == 2; }));
  EXPECT_EQ(sockets->last_peer_code.load(), 1000);
  EXPECT_EQ(server->stats().websockets.broken.get(), 0U);
}

TEST_F(WebSocketOverHttp2, DoesNotWaitForeverForAClientToEndItsSide) {
  start({}, {.linger_timeout = 50ms});
  Http2Client client(server->address());
  const std::int32_t stream = connect(client, "/ws/echo");
  client.data(stream, client_frame(Opcode::close, close_payload(1000, {})), false);
  EXPECT_TRUE(client.until([&] { return client.of(stream).closed; }));
  EXPECT_EQ(client.of(stream).error, 0U);
  EXPECT_EQ(client.ask("/").status, 200);
}

TEST_F(WebSocketOverHttp2, TellsAPeerThatBreaksTheProtocolWhatIsWrong) {
  start({.limits = {.max_message = 1000}});
  Http2Client client(server->address());
  const auto code = [&](std::string_view bytes) {
    const std::int32_t stream = connect(client, "/ws/echo");
    client.data(stream, bytes, false);
    const auto frame = receive(client, stream);
    EXPECT_TRUE(client.until([&] { return client.of(stream).ended; }));
    client.data(stream, {}, true);
    return frame ? frame->code() : 0;
  };
  EXPECT_EQ(code(client_frame(Opcode::text, "\xff")), 1007);
  EXPECT_EQ(code(client_frame(Opcode::binary, std::string(1001, 'x'))), 1009);
  EXPECT_EQ(code(std::string_view("\x81\x01x", 3)), 1002);  // not masked
  EXPECT_TRUE(becomes([](const WebSocketStats& now) { return now.open.get() == 0; }));
  EXPECT_EQ(client.ask("/").status, 200);
}

TEST_F(WebSocketOverHttp2, NoticesAPeerThatIsGone) {
  start({.limits = {.close_timeout = 50ms}});
  Http2Client client(server->address());
  client.reset(connect(client, "/ws/echo"));
  ASSERT_TRUE(becomes([&](const WebSocketStats& now) { return now.broken.get() == 1 && sockets->ended == 1; }));
  client.data(connect(client, "/ws/echo"), {}, true);  // an end without a Close
  ASSERT_TRUE(becomes([&](const WebSocketStats& now) { return now.broken.get() == 2 && sockets->ended == 2; }));
  connect(client, "/ws/echo");
  connect(client, "/ws/sleep");
  client.hard_close();
  EXPECT_TRUE(becomes([](const WebSocketStats& now) { return now.broken.get() == 4 && now.open.get() == 0; }));
  EXPECT_EQ(sockets->last_peer_code.load(), 1006);
}

TEST_F(WebSocketOverHttp2, CancelsAHandlerSomeTimeAfterThePeerHasLeft) {
  start({.limits = {.close_timeout = 50ms}});
  Http2Client client(server->address());
  client.reset(connect(client, "/ws/sleep"));
  EXPECT_TRUE(becomes([&](const WebSocketStats&) { return sockets->cancelled == 1; }));
  EXPECT_EQ(client.ask("/").status, 200);
}

TEST_F(WebSocketOverHttp2, HoldsUpAPeerWhoseMessagesNobodyTakesAndNoOther) {
  start({.limits = {.input_high_water = 64 * 1024, .max_unread = 4}});
  Http2Client client(server->address());
  const std::int32_t held = connect(client, "/ws/gate");
  const std::int32_t other = connect(client, "/ws/echo");
  const std::string message(30'000, 'm');
  for (int i = 0; i < 40; ++i) client.data(held, client_frame(Opcode::binary, message), false);
  ASSERT_TRUE(becomes([](const WebSocketStats& now) { return now.paused.get() >= 1; }));
  client.data(other, client_frame(Opcode::text, "meanwhile"), false);
  EXPECT_EQ(receive(client, other)->payload, "meanwhile");
  // Four messages and the stream's window: the rest has not left the client.
  EXPECT_LT(server->stats().bytes_received.get(), 600'000U);
  sockets->open();
  for (int i = 0; i < 40; ++i) ASSERT_EQ(receive(client, held)->payload.size(), message.size()) << i;
}

TEST_F(WebSocketOverHttp2, HoldsUpASenderWhosePeerDoesNotRead) {
  start({.limits = {.output_high_water = 128 * 1024}});
  Http2Client client(server->address(), {.window = 64 * 1024, .opens_windows = false});
  const std::int32_t stream = connect(client, "/ws/flood");
  ASSERT_TRUE(client.until([&] { return client.of(stream).body.size() == 64 * 1024; }));
  EXPECT_EQ(client.ask("/").body, "hello");
  const int sent = sockets->sent;
  EXPECT_LE(sent, 6);  // of 100 KiB: window, stream, high water
  client.open_window(stream, 10 * 1024 * 1024);
  EXPECT_TRUE(client.until([&] { return client.of(stream).body.size() >= 5U * 1024 * 1024; }));
  EXPECT_GT(sockets->sent.load(), sent);
}

TEST_F(WebSocketOverHttp2, AsksASilentPeerForASignOfLifeAndGivesItUp) {
  start({.limits = {.ping_interval = 30ms, .ping_timeout = 60ms}});
  Http2Client client(server->address());
  const std::int32_t stream = connect(client, "/ws/echo");
  EXPECT_EQ(receive(client, stream)->head.opcode, Opcode::ping);
  EXPECT_FALSE(receive(client, stream));
  EXPECT_TRUE(client.until([&] { return client.of(stream).closed; }));
  EXPECT_EQ(client.of(stream).error, std::uint32_t{NGHTTP2_CANCEL});
  EXPECT_TRUE(becomes([](const WebSocketStats& now) { return now.ping_timeouts.get() == 1 && now.open.get() == 0; }));
}

TEST_F(WebSocketOverHttp2, SaysThatItGoesAwayAndEndsTheConnectionAfterTheAnswer) {
  start({}, {.drain_grace = 10s});
  Http2Client client(server->address());
  const std::int32_t stream = connect(client, "/ws/echo");
  auto drained = server->drain();
  const auto goodbye = receive(client, stream);
  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->code(), 1001);
  client.data(stream, client_frame(Opcode::close, close_payload(1001, {})), true);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.goaways.back().error, 0U);
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(sockets->cancelled.load(), 0);
}

TEST_F(WebSocketOverHttp2, IsCutWhenADrainLosesPatience) {
  start({}, {.drain_grace = 10ms, .drain_timeout = 100ms});
  Http2Client client(server->address());
  connect(client, "/ws/sleep");
  connect(client, "/ws/echo");
  auto drained = server->drain();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(sockets->cancelled.load(), 1);
}

TEST_F(WebSocketOverHttp2, KeepsNothingOfThoseThatCameAndWent) {
  start();
  Http2Client client(server->address());
  for (int i = 0; i < 50; ++i) {
    const std::int32_t stream = connect(client, i % 2 == 0 ? "/ws/echo" : "/ws/close");
    if (i % 5 == 0) {
      client.reset(stream);
    } else {
      client.data(stream, client_frame(Opcode::close, close_payload(1000, {})), true);
      client.until([&] { return client.of(stream).closed; });
    }
  }
  EXPECT_TRUE(becomes([&](const WebSocketStats& now) { return now.open.get() == 0 && sockets->running == 0; }));
  EXPECT_EQ(server->stats().requests_running.get(), 0U);
  EXPECT_EQ(server->stats().requests_suspended.get(), 0U);
  EXPECT_EQ(client.ask("/").status, 200);
}

}  // namespace
}  // namespace ashlar::http::test
