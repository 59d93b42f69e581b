// What HTTP/2 refuses, and what it bounds.
#include <thread>

#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/http2_test.hpp>

namespace ashlar::http::test {
namespace {

constexpr std::uint8_t kEndHeaders = NGHTTP2_FLAG_END_HEADERS;
constexpr std::uint8_t kEndStream = NGHTTP2_FLAG_END_STREAM;
constexpr std::uint8_t kWhole = kEndHeaders | kEndStream;

Fields head_with(const Fields& changes) {
  Fields head = {{":method", "GET"}, {":scheme", "http"}, {":authority", "test"}, {":path", "/"}};
  for (const auto& change : changes) {
    bool found = false;
    for (auto& field : head) {
      if (field.first == change.first) field = change, found = true;
    }
    if (!found) head.push_back(change);
  }
  return head;
}

TEST(Http2Refuses, HeadsThatAreNoGoodWithAnAnswer) {
  RunningServer server;
  Http2Client client(server.address());
  const auto status = [&](const Fields& head) {
    const Http2Answer answer = client.answer(client.request(head, false));
    EXPECT_EQ(answer.field("content-type"), "application/problem+json");
    EXPECT_NE(answer.body.find("\"status\":" + std::to_string(answer.status)), std::string::npos);
    return answer.status;
  };
  EXPECT_EQ(status(head_with({{":scheme", "ftp"}})), 400);
  EXPECT_EQ(status(head_with({{":authority", "user@test"}})), 400);
  EXPECT_EQ(status(head_with({{"host", "other"}})), 400);
  EXPECT_EQ(status(head_with({{":path", "/a#b"}})), 400);
  EXPECT_EQ(status(head_with({{":path", "/\xc3\xa4"}})), 400);
  EXPECT_EQ(status(head_with({{"expect", "a miracle"}})), 417);
  EXPECT_EQ(status({{":method", "CONNECT"}, {":authority", "test:443"}}), 501);
  EXPECT_EQ(server.stats().malformed.get(), 7U);
  EXPECT_EQ(status(head_with({{":path", "/" + std::string(8 * 1024, 'x')}})), 414);
  EXPECT_EQ(server.stats().targets_too_long.get(), 1U);
  EXPECT_EQ(status(head_with({{"x", std::string(17'000, 'x')}})), 431);
  Fields many;
  for (int i = 0; i < 101; ++i) many.emplace_back("x-" + std::to_string(i), "y");
  EXPECT_EQ(status(head_with(many)), 431);
  EXPECT_EQ(server.stats().heads_too_large.get(), 2U);
  EXPECT_EQ(server.handler.handled.load(), 0);
  EXPECT_EQ(client.ask("/").status, 200);  // a connection outlives them: frames keep requests apart
}

TEST(Http2Refuses, MalformedHeadsByResettingTheStream) {
  RunningServer server;
  const Fields connection_fields[] = {{{"connection", "close"}},   {{"keep-alive", "1"}},
                                      {{"proxy-connection", "a"}}, {{"transfer-encoding", "gzip"}},
                                      {{"upgrade", "h2c"}},        {{"te", "gzip"}}};
  const Fields malformed[] = {
      {{"X-Upper", "a"}}, {{"bad name", "a"}}, {{"x", "a\r\nb: c"}},       {{"x", std::string("a\0b", 3)}},
      {{"x", " padded"}}, {{":unknown", "a"}}, {{"content-length", "1x"}}, {{"x", "y"}, {":path", "/late"}}};
  std::uint32_t stream = 1;
  Http2Wire wire(server.address());
  const auto refused = [&](const Fields& fields, bool standard = true) {
    wire.send(frame(NGHTTP2_HEADERS, kWhole, stream, wire.block(fields, standard)));
    EXPECT_EQ(wire.reset_of(stream), std::uint32_t{NGHTTP2_PROTOCOL_ERROR}) << fields.front().first;
    stream += 2;
  };
  for (const Fields& fields : connection_fields) refused(fields);
  for (const Fields& fields : malformed) refused(fields);
  refused({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, false);       // no authority
  refused({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}, false);  // no path
  refused({{":method", "GET"}, {":authority", "a"}, {":path", "/"}}, false);       // no scheme
  refused({{":scheme", "http"}, {":authority", "a"}, {":path", "/"}}, false);      // no method
  refused({{":method", "GET"}, {":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}, false);
  refused({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", ""}}, false);
  refused({{"content-length", "1"}});  // and no body
  EXPECT_EQ(server.handler.handled.load(), 0);
  EXPECT_EQ(server.stats().malformed.get(), (stream - 1) / 2);
  wire.send(wire.get(stream));
  EXPECT_TRUE(wire.receive(NGHTTP2_HEADERS));
}

TEST(Http2Refuses, BodiesThatAreNotAsLongAsAnnounced) {
  RunningServer server;
  Http2Client client(server.address());
  const Http2Answer shorter = client.answer(client.post("/echo", "1234", {{"content-length", "5"}}));
  EXPECT_EQ(shorter.error, std::uint32_t{NGHTTP2_PROTOCOL_ERROR});
  EXPECT_EQ(shorter.status, 0);
  const Http2Answer longer = client.answer(client.post("/echo", "123456", {{"content-length", "5"}}));
  EXPECT_EQ(longer.error, std::uint32_t{NGHTTP2_PROTOCOL_ERROR});
  EXPECT_EQ(client.ask("/").status, 200);
}

// RFC 9113 §5.1, §5.1.1, §6: the connection ends with the code that the RFC says.
TEST(Http2Refuses, FramesAgainstTheProtocolByEndingTheConnection) {
  RunningServer server;
  struct Case {
    const char* what;
    std::string frames;
    std::uint32_t error;
  };
  Http2Wire maker(server.address());
  const std::string get1 = maker.get(1);
  const Case cases[] = {
      {"DATA on an idle stream", frame(NGHTTP2_DATA, 0, 1, "x"), NGHTTP2_PROTOCOL_ERROR},
      {"a stream of the server's", frame(NGHTTP2_HEADERS, kWhole, 2, "\x82"), NGHTTP2_PROTOCOL_ERROR},
      {"DATA on stream 0", frame(NGHTTP2_DATA, 0, 0, "x"), NGHTTP2_PROTOCOL_ERROR},
      {"HEADERS on stream 0", frame(NGHTTP2_HEADERS, kWhole, 0, "\x82"), NGHTTP2_PROTOCOL_ERROR},
      {"more padding than DATA", get1 + frame(NGHTTP2_HEADERS, kEndHeaders | NGHTTP2_FLAG_PADDED, 3, "\x7f"),
       NGHTTP2_PROTOCOL_ERROR},
      {"an empty window update", frame(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(0, 4)), NGHTTP2_PROTOCOL_ERROR},
      {"too wide a window", frame(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(0x7fffffff, 4)), NGHTTP2_FLOW_CONTROL_ERROR},
      {"a window update of 3 bytes", frame(NGHTTP2_WINDOW_UPDATE, 0, 0, "abc"), NGHTTP2_FRAME_SIZE_ERROR},
      {"a PING of 7 bytes", frame(NGHTTP2_PING, 0, 0, "1234567"), NGHTTP2_FRAME_SIZE_ERROR},
      {"SETTINGS of 5 bytes", frame(NGHTTP2_SETTINGS, 0, 0, "12345"), NGHTTP2_FRAME_SIZE_ERROR},
      {"an impossible setting",
       frame(NGHTTP2_SETTINGS, 0, 0, big_endian(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 2) + big_endian(1U << 31, 4)),
       NGHTTP2_FLOW_CONTROL_ERROR},
      {"a frame larger than allowed", frame(NGHTTP2_DATA, 0, 1, std::string(16385, 'x')), NGHTTP2_FRAME_SIZE_ERROR},
      {"a CONTINUATION of nothing", frame(NGHTTP2_CONTINUATION, kEndHeaders, 1, "\x82"), NGHTTP2_PROTOCOL_ERROR},
      {"another frame within a head",
       frame(NGHTTP2_HEADERS, kEndStream, 1, "\x82") + frame(NGHTTP2_PING, 0, 0, "12345678"), NGHTTP2_PROTOCOL_ERROR},
      {"a head that does not decode", frame(NGHTTP2_HEADERS, kWhole, 1, "\xff\xff\xff\xff\xff\xff"),
       NGHTTP2_COMPRESSION_ERROR},
      {"RST_STREAM of an idle stream", frame(NGHTTP2_RST_STREAM, 0, 5, big_endian(8, 4)), NGHTTP2_PROTOCOL_ERROR},
      {"PUSH_PROMISE by a client", frame(NGHTTP2_PUSH_PROMISE, kEndHeaders, 1, big_endian(2, 4)),
       NGHTTP2_PROTOCOL_ERROR},
  };
  for (const Case& one : cases) {
    Http2Wire wire(server.address());
    wire.send(one.frames);
    EXPECT_EQ(wire.goaway(), one.error) << one.what;
  }
  EXPECT_EQ(server.stats().malformed.get(), std::size(cases));
}

TEST(Http2Refuses, StreamsThatComeInTheWrongOrder) {
  RunningServer server;
  Http2Wire wire(server.address());
  wire.send(wire.get(5));
  ASSERT_TRUE(wire.receive(NGHTTP2_HEADERS));
  wire.send(wire.get(3) + wire.get(7));
  const auto answer = wire.receive(NGHTTP2_HEADERS);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stream, 7U);
  EXPECT_EQ(server.handler.handled.load(), 2);
}

TEST(Http2Refuses, WhatIsNoPreface) {
  RunningServer server;
  Http2Wire wire(server.address(), false);
  wire.send("PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n");
  EXPECT_FALSE(wire.receive());  // to HTTP/1.1 it is a malformed request
  Http2Wire silent(server.address(), false);
  silent.send(std::string(detail::kHttp2Preface) + frame(NGHTTP2_PING, 0, 0, "12345678"));  // SETTINGS come first
  EXPECT_EQ(silent.goaway(), std::uint32_t{NGHTTP2_PROTOCOL_ERROR});
}

TEST(Http2Refuses, MoreStreamsThanAllowedSoThatTheyMayBeAskedForAgain) {
  RunningServer server({.http2 = {.max_concurrent_streams = 2}});
  Http2Wire wire(server.address());
  const std::string gate1 = frame(NGHTTP2_HEADERS, kWhole, 1, wire.block(head_with({{":path", "/gate"}}), false));
  const std::string gate3 = frame(NGHTTP2_HEADERS, kWhole, 3, wire.block(head_with({{":path", "/gate"}}), false));
  wire.send(gate1 + gate3 + wire.get(5));
  EXPECT_EQ(wire.reset_of(5), std::uint32_t{NGHTTP2_REFUSED_STREAM});
  EXPECT_EQ(server.stats().http2_refused.get(), 1U);
  server.handler.open_gate();
  EXPECT_TRUE(wire.receive(NGHTTP2_HEADERS));
}

// ------------------------------------------------------------------------------------------------------------- abuse

TEST(Http2Abuse, RapidResetsEndTheConnection) {
  RunningServer server({.http2 = {.reset_burst = 20, .resets_per_second = 1}});
  Http2Wire wire(server.address());
  std::string storm;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    storm += frame(NGHTTP2_HEADERS, kWhole, 2 * i + 1, wire.block(head_with({{":path", "/gate"}}), false));
    storm += frame(NGHTTP2_RST_STREAM, 0, 2 * i + 1, big_endian(NGHTTP2_CANCEL, 4));
  }
  wire.try_send(storm);
  EXPECT_EQ(wire.goaway(), std::uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_EQ(server.stats().http2_rapid_resets.get(), 1U);
  EXPECT_LE(server.handler.handled.load(), 22);
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_running.get() == 0; }));
}

// CVE-2025-8671: the client breaks a rule on a stream, so that it is the server who resets.
TEST(Http2Abuse, ResetsThatTheServerIsMadeToSendCountAsWell) {
  RunningServer server({.http2 = {.reset_burst = 20, .resets_per_second = 1}});
  Http2Wire wire(server.address());
  std::string storm;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    storm += frame(NGHTTP2_HEADERS, kWhole, 2 * i + 1, wire.block(head_with({{":path", "/gate"}}), false));
    storm += frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, big_endian(0x7fffffff, 4));
  }
  wire.try_send(storm);
  EXPECT_EQ(wire.goaway(), std::uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_EQ(server.stats().http2_rapid_resets.get(), 1U);
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_running.get() == 0; }));
}

TEST(Http2Abuse, AHandlerThatDoesNotEndCountsAsAStreamAfterItsReset) {
  RunningServer server({.http2 = {.max_concurrent_streams = 3}});
  Http2Client client(server.address());
  for (int i = 0; i < 3; ++i) {
    const std::int32_t held = client.get("/hold");  // does not look at its scope
    client.flush();
    client.reset(held);
  }
  EXPECT_EQ(client.ask("/").error, std::uint32_t{NGHTTP2_REFUSED_STREAM});
  TestClient other(server.address());
  EXPECT_EQ(other.ask(get("/finish")).status, 200);
  EXPECT_EQ(client.ask("/").status, 200);
}

TEST(Http2Abuse, FloodsOfFramesThatBringNothingEndTheConnection) {
  RunningServer server({.http2 = {.control_burst = 50, .controls_per_second = 1}});
  Http2Wire maker(server.address());
  const std::string open = frame(NGHTTP2_HEADERS, kEndHeaders, 1, maker.block({}));
  const std::pair<const char*, std::string> floods[] = {
      {"PING", frame(NGHTTP2_PING, 0, 0, "12345678")},
      {"PING back", frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678")},
      {"SETTINGS", frame(NGHTTP2_SETTINGS, 0, 0)},
      {"PRIORITY", frame(NGHTTP2_PRIORITY, 0, 3, big_endian(0, 5))},
      {"WINDOW_UPDATE", frame(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(1, 4))},
      {"empty DATA", frame(NGHTTP2_DATA, 0, 1)},
      {"nothing but padding", frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, std::string("\x02\0\0", 3))},
  };
  for (const auto& [what, one] : floods) {
    Http2Wire wire(server.address());
    std::string storm = open;
    for (int i = 0; i < 200; ++i) storm += one;
    wire.try_send(storm);
    EXPECT_EQ(wire.goaway(), std::uint32_t{NGHTTP2_ENHANCE_YOUR_CALM}) << what;
  }
  EXPECT_EQ(server.stats().http2_floods.get(), std::size(floods));
}

TEST(Http2Abuse, ClientsThatWorkMayControlAsMuchAsTheyNeed) {
  RunningServer server({.http2 = {.control_burst = 20, .controls_per_second = 1}});
  Http2Client client(server.address());
  for (int i = 0; i < 200; ++i) {
    client.ping();
    EXPECT_EQ(client.ask("/").status, 200);
  }
  EXPECT_EQ(client.ask("/large").body.size(), 8U * 1024 * 1024);  // with a window update for every other frame
  EXPECT_EQ(client.pongs, 200);
}

TEST(Http2Abuse, EndlessContinuationsEndTheConnection) {
  RunningServer server;
  Http2Wire wire(server.address());
  std::string storm = frame(NGHTTP2_HEADERS, kEndStream, 1, wire.block({}));
  for (int i = 0; i < 1000; ++i)
    storm += frame(NGHTTP2_CONTINUATION, 0, 1, wire.block({{"x", std::to_string(i)}}, false));
  wire.try_send(storm);
  EXPECT_EQ(wire.goaway(), std::uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_EQ(server.stats().http2_floods.get(), 1U);
}

TEST(Http2Abuse, AHeadThatGrowsOutOfFewBytesEndsTheConnection) {
  RunningServer server;
  Http2Wire wire(server.address());
  // A field of 2900 bytes goes into the table; every byte after it is the same field again.
  std::string bomb = wire.block({{"x", std::string(2900, 'x')}});
  bomb += std::string(8000, static_cast<char>(0xbe));
  wire.try_send(frame(NGHTTP2_HEADERS, kWhole, 1, bomb));
  EXPECT_EQ(wire.goaway(), std::uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_EQ(server.stats().http2_header_bombs.get(), 1U);
  EXPECT_EQ(server.handler.handled.load(), 0);
}

TEST(Http2Abuse, AClientThatDoesNotReadIsNotReadFrom) {
  RunningServer server({.output_high_water = 64 * 1024});
  Http2Client client(server.address(), {.receive_buffer = 4 * 1024, .window = 1U << 30});
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(client.get("/large"));
  client.flush();
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests.get() == 4; }));
  for (const std::int32_t stream : streams) EXPECT_EQ(client.answer(stream).body.size(), 8U * 1024 * 1024);
}

TEST(Http2Abuse, BodiesOfOneConnectionShareABudgetAndAllArriveInTurn) {
  constexpr std::size_t kBody = 900'000;
  RunningServer server({.http2 = {.stream_window = 64 * 1024, .body_budget = 256 * 1024}});
  Http2Client client(server.address());
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(client.open("/echo"));
  // All but the last byte of each: none can be handed over, and only one may have come whole.
  for (const std::int32_t stream : streams) client.data(stream, std::string(kBody - 1, 'b'), false);
  // A PING and its answer let what the windows allow pass.
  for (int i = 0, quiet = 0; quiet < 3; ++i) {
    const std::uint64_t before = server.stats().bytes_received.get();
    client.ping();
    ASSERT_TRUE(client.until([&] { return client.pongs > i; }));
    quiet = server.stats().bytes_received.get() < before + 100 ? quiet + 1 : 0;
  }
  EXPECT_EQ(server.stats().http2_bodies_held.get(), 7U);
  EXPECT_LT(server.stats().bytes_received.get(), kBody + 256 * 1024 + 8 * 64 * 1024 + 64 * 1024);
  for (const std::int32_t stream : streams) client.data(stream, "b", true);
  for (const std::int32_t stream : streams) EXPECT_EQ(client.answer(stream).body.size(), kBody);
  EXPECT_EQ(server.handler.handled.load(), 8);
}

// -------------------------------------------------------------------------------------------------------------- time

TEST(Http2Time, AConnectionThatSaysNothingIsClosed) {
  RunningServer server({.header_timeout = 50ms});
  Http2Wire wire(server.address(), false);
  wire.send(detail::kHttp2Preface);  // and no SETTINGS
  while (wire.receive()) {
  }
  EXPECT_EQ(server.stats().header_timeouts.get(), 1U);
}

TEST(Http2Time, AnIdleConnectionIsEndedInOrderHoweverItPings) {
  RunningServer server({.idle_timeout = 100ms});
  Http2Client client(server.address());
  EXPECT_EQ(client.ask("/").status, 200);
  for (int i = 0; i < 5; ++i) client.ping();
  EXPECT_TRUE(client.ended());
  ASSERT_EQ(client.goaways.size(), 1U);
  EXPECT_EQ(client.goaways[0].last, 1);
  EXPECT_EQ(client.goaways[0].error, 0U);
  EXPECT_EQ(server.stats().idle_timeouts.get(), 1U);
}

TEST(Http2Time, AHeadThatStopsHalfWayEndsTheConnection) {
  RunningServer server({.header_timeout = 50ms});
  Http2Wire wire(server.address());
  wire.send(frame(NGHTTP2_HEADERS, kEndStream, 1, wire.block({})));
  EXPECT_EQ(wire.goaway(), std::uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_EQ(server.stats().header_timeouts.get(), 1U);
}

TEST(Http2Time, ASlowBodyIsAnsweredWith408AndTheOthersGoOn) {
  RunningServer server({.body_timeout = 50ms, .min_body_rate = 1'000'000});
  Http2Client client(server.address());
  const std::int32_t kept = client.open("/echo");
  const std::int32_t read = client.open("/read");
  client.data(kept, "abc", false);
  client.data(read, "abc", false);
  EXPECT_EQ(client.answer(kept).status, 408);
  EXPECT_TRUE(client.of(kept).ended);
  EXPECT_EQ(client.answer(read).status, 408);
  EXPECT_EQ(client.ask("/").status, 200);
  EXPECT_EQ(server.stats().body_timeouts.get(), 2U);
}

TEST(Http2Time, EveryStreamHasADeadline) {
  RunningServer server({.request_timeout = 50ms});
  Http2Client client(server.address());
  const std::int32_t one = client.get("/gate");
  const std::int32_t two = client.get("/gate");
  EXPECT_EQ(client.answer(one).status, 504);
  EXPECT_EQ(client.answer(two).status, 504);
  EXPECT_EQ(server.stats().request_timeouts.get(), 2U);
}

TEST(Http2Time, AClientThatKeepsItsWindowsShutIsEnded) {
  RunningServer server({.write_timeout = 100ms});
  for (const std::string_view path : {"/large", "/stream-endless"}) {
    Http2Client client(server.address(), {.window = 100, .opens_windows = false});
    const std::int32_t stream = client.get(path);
    EXPECT_TRUE(client.ended());
    EXPECT_EQ(client.goaways.back().error, std::uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
    EXPECT_EQ(client.of(stream).body.size(), 100U);
  }
  EXPECT_EQ(server.stats().write_timeouts.get(), 2U);
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.streams.get() == 0; }));
}

TEST(Http2Time, AStreamWhoseWindowStaysShutIsResetWhileOthersAreTaken) {
  RunningServer server({.write_timeout = 200ms, .min_write_rate = 1});
  Http2Client client(server.address(), {.window = 100, .opens_windows = false});
  const std::int32_t stuck = client.get("/large");
  const std::int32_t taken = client.get("/large");
  ASSERT_TRUE(client.until([&] { return client.of(stuck).body.size() == 100; }));
  while (!client.of(stuck).closed) {
    const std::size_t had = client.of(taken).body.size();
    client.open_window(taken, 100);
    ASSERT_TRUE(client.until([&] { return client.of(taken).body.size() > had || client.of(stuck).closed; }));
  }
  EXPECT_EQ(client.of(stuck).error, std::uint32_t{NGHTTP2_CANCEL});
  EXPECT_FALSE(client.of(taken).closed);
}

TEST(Http2Time, AClientThatDoesNotReadIsEnded) {
  RunningServer server({.write_timeout = 50ms, .min_write_rate = 1'000'000'000});
  Http2Client client(server.address(), {.receive_buffer = 4 * 1024, .window = 1U << 30});
  client.get("/large");
  client.flush();
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.write_timeouts.get() == 1; }));
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.connections.get() == 0; }));
}

// ---------------------------------------------------------------------------------------------------------- the end

TEST(Http2Drain, TellsTheClientAndAnswersWhatRuns) {
  RunningServer server({.drain_grace = 10s});
  Http2Client client(server.address());
  const std::int32_t gate = client.get("/gate?x");
  ASSERT_TRUE(client.until([&] { return !client.settings.empty(); }));
  client.flush();
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 1; }));
  auto drained = server.drain();
  ASSERT_TRUE(client.until([&] { return client.goaways.size() == 2; }));
  EXPECT_EQ(client.goaways[0].last, (1LL << 31) - 1);
  EXPECT_EQ(client.goaways[1].last, gate);
  server.handler.open_gate();
  EXPECT_EQ(client.answer(gate).body, "gate x");
  EXPECT_TRUE(client.ended());
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(Http2Drain, AnswersWhatTheClientSentBeforeItKnew) {
  RunningServer server({.drain_grace = 10s});
  Http2Wire wire(server.address());
  wire.send(frame(NGHTTP2_HEADERS, kWhole, 1, wire.block(head_with({{":path", "/gate"}}), false)));
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 1; }));
  [[maybe_unused]] const auto drained = server.drain();
  const auto notice = wire.receive(NGHTTP2_GOAWAY);
  ASSERT_TRUE(notice);
  EXPECT_EQ(notice->payload.substr(0, 4), big_endian(0x7fffffff, 4));
  const auto ping = wire.receive(NGHTTP2_PING);
  ASSERT_TRUE(ping);
  wire.send(wire.get(3) + frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, ping->payload));
  const auto answer = wire.receive(NGHTTP2_HEADERS);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stream, 3U);
  const auto end = wire.receive(NGHTTP2_GOAWAY);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->payload.substr(0, 4), big_endian(3, 4));
  wire.send(wire.get(5));  // the client knows better, and asks elsewhere
  server.handler.open_gate();
  const auto last = wire.receive(NGHTTP2_HEADERS);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->stream, 1U);
  EXPECT_FALSE(wire.receive(NGHTTP2_HEADERS));
  EXPECT_EQ(server.handler.handled.load(), 2);
}

TEST(Http2Drain, BeginsNothingBehindTheLastStreamWhenAFullSocketHoldsThatWordBack) {
  RunningServer server({.http2 = {.max_concurrent_streams = 1000}, .drain_grace = 10ms});
  Http2Client client(server.address(), {.receive_buffer = 4 * 1024, .window = 1U << 30});
  std::vector<std::int32_t> streams = {client.get("/large")};
  client.flush();
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests.get() == 1; }));
  auto drained = server.drain();
  // The client has not read that it is to ask for nothing more, and asks until the server begins nothing more.
  ASSERT_TRUE(server.becomes([&](const ServerStats& now) {
    if (streams.size() < 400) streams.push_back(client.get("/"));
    client.flush();
    std::this_thread::sleep_for(10ms);
    return now.http2_refused.get() != 0;
  }));
  int answered = 0;
  for (const std::int32_t stream : streams) answered += client.answer(stream).status == 200 ? 1 : 0;
  EXPECT_EQ(answered, server.handler.handled.load());
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(Http2Drain, EndsAnIdleConnectionAtOnce) {
  RunningServer server({.drain_grace = 10s});
  Http2Client client(server.address());
  EXPECT_EQ(client.ask("/").status, 200);
  auto drained = server.drain();
  EXPECT_TRUE(client.ended());
  client.close();
  EXPECT_EQ(drained.wait_for(5s), std::future_status::ready);
}

TEST(Http2Drain, DoesNotWaitLongerThanTheGraceForAClientToKnow) {
  RunningServer server({.drain_grace = 50ms});
  Http2Wire wire(server.address());
  wire.send(wire.get(1));
  ASSERT_TRUE(wire.receive(NGHTTP2_HEADERS));
  [[maybe_unused]] const auto drained = server.drain();
  EXPECT_EQ(wire.goaway(), 0U);  // PING is not answered
}

TEST(Http2Drain, CancelsWhatDoesNotEnd) {
  RunningServer server({.drain_grace = 10ms, .drain_timeout = 100ms});
  Http2Client client(server.address());
  const std::int32_t gate = client.get("/gate");
  const std::int32_t upload = client.open("/echo");
  const std::int32_t endless = client.get("/stream-endless");
  client.flush();
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests.get() == 3; }));
  auto drained = server.drain();
  EXPECT_EQ(client.answer(gate).status, 503);
  EXPECT_EQ(client.answer(upload).error, std::uint32_t{NGHTTP2_REFUSED_STREAM});
  EXPECT_FALSE(client.answer(endless).ended);
  EXPECT_TRUE(client.ended());
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(Http2Drain, EndsAConnectionAfterItsLastRequest) {
  RunningServer server({.max_requests_per_connection = 3});
  Http2Client client(server.address());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.ask("/").status, 200);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.goaways.front().last, (1LL << 31) - 1);
  EXPECT_EQ(server.stats().request_limits.get(), 1U);
}

// Every client asks as fast as it can while the server drains. What the last GOAWAY covers is answered.
TEST(Http2Drain, DropsNoAcceptedRequestUnderLoad) {
  for (int round = 0; round < 3; ++round) {
    RunningServer server({.drain_grace = 5s}, 2);
    std::atomic<int> answered{0};
    std::atomic<int> dropped{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        Http2Client client(server.address());
        std::vector<std::int32_t> open;
        while (client.goaways.empty()) {
          for (int n = 0; n < 10; ++n) open.push_back(client.get("/"));
          client.answer(open.back());
        }
        client.ended();
        for (const std::int32_t stream : open) {
          const Http2Answer& answer = client.of(stream);
          if (answer.status == 200 && answer.ended) {
            ++answered;
          } else if (stream <= client.goaways.back().last) {
            ++dropped;
          }
        }
      });
    }
    ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests.get() > 500; }));
    auto drained = server.drain();
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(drained.wait_for(20s), std::future_status::ready);
    EXPECT_EQ(dropped.load(), 0);
    EXPECT_EQ(static_cast<std::uint64_t>(answered.load()), server.stats().requests.get());
  }
}

}  // namespace
}  // namespace ashlar::http::test
