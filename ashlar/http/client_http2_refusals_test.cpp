// What the client's HTTP/2 refuses from servers, and how it says so.
#include <gmock/gmock.h>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client_http2_test.hpp>

namespace ashlar::http::test {
namespace {

using ::testing::HasSubstr;

TEST(ClientHttp2Refusals, SaysHowAnAnswerBrokeOff) {
  const auto message = [](std::uint32_t code, bool began) {
    return told([&](Http2Peer& peer) {
      const auto asked = peer.asked();
      if (began) {
        peer.headers(asked.stream, {{":status", "200"}, {"content-length", "9"}});
        peer.data(asked.stream, "abc");
      }
      peer.reset(asked.stream, code);
      while (peer.receive()) {
      }
    });
  };
  EXPECT_THAT(message(NGHTTP2_INTERNAL_ERROR, false), HasSubstr("reset the request (INTERNAL_ERROR)"));
  EXPECT_THAT(message(NGHTTP2_INTERNAL_ERROR, true), HasSubstr("broke the answer off (INTERNAL_ERROR)"));
  EXPECT_THAT(message(NGHTTP2_NO_ERROR, true), HasSubstr("broke the answer off (NO_ERROR)"));
  EXPECT_THAT(told([](Http2Peer& peer) { peer.headers(peer.asked().stream, {{":status", "200"}}); }),
              HasSubstr("broke the answer off"));
  EXPECT_THAT(told([](Http2Peer& peer) { static_cast<void>(peer.asked()); }), HasSubstr("before it answered"));
}

TEST(ClientHttp2Refusals, BadAnswersAreRefused) {
  const auto answered = [](const Fields& fields, std::string_view body = {}, std::string method = "GET") {
    return told(
        [&](Http2Peer& peer) {
          const auto asked = peer.asked();
          peer.headers(asked.stream, fields, body.data() == nullptr);
          if (body.data() != nullptr) peer.data(asked.stream, body, true);
          while (peer.receive()) {
          }
        },
        {.method = std::move(method)}, {.max_head = 1000, .max_body = 100});
  };
  for (const Fields& fields : std::vector<Fields>{
           {{"x", "1"}},
           {{":status", "20"}},
           {{":status", "abc"}},
           {{":status", "101"}},
           {{":status", "200"}, {":status", "200"}},
           {{":status", "200"}, {":path", "/"}},
           {{"x", "1"}, {":status", "200"}},
           {{":status", "200"}, {"connection", "close"}},
           {{":status", "200"}, {"transfer-encoding", "chunked"}},
           {{":status", "200"}, {"Upper", "x"}},
           {{":status", "200"}, {"bad name", "x"}},
           {{":status", "200"}, {"x", "a\r\nb"}},
           {{":status", "200"}, {"x", std::string("a\0b", 3)}},
           {{":status", "200"}, {"content-length", "+0"}},
           {{":status", "200"}, {"content-length", "1"}, {"content-length", "1"}},
           {{":status", "200"}, {"content-length", "5"}},
       }) {
    EXPECT_THAT(answered(fields), HasSubstr("a bad answer")) << fields.back().first << " " << fields.back().second;
  }
  EXPECT_THAT(answered({{":status", "200"}, {"x", std::string(1000, 'x')}}), HasSubstr("head is larger"));
  EXPECT_THAT(answered({{":status", "200"}}, std::string(101, 'x')), HasSubstr("larger than the client allows"));
  EXPECT_THAT(answered({{":status", "200"}, {"content-length", "2"}}, "abc"), HasSubstr("a bad answer"));
  EXPECT_THAT(answered({{":status", "204"}}, "abc"), HasSubstr("a bad answer"));
  EXPECT_THAT(answered({{":status", "200"}, {"content-length", "3"}}, "abc", "HEAD"), HasSubstr("a bad answer"));
}

TEST(ClientHttp2Refusals, AHeadOrTrailersWithoutEndAreRefused) {
  EXPECT_THAT(told([](Http2Peer& peer) {
                const auto asked = peer.asked();
                for (int i = 0; i < 40; ++i) peer.headers(asked.stream, {{":status", "103"}});
                while (peer.receive()) {
                }
              }),
              HasSubstr("interim answers without end"));
  EXPECT_THAT(told([](Http2Peer& peer) {
                const auto asked = peer.asked();
                peer.headers(asked.stream, {{":status", "200"}});
                peer.headers(asked.stream, {{"x", std::string(9000, 'x')}}, true);
                while (peer.receive()) {
                }
              }),
              HasSubstr("trailers are too long"));
  EXPECT_THAT(told([](Http2Peer& peer) {  // a few bytes that HPACK makes large
                const auto asked = peer.asked();
                Fields fields = {{":status", "200"}};
                for (int i = 0; i < 1000; ++i) fields.emplace_back("x", std::string(1000, 'x'));
                peer.headers(asked.stream, fields, true);
                while (peer.receive()) {
                }
              }),
              HasSubstr("head is larger"));
}

TEST(ClientHttp2Refusals, FloodsEndTheConnection) {
  const auto flooded = [](const std::string& once) {
    std::string many;
    for (int i = 0; i < 3000; ++i) many += once;
    return told([&](Http2Peer& peer) {
      static_cast<void>(peer.asked());
      for (int i = 0; i < 20 && peer.send(many); ++i) {
      }
      while (peer.receive()) {
      }
    });
  };
  EXPECT_THAT(flooded(frame(NGHTTP2_PING, 0, 0, "12345678")), HasSubstr("flood"));
  EXPECT_THAT(flooded(frame(NGHTTP2_SETTINGS, 0, 0)), HasSubstr("flood"));
  EXPECT_THAT(flooded(frame(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(1, 4))), HasSubstr("flood"));
  EXPECT_THAT(told([](Http2Peer& peer) {
                const auto asked = peer.asked();
                peer.headers(asked.stream, {{":status", "200"}});
                std::string many;
                for (int i = 0; i < 3000; ++i) many += frame(NGHTTP2_DATA, 0, asked.stream);
                for (int i = 0; i < 20 && peer.send(many); ++i) {
                }
                while (peer.receive()) {
                }
              }),
              HasSubstr("flood"));
  EXPECT_THAT(told([](Http2Peer& peer) {
                const auto asked = peer.asked();
                peer.send(frame(NGHTTP2_HEADERS, 0, asked.stream, peer.block({{":status", "200"}})));
                for (int i = 0; i < 100; ++i) {
                  if (!peer.send(frame(NGHTTP2_CONTINUATION, 0, asked.stream, peer.block({{"x", "y"}})))) break;
                }
                while (peer.receive()) {
                }
              }),
              HasSubstr("flood"));
}

TEST(ClientHttp2Refusals, AServerThatBreaksTheProtocolIsGivenUp) {
  const auto sent = [](const std::string& bytes) {
    return told([&](Http2Peer& peer) {
      static_cast<void>(peer.asked());
      peer.send(bytes);
      while (peer.receive()) {
      }
    });
  };
  EXPECT_THAT(sent(frame(NGHTTP2_DATA, 0, 0, "x")), HasSubstr("PROTOCOL_ERROR"));
  EXPECT_THAT(sent(frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, big_endian(2, 4) + "\x82\x86\x84")),
              HasSubstr("a bad answer"));
  EXPECT_THAT(sent(frame(NGHTTP2_PING, 0, 0, "short")), HasSubstr("FRAME_SIZE_ERROR"));
  EXPECT_THAT(sent(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff")),
              HasSubstr("COMPRESSION_ERROR"));
  EXPECT_THAT(sent(frame(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(0x7fff'ffff, 4))), HasSubstr("FLOW_CONTROL_ERROR"));
  EXPECT_THAT(sent(frame(NGHTTP2_DATA, 0, 99, "x")), HasSubstr("PROTOCOL_ERROR"));
}

TEST(ClientHttp2Refusals, AServerThatDoesNotSpeakItIsGivenUp) {
  const auto told_by = [](const std::function<void(RawPeer&)>& script, ClientOptions options = {}) {
    RawServer server([&](RawPeer& raw, int) { script(raw); });
    Client client(by_prior_knowledge(std::move(options)));
    return message_of(client, {.url = url(server.address(), "/")});
  };
  EXPECT_THAT(told_by([](RawPeer& raw) {
                raw.until("SM\r\n\r\n");
                raw.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                raw.rest();
              }),
              HasSubstr("a bad answer"));
  EXPECT_THAT(told_by([](RawPeer& raw) { raw.rest(); }, {.connect_timeout = 30ms, .timeout = 20s}),
              HasSubstr("connect_timeout"));
  EXPECT_THAT(told_by([](RawPeer& raw) { raw.until("SM\r\n\r\n"); }), HasSubstr("before it answered"));
}

TEST(ClientHttp2Refusals, AServerWithoutASignOfLifeIsGivenUp) {
  RawServer server([](RawPeer& raw, int) {
    Http2Peer peer(raw, {.answers_pings = false});
    while (peer.receive()) {
    }
    EXPECT_EQ(peer.pings, 1);
  });
  Client client(by_prior_knowledge({.timeout = 20s, .http2 = {.ping_after = 20ms, .ping_timeout = 30ms}}));
  const std::string message = message_of(client, {.url = url(server.address(), "/")});
  EXPECT_THAT(message, HasSubstr("no sign of life"));
}

TEST(ClientHttp2Refusals, ManyThatCannotBeConnectedAreToldTogether) {
  const net::Fd listener = RawServer::listen_anywhere();
  const net::Address address = net::local_address(listener.get());
  Client client(by_prior_knowledge({.connect_timeout = 50ms, .timeout = 20s}));
  int failed = 0;
  const auto begin = std::chrono::steady_clock::now();
  async::run([](Client& client, const net::Address& address, int& failed) -> Task<void> {
    // The listener's queue takes the connections, and nobody greets.
    const auto ask = [&]() -> Task<void> {
      try {
        static_cast<void>(co_await client.get(url(address, "/")));
      } catch (const Unavailable&) {
        ++failed;
      }
    };
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(ask());
    static_cast<void>(co_await async::all(std::move(tasks)));
    EXPECT_EQ(client.stats().waiting, 0U);
  }(client, address, failed));
  EXPECT_EQ(failed, 3);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
}

}  // namespace
}  // namespace ashlar::http::test
