#include <ashlar/async/combinators.hpp>
#include <ashlar/http/websocket_client.hpp>
#include <ashlar/http/websocket_test.hpp>

namespace ashlar::http::test {
namespace {

class WebSocketServer : public testing::Test {
 protected:
  void start(WebSocketOptions options = {}, ServerOptions server_options = {}, unsigned loops = 1) {
    sockets = std::make_unique<TestSockets>(std::move(options));
    server = std::make_unique<RunningServer>(std::move(server_options), loops);
    server->handler.websockets = sockets.get();
  }
  void TearDown() override {
    if (sockets) sockets->open();
    server.reset();
  }
  TestClient connect(std::string_view path, std::string_view headers = {}) {
    TestClient client(server->address());
    const Answer answer = client.ask(upgrade(path, headers));
    EXPECT_EQ(answer.status, 101) << answer.head;
    head = answer.head;
    return client;
  }
  [[nodiscard]] bool becomes(auto&& predicate) {
    return server->becomes([&](const ServerStats& stats) { return predicate(stats.websockets); });
  }
  std::string url(std::string_view path) const { return "ws://" + server->address().to_string() + std::string(path); }

  std::unique_ptr<TestSockets> sockets;
  std::unique_ptr<RunningServer> server;
  std::string head;
};

// ---------------------------------------------------------------------------------------------------------- handshake

TEST_F(WebSocketServer, AnswersTheHandshakeOfTheStandard) {
  start();
  TestClient client = connect("/ws/echo");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_NE(head.find("Upgrade: websocket\r\n"), std::string::npos);
  EXPECT_NE(head.find("Connection: Upgrade\r\n"), std::string::npos);
  EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
  EXPECT_NE(head.find("X-Path: /ws/echo\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Sec-WebSocket-Extensions"), std::string::npos);
}

TEST_F(WebSocketServer, RefusesAHandshakeThatBreaksTheRules) {
  start();
  const std::string key = "Sec-WebSocket-Key: " + std::string(kKey) + "\r\n";
  const std::string want = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
  const struct {
    std::string headers;
    int status;
  } cases[] = {{"", 426},
               {"Sec-WebSocket-Version: 13\r\n" + key, 426},
               {"Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Version: 13\r\n" + key, 426},
               {want + key, 426},
               {want + key + "Sec-WebSocket-Version: 8\r\n", 426},
               {want + "Sec-WebSocket-Version: 13\r\n", 400},
               {want + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", 400},
               {want + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ************************\r\n", 400},
               {want + "Sec-WebSocket-Version: 13\r\n" + key + key, 400}};
  TestClient client(server->address());
  for (const auto& one : cases) {
    const Answer answer = client.ask(get("/ws/echo", one.headers));
    EXPECT_EQ(answer.status, one.status) << one.headers;
    if (one.status == 426) EXPECT_TRUE(answer.has("Upgrade: websocket\r\n"));
  }
  EXPECT_TRUE(
      client.ask(get("/ws/echo", want + key + "Sec-WebSocket-Version: 8\r\n")).has("Sec-WebSocket-Version: 13\r\n"));
  EXPECT_EQ(client.ask(upgrade("/ws/echo")).status, 101);  // the connection was fit for more all the time
}

TEST_F(WebSocketServer, LetsOnlyPagesOfItsOwnOriginConnect) {
  start({.origins = {"https://friend.example"}});
  const auto status = [&](std::string_view origin) {
    TestClient client(server->address());
    return client.ask(upgrade("/ws/echo", "Origin: " + std::string(origin) + "\r\n")).status;
  };
  EXPECT_EQ(status("http://test"), 101);
  EXPECT_EQ(status("https://test:443"), 101);
  EXPECT_EQ(status("https://friend.example"), 101);
  EXPECT_EQ(status("https://evil.example"), 403);
  EXPECT_EQ(status("http://test:8080"), 403);
  EXPECT_EQ(status("http://test.evil.example"), 403);
  EXPECT_EQ(status("null"), 403);
}

TEST_F(WebSocketServer, ChoosesASubprotocolThatItSpeaks) {
  start({.subprotocols = {"chat.v2", "chat.v1"}});
  connect("/ws/echo", "Sec-WebSocket-Protocol: other, chat.v1\r\nSec-WebSocket-Protocol: chat.v2\r\n");
  EXPECT_NE(head.find("Sec-WebSocket-Protocol: chat.v1\r\n"), std::string::npos);
  connect("/ws/echo", "Sec-WebSocket-Protocol: other\r\n");
  EXPECT_EQ(head.find("Sec-WebSocket-Protocol"), std::string::npos);
}

TEST_F(WebSocketServer, AnswersRequestsBeforeIt) {
  start();
  TestClient client(server->address());
  client.send(get("/first") + upgrade("/ws/echo") + client_frame(Opcode::text, "early"));
  EXPECT_EQ(client.answer().body, "hello");
  EXPECT_EQ(client.answer().status, 101);
  EXPECT_EQ(receive_frame(client)->payload, "early");
}

// ----------------------------------------------------------------------------------------------------------- messages

TEST_F(WebSocketServer, CarriesMessagesOfEverySizeBothWays) {
  start();
  TestClient client = connect("/ws/echo");
  for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 65535UL, 65536UL, 1'000'000UL}) {
    const std::string payload(size, 'z');
    client.send(client_frame(Opcode::binary, payload));
    const auto frame = receive_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->head.opcode, Opcode::binary);
    EXPECT_EQ(frame->payload, payload);
  }
}

TEST_F(WebSocketServer, AnswersPingsBetweenFragments) {
  start();
  TestClient client = connect("/ws/echo");
  client.send(client_frame(Opcode::text, "fra", false) + client_frame(Opcode::ping, "are you there") +
              client_frame(Opcode::continuation, "gment"));
  const auto pong = receive_frame(client);
  EXPECT_EQ(pong->head.opcode, Opcode::pong);
  EXPECT_EQ(pong->payload, "are you there");
  EXPECT_EQ(receive_frame(client)->payload, "fragment");
}

TEST_F(WebSocketServer, CompressesWhenItWasAgreedOn) {
  start();
  TestClient client = connect("/ws/echo", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
  EXPECT_NE(
      head.find(
          "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"),
      std::string::npos);
  MessageDeflate deflate(WebSocketSide::client,
                         {.server_no_context_takeover = true, .client_no_context_takeover = true}, {.threshold = 0});
  const std::string text(5000, 't');
  std::string packed;
  ASSERT_TRUE(deflate.compress(text, packed));
  client.send(client_frame(Opcode::text, packed, true, true) + client_frame(Opcode::text, "short"));
  const auto frame = receive_frame(client);
  ASSERT_TRUE(frame && frame->head.compressed);
  EXPECT_LT(frame->payload.size(), 100U);
  std::string unpacked;
  EXPECT_EQ(deflate.decompress(frame->payload, unpacked, 10'000), MessageDeflate::Result::done);
  EXPECT_EQ(unpacked, text);
  const auto second = receive_frame(client);
  EXPECT_FALSE(second->head.compressed);
  EXPECT_EQ(second->payload, "short");
}

// ------------------------------------------------------------------------------------------------------------ closing

TEST_F(WebSocketServer, AnswersACloseWithItsCodeAndEndsTheConnection) {
  start();
  TestClient client = connect("/ws/echo");
  client.send(client_frame(Opcode::text, "last") + client_frame(Opcode::close, close_payload(4000, "done")));
  auto frame = receive_frame(client);
  if (frame->head.opcode == Opcode::text) frame = receive_frame(client);  // the echo may come in time, or in vain
  EXPECT_EQ(frame->code(), 4000);
  EXPECT_TRUE(client.ended());
  ASSERT_TRUE(becomes([](const WebSocketStats& stats) { return stats.open.get() == 0; }));
  EXPECT_TRUE(test::becomes([&] { return sockets->last_peer_code == 4000; }));
}

TEST_F(WebSocketServer, GivesTheHandlerWhatCameBeforeTheClose) {
  start();
  TestClient client = connect("/ws/gate");
  client.send(client_frame(Opcode::text, "1") + client_frame(Opcode::text, "2") + client_frame(Opcode::close, ""));
  EXPECT_EQ(receive_frame(client)->code(), close_code::none);
  EXPECT_EQ(sockets->running, 1);
  sockets->open();
  EXPECT_TRUE(test::becomes([&] { return sockets->ended == 1; }));
  EXPECT_TRUE(becomes([](const WebSocketStats& stats) { return stats.messages_received.get() == 2; }));
}

TEST_F(WebSocketServer, ClosesWhenTheHandlerSaysSoAndWaitsForTheAnswer) {
  start();
  TestClient client = connect("/ws/close");
  const auto close = receive_frame(client);
  EXPECT_EQ(close->code(), 4001);
  EXPECT_EQ(parse_close_payload(close->payload).reason, "bye");
  EXPECT_EQ(server->stats().websockets.open.get(), 1U);
  client.send(client_frame(Opcode::close, close->payload));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server->stats().websockets.close_timeouts.get(), 0U);
}

TEST_F(WebSocketServer, DoesNotWaitForTheAnswerForever) {
  start({.limits = {.close_timeout = 20ms}});
  TestClient client = connect("/ws/close");
  EXPECT_EQ(receive_frame(client)->code(), 4001);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server->stats().websockets.close_timeouts.get(), 1U);
}

TEST_F(WebSocketServer, TellsAPeerThatBreaksTheProtocolWhatIsWrong) {
  start({.limits = {.max_message = 1000}});
  const struct {
    std::string bytes;
    std::uint16_t code;
  } cases[] = {{"\x81\x01x", 1002},  // not masked
               {client_frame(Opcode::text, "\xff"), 1007},
               {client_frame(Opcode::binary, std::string(1001, 'x')), 1009},
               {client_frame(Opcode::continuation, "x"), 1002},
               {client_frame(Opcode::text, "x", true, true), 1002},  // compressed without an agreement
               {client_frame(Opcode::close, "\x03"), 1002},
               {client_frame(Opcode::close, close_payload(1005 + 11, "")), 1002}};
  std::uint64_t faults = 0;
  for (const auto& one : cases) {
    TestClient client = connect("/ws/echo");
    client.send(one.bytes);
    const auto close = receive_frame(client);
    ASSERT_TRUE(close);
    EXPECT_EQ(close->code(), one.code);
    EXPECT_TRUE(client.ended());
    client.close();
    EXPECT_TRUE(becomes([&](const WebSocketStats& stats) { return stats.open.get() == 0; }));
    EXPECT_EQ(server->stats().websockets.faults.get(), ++faults);
  }
}

TEST_F(WebSocketServer, NoticesAPeerThatIsGoneWithoutAClose) {
  start();
  {
    TestClient client = connect("/ws/echo");
    client.reset();
  }
  ASSERT_TRUE(becomes([](const WebSocketStats& stats) { return stats.broken.get() == 1 && stats.open.get() == 0; }));
  EXPECT_TRUE(test::becomes([&] { return sockets->last_peer_code == close_code::abnormal; }));
}

TEST_F(WebSocketServer, CancelsAHandlerSomeTimeAfterThePeerHasLeft) {
  start({.limits = {.close_timeout = 20ms}});
  TestClient client = connect("/ws/sleep");
  client.close();
  EXPECT_TRUE(test::becomes([&] { return sockets->cancelled == 1; }));
}

TEST_F(WebSocketServer, TellsASenderThatThePeerHasLeft) {
  start();
  {
    TestClient client = connect("/ws/flood");
    static_cast<void>(receive_frame(client));
  }
  EXPECT_TRUE(test::becomes([&] { return sockets->cancelled == 1; }));  // its send has thrown
}

// ------------------------------------------------------------------------------------------------------------- limits

TEST_F(WebSocketServer, HoldsUpASenderWhosePeerDoesNotRead) {
  start({.limits = {.output_high_water = 200 * 1024}});
  TestClient client(server->address(), 4096);
  ASSERT_EQ(client.ask(upgrade("/ws/flood")).status, 101);
  // Until it stands still: the kernel's buffers are full then, and ours.
  int before = -1;
  ASSERT_TRUE(test::becomes([&] {
    std::this_thread::sleep_for(50ms);
    return std::exchange(before, sockets->sent.load()) == sockets->sent.load();
  }));
  for (int i = 0; i < before + 10; ++i) ASSERT_EQ(receive_frame(client)->payload.size(), 100U * 1024);
  EXPECT_GT(sockets->sent, before);
}

TEST_F(WebSocketServer, HoldsUpAPeerWhoseMessagesNobodyTakes) {
  start({.limits = {.max_messages = 0, .input_high_water = 10'000, .max_unread = 8}});
  TestClient client = connect("/ws/gate");
  std::string many;
  for (int i = 0; i < 100; ++i) many += client_frame(Opcode::text, std::to_string(i));
  client.send(many);
  ASSERT_TRUE(becomes([](const WebSocketStats& stats) { return stats.paused.get() == 1; }));
  EXPECT_EQ(server->stats().websockets.messages_received.get(), 8U);
  sockets->open();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(receive_frame(client)->payload, std::to_string(i));
}

TEST_F(WebSocketServer, ClosesOneThatSendsTooManyMessages) {
  start({.limits = {.max_messages = 5}});
  TestClient client = connect("/ws/gate");
  for (int i = 0; i < 6; ++i) client.send(client_frame(Opcode::text, "x"));
  EXPECT_EQ(receive_frame(client)->code(), close_code::policy);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server->stats().websockets.rates.get(), 1U);
}

TEST_F(WebSocketServer, AsksASilentPeerForASignOfLifeAndGivesItUp) {
  start({.limits = {.ping_interval = 20ms, .ping_timeout = 30ms}});
  TestClient client = connect("/ws/echo");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(receive_frame(client)->head.opcode, Opcode::ping);
    client.send(client_frame(Opcode::pong, ""));
  }
  while (const auto frame = receive_frame(client)) EXPECT_EQ(frame->head.opcode, Opcode::ping);
  EXPECT_TRUE(becomes([](const WebSocketStats& stats) { return stats.ping_timeouts.get() == 1; }));
}

TEST_F(WebSocketServer, ClosesOneThatTakesWhatIsSentTooSlowly) {
  start({.limits = {.write_timeout = 50ms, .min_write_rate = 1024 * 1024}});
  TestClient client(server->address(), 4096);
  ASSERT_EQ(client.ask(upgrade("/ws/flood")).status, 101);
  EXPECT_TRUE(becomes([](const WebSocketStats& stats) { return stats.write_timeouts.get() == 1; }));
  EXPECT_TRUE(test::becomes([&] { return sockets->cancelled == 1; }));
}

// -------------------------------------------------------------------------------------------------------------- drain

TEST_F(WebSocketServer, SaysThatItGoesAwayAndWaitsForTheAnswer) {
  start();
  TestClient client = connect("/ws/echo");
  auto drained = server->drain();
  const auto close = receive_frame(client);
  ASSERT_TRUE(close);
  EXPECT_EQ(close->code(), close_code::going_away);
  EXPECT_NE(drained.wait_for(0s), std::future_status::ready);
  client.send(client_frame(Opcode::close, close->payload));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(sockets->ended, 1);
}

TEST_F(WebSocketServer, CancelsHandlersThatStillRunWhenADrainLosesPatience) {
  start({}, {.drain_timeout = 50ms});
  TestClient client = connect("/ws/sleep");
  auto drained = server->drain();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(sockets->cancelled, 1);
}

// ------------------------------------------------------------------------------------------------------------- client

Task<std::string> talk(std::string url) {
  const auto socket = co_await WebSocketClient::connect(url);
  std::string heard;
  for (const std::size_t size : {1UL, 20'000UL, 300'000UL}) {
    co_await (*socket)->send(std::string(size, 'a'));
    const auto message = co_await (*socket)->receive();
    heard += message ? std::to_string(message->data.size()) + " " : "nothing";
  }
  co_await socket->close(4002, "thanks");
  co_return heard + (socket->compressed() ? "compressed" : "plain");
}

TEST_F(WebSocketServer, TalksToOurClient) {
  start();
  EXPECT_EQ(async::run(talk(url("/ws/echo"))), "1 20000 300000 compressed");
  EXPECT_TRUE(test::becomes([&] { return sockets->last_peer_code == 4002; }));
}

Task<int> refused(std::string url) {
  try {
    static_cast<void>(co_await WebSocketClient::connect(url, {.headers = {{"Origin", "https://evil.example"}}}));
  } catch (const WebSocketRefused& error) {
    co_return error.status();
  }
  co_return 0;
}

TEST_F(WebSocketServer, TellsOurClientWhyItIsRefused) {
  start();
  EXPECT_EQ(async::run(refused(url("/ws/echo"))), 403);
  EXPECT_EQ(async::run(refused(url("/none"))), 200);
}

Task<void> come_and_go(std::string url, int times) {
  for (int i = 0; i < times; ++i) {
    const auto socket = co_await WebSocketClient::connect(url);
    co_await (*socket)->send("hello");
    static_cast<void>(co_await (*socket)->receive());
    if (i % 2 == 0) co_await socket->close();
  }
}

TEST_F(WebSocketServer, KeepsNothingOfThoseThatCameAndWent) {
  start({}, {}, 2);
  std::vector<Task<void>> all;
  for (int i = 0; i < 10; ++i) all.push_back(come_and_go(url("/ws/echo"), 20));
  async::run(
      [](std::vector<Task<void>> tasks) -> Task<void> { co_await async::all(std::move(tasks)); }(std::move(all)));
  EXPECT_TRUE(server->becomes([](const ServerStats& stats) {
    return stats.connections.get() == 0 && stats.websockets.open.get() == 0 && stats.websockets.opened.get() == 200;
  }));
  EXPECT_TRUE(test::becomes([&] { return sockets->ended == 200 && sockets->running == 0; }));
}

// -------------------------------------------------------------------------------------------------------------- pair

TEST(WebSocketPair, JoinsTwoEndsInMemory) {
  WebSocketPair pair("chat");
  async::run([](WebSocketPair& both) -> Task<void> {
    co_await both.client().send("to server");
    co_await both.server().send_binary("to client");
    EXPECT_EQ((co_await both.server().receive())->data, "to server");
    EXPECT_FALSE((co_await both.client().receive())->text);
    both.client().close(4003, "enough");
    EXPECT_FALSE(co_await both.server().receive());
  }(pair));
  EXPECT_EQ(pair.server().peer_close_code(), 4003);
  EXPECT_EQ(pair.server().peer_close_reason(), "enough");
  EXPECT_EQ(pair.client().peer_close_code(), 4003);
  EXPECT_EQ(pair.server().subprotocol(), "chat");
  for (int i = 0; i < 63; ++i) static_cast<void>(pair.server().send("in vain"));
  EXPECT_THROW(static_cast<void>(pair.server().send("late")), Cancelled);
  EXPECT_THROW(static_cast<void>(pair.client().send("late")), Cancelled);
}

TEST(WebSocketPair, RefusesTextThatIsNoUtf8AndCodesThatMayNotBeSent) {
  WebSocketPair pair;
  EXPECT_THROW(static_cast<void>(pair.client().send("\xff")), Invalid);
  EXPECT_THROW(pair.client().close(1006), Invalid);
}

TEST(SharedMessage, IsFramedOnceAndCompressedWhenThatIsSmaller) {
  const SharedMessage small("hello");
  EXPECT_EQ(small.plain(), "\x81\x05hello");
  EXPECT_EQ(&small.compressed(), &small.plain());
  const SharedMessage large(std::string(5000, 'x'), false);
  EXPECT_EQ(large.data(), std::string(5000, 'x'));
  EXPECT_LT(large.compressed().size(), 100U);
  EXPECT_EQ(large.compressed()[0], '\xc2');
  EXPECT_THROW(SharedMessage("\xff"), Invalid);
}

}  // namespace
}  // namespace ashlar::http::test
