// What the client's HTTP/2 says, what it repeats and how much it takes, with servers that follow a script.
#include <gmock/gmock.h>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client_http2_test.hpp>

namespace ashlar::http::test {
namespace {

using ::testing::HasSubstr;

TEST(ClientHttp2Limits, TheHeadIsThatOfHttp1WithoutWhatIsAboutTheConnection) {
  Http2Peer::Asked asked;
  {
    RawServer server([&](RawPeer& raw, int) {
      Http2Peer peer(raw);
      asked = peer.asked();
      peer.answer(asked);
      static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
    });
    Client client(by_prior_knowledge());
    async::run([](Client& client, const net::Address& address) -> Task<void> {
      const auto body = []() -> Generator<std::string> { co_yield std::string("x"); };
      const auto response = co_await client.send({.method = "PUT",
                                                  .url = url(address, "/p?q"),
                                                  .headers = {{"Connection", "X-Hop, close"},
                                                              {"X-Hop", "1"},
                                                              {"Keep-Alive", "timeout=5"},
                                                              {"Proxy-Connection", "keep-alive"},
                                                              {"Upgrade", "websocket"},
                                                              {"HTTP2-Settings", "x"},
                                                              {"TE", "gzip"},
                                                              {"TE", "trailers"},
                                                              {"Host", "other.example"},
                                                              {"X-Mixed-Case", "Value"}},
                                                  .stream = body});
      EXPECT_EQ(response.body, "ok");
      client.close_idle();
    }(client, server.address()));
  }
  const Fields expected = {{":method", "PUT"}, {":scheme", "http"},      {":authority", "other.example"},
                           {":path", "/p?q"},  {"user-agent", "ashlar"}, {"accept-encoding", "zstd, br, gzip, deflate"},
                           {"te", "trailers"}, {"x-mixed-case", "Value"}};
  Fields head = asked.fields;
  EXPECT_EQ(std::erase_if(head, [](const auto& one) { return one.first == "x-request-timeout-ms"; }), 1U);
  std::ranges::sort(head);
  Fields sorted = expected;
  std::ranges::sort(sorted);
  EXPECT_EQ(head, sorted);
  EXPECT_TRUE(asked.fields.size() > 4 && asked.fields[3].first.starts_with(':')) << "pseudo fields come first";
}

TEST(ClientHttp2Limits, ARequestThatTheServerDidNotLookAtIsSentAgain) {
  for (const bool by_goaway : {false, true}) {
    RawServer server([&](RawPeer& raw, int number) {
      Http2Peer peer(raw);
      auto asked = peer.asked();
      if (number == 0) {
        if (by_goaway) {
          peer.goaway(0);
          return;
        }
        peer.reset(asked.stream, NGHTTP2_REFUSED_STREAM);
        asked = peer.asked();
      }
      peer.answer(asked);
      static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
    });
    Client client(by_prior_knowledge());
    async::run([](Client& client, const net::Address& address) -> Task<void> {
      EXPECT_EQ((co_await client.post(url(address, "/"), "not idempotent")).body, "ok");
      client.close_idle();
    }(client, server.address()));
    EXPECT_EQ(client.stats().retries, 1U);
    EXPECT_EQ(client.stats().connects, by_goaway ? 2U : 1U);
  }
}

TEST(ClientHttp2Limits, AServerThatAlwaysRefusesIsGivenUp) {
  int requests = 0;
  const std::string message = told(
      [&](Http2Peer& peer) {
        for (auto asked = peer.asked(); asked.stream != 0; asked = peer.asked()) {
          ++requests;
          peer.reset(asked.stream, NGHTTP2_REFUSED_STREAM);
        }
      },
      {.method = "POST"}, {.retry = {.first_backoff = 1ms}});
  EXPECT_THAT(message, HasSubstr("REFUSED_STREAM"));
  EXPECT_EQ(requests, 4);
}

TEST(ClientHttp2Limits, AfterGoawayWhatTheServerKeptIsFinishedAndTheRestGoesElsewhere) {
  RawServer server([](RawPeer& raw, int number) {
    Http2Peer peer(raw);
    const auto first = peer.asked();
    if (number == 0) {
      const auto second = peer.asked();
      EXPECT_EQ(second.stream, 3U);
      peer.goaway(first.stream);
      EXPECT_FALSE(first.ended);
      peer.answer(first.stream, "first");
      while (peer.receive()) {
      }
      return;
    }
    peer.answer(first.stream, "second");
    static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
  });
  Client client(by_prior_knowledge({.max_connections_per_host = 1}));
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    const auto [first, second] =
        co_await async::all(client.post(url(address, "/1"), "a"), client.post(url(address, "/2"), "b"));
    EXPECT_EQ(first.body, "first");
    EXPECT_EQ(second.body, "second");
    client.close_idle();
  }(client, server.address()));
  EXPECT_EQ(client.stats().connects, 2U);
}

TEST(ClientHttp2Limits, AKeptConnectionThatDiedCostsAnIdempotentRequestNothingAndAnotherItsAnswer) {
  for (const bool idempotent : {true, false}) {
    RawServer server([](RawPeer& raw, int number) {
      Http2Peer peer(raw);
      peer.answer(peer.asked());
      if (number == 0) {
        static_cast<void>(peer.asked());
        return;
      }
      static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
    });
    Client client(by_prior_knowledge());
    async::run([](Client& client, const net::Address& address, bool idempotent) -> Task<void> {
      EXPECT_EQ((co_await client.get(url(address, "/"))).body, "ok");
      std::string message;
      try {
        const std::string method = idempotent ? "DELETE" : "POST";
        EXPECT_EQ((co_await client.send({.method = method, .url = url(address, "/")})).body, "ok");
      } catch (const Unavailable& error) {
        message = error.message();
      }
      EXPECT_EQ(message.find("closed the connection before it answered") != std::string::npos, !idempotent) << message;
      client.close_idle();
    }(client, server.address(), idempotent));
    EXPECT_EQ(client.stats().retries, idempotent ? 1U : 0U);
  }
}

TEST(ClientHttp2Limits, AServerThatWantsHttp1GetsIt) {
  RawServer server([](RawPeer& raw, int number) {
    if (number == 0) {
      Http2Peer peer(raw);
      peer.reset(peer.asked().stream, NGHTTP2_HTTP_1_1_REQUIRED);
      while (peer.receive()) {
      }
      return;
    }
    while (raw.until("\r\n\r\n").starts_with("POST / HTTP/1.1\r\n")) raw.send(kOk);
  });
  Client client(by_prior_knowledge());
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    for (int i = 0; i < 2; ++i) EXPECT_EQ((co_await client.post(url(address, "/"), "")).body, "ok");
    client.close_idle();
  }(client, server.address()));
  EXPECT_EQ(client.stats().connects, 2U);
}

TEST(ClientHttp2Limits, NoMoreAreOpenThanTheServerAllows) {
  RawServer server([](RawPeer& raw, int) {
    Http2Peer peer(raw, {.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}}});
    for (auto asked = peer.asked(); asked.stream != 0; asked = peer.asked()) {
      // Everything else that the client has to say comes before the answer to this.
      peer.send(frame(NGHTTP2_PING, 0, 0, "12345678"));
      while (const auto next = peer.receive()) {
        EXPECT_NE(next->type, NGHTTP2_HEADERS);
        if (next->type == NGHTTP2_PING) break;
      }
      peer.answer(asked);
    }
  });
  Client client(by_prior_knowledge({.max_connections_per_host = 1}));
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    std::vector<Task<ClientResponse>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(client.get(url(address, "/")));
    for (const ClientResponse& response : co_await async::all(std::move(tasks))) EXPECT_EQ(response.body, "ok");
    client.close_idle();
  }(client, server.address()));
  EXPECT_EQ(client.stats().connects, 1U);
}

TEST(ClientHttp2Limits, AStreamThatWasResetKeepsItsPlaceUntilTheServerKnows) {
  std::vector<std::uint8_t> seen;
  {
    RawServer server([&](RawPeer& raw, int) {
      Http2Peer peer(raw, {.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}}, .answers_pings = false});
      const auto stays = peer.asked();
      static_cast<void>(peer.asked());
      std::optional<std::string> ping;
      while (const auto next = peer.receive()) {
        if (next->type == NGHTTP2_PING) ping = next->payload;
        if (next->type == NGHTTP2_RST_STREAM || next->type == NGHTTP2_HEADERS) seen.push_back(next->type);
        if (!ping || peer.resets.empty()) continue;
        if (seen.size() == 1) {
          peer.send(frame(NGHTTP2_PING, 0, 0, "12345678"));  // what was to be sent at once comes before its answer
          while (const auto other = peer.receive()) {
            if (other->type == NGHTTP2_HEADERS) seen.push_back(NGHTTP2_DATA);  // too early
            if (other->type == NGHTTP2_PING && (other->flags & NGHTTP2_FLAG_ACK) != 0) break;
          }
          peer.send(frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, *ping));
          const auto third = peer.asked();
          seen.push_back(NGHTTP2_HEADERS);
          peer.answer(third);
          peer.answer(stays);
        }
      }
    });
    Client client(by_prior_knowledge({.max_connections_per_host = 1}));
    async::run([](Client& client, const net::Address& address) -> Task<void> {
      const auto late = [&]() -> Task<void> {
        bool in_time = true;
        try {
          static_cast<void>(co_await client.send({.url = url(address, "/late"), .timeout = 100ms}));
        } catch (const DeadlineExceeded&) {
          in_time = false;
        }
        EXPECT_FALSE(in_time);
        EXPECT_EQ((co_await client.get(url(address, "/third"))).body, "ok");
      };
      const auto stays = [&]() -> Task<void> { EXPECT_EQ((co_await client.get(url(address, "/"))).body, "ok"); };
      co_await async::all(stays(), late());
      client.close_idle();
    }(client, server.address()));
  }
  EXPECT_EQ(seen, (std::vector<std::uint8_t>{NGHTTP2_RST_STREAM, NGHTTP2_HEADERS}));
}

TEST(ClientHttp2Limits, ABodyIsSentAsTheServersWindowsOpen) {
  const std::string body(300'000, 'b');
  RawServer server([&](RawPeer& raw, int) {
    Http2Peer peer(raw, {.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10}}});
    const auto asked = peer.asked();
    EXPECT_EQ(asked.field("content-length"), "300000");
    std::size_t allowed = 10;
    while (peer.bodies[asked.stream].size() < body.size()) {
      if (!peer.receive(NGHTTP2_DATA)) break;
      const std::size_t got = peer.bodies[asked.stream].size();
      // SETTINGS may come after the first of it has left.
      if (got > 65'535) EXPECT_LE(got, allowed + 65'535);
      if (got >= allowed || got >= 65'535) {
        peer.open_window(asked.stream, 40'000);
        peer.open_window(0, 40'000);
        allowed += 40'000;
      }
    }
    EXPECT_EQ(peer.bodies[asked.stream], body);
    peer.answer(asked);
    static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
  });
  Client client(by_prior_knowledge());
  async::run([](Client& client, const net::Address& address, std::string body) -> Task<void> {
    EXPECT_EQ((co_await client.post(url(address, "/"), std::move(body))).body, "ok");
    client.close_idle();
  }(client, server.address(), body));
}

TEST(ClientHttp2Limits, AnAnswerThatIsNotReadIsNotTakenBeyondItsWindow) {
  constexpr std::uint32_t kWindow = 20'000;
  std::atomic<bool> more{false};
  RawServer server([&](RawPeer& raw, int) {
    Http2Peer peer(raw);
    const auto asked = peer.asked();
    peer.headers(asked.stream, {{":status", "200"}});
    peer.data(asked.stream, std::string(15'000, 'a'));
    peer.data(asked.stream, std::string(5'000, 'b'));
    peer.send(frame(NGHTTP2_PING, 0, 0, "12345678"));
    while (const auto next = peer.receive()) {
      if (next->type == NGHTTP2_WINDOW_UPDATE && next->stream == asked.stream) more = true;
      if (next->type == NGHTTP2_PING) break;
    }
    EXPECT_FALSE(more);
    peer.answer(peer.asked());  // the connection's window is open to others
    while (!more) {
      const auto next = peer.receive();
      if (!next) break;
      if (next->type == NGHTTP2_WINDOW_UPDATE && next->stream == asked.stream) more = true;
    }
    peer.data(asked.stream, "end", true);
    static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
  });
  Client client(by_prior_knowledge({.http2 = {.stream_window = kWindow}}));
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    StreamedResponse streamed = co_await client.stream({.url = url(address, "/")});
    EXPECT_EQ((co_await client.get(url(address, "/other"))).body, "ok");
    std::string body;
    while (auto piece = co_await streamed.body.next()) body += *piece;
    EXPECT_EQ(body, std::string(15'000, 'a') + std::string(5'000, 'b') + "end");
    client.close_idle();
  }(client, server.address()));
  EXPECT_TRUE(more);
}

TEST(ClientHttp2Limits, InterimAnswersAreSkippedAndTrailersKept) {
  RawServer server([](RawPeer& raw, int) {
    Http2Peer peer(raw);
    const auto asked = peer.asked();
    peer.headers(asked.stream, {{":status", "103"}, {"link", "x"}});
    peer.headers(asked.stream, {{":status", "200"}, {"a", "1"}});
    peer.data(asked.stream, "body");
    peer.headers(asked.stream, {{"x-trailer", "1"}, {"content-type", "text/html"}}, true);
    static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
  });
  Client client(by_prior_knowledge());
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    const ClientResponse response = co_await client.get(url(address, "/"));
    EXPECT_EQ(response.body, "body");
    EXPECT_EQ(response.header("a"), "1");
    EXPECT_EQ(response.header("link"), std::nullopt);
    EXPECT_EQ(response.header("x-trailer"), std::nullopt);
    EXPECT_EQ(response.trailer("X-Trailer"), "1");
    EXPECT_EQ(response.trailer("content-type"), std::nullopt);
    client.close_idle();
  }(client, server.address()));
}

TEST(ClientHttp2Limits, AServerThatOnlyTakesItsTimeIsAskedAndWaitedFor) {
  RawServer server([](RawPeer& raw, int) {
    Http2Peer peer(raw);
    const auto asked = peer.asked();
    while (peer.pings < 3 && peer.receive()) {
    }
    peer.answer(asked);
    static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
  });
  Client client(by_prior_knowledge({.http2 = {.ping_after = 5ms, .ping_timeout = 15s}}));
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    EXPECT_EQ((co_await client.get(url(address, "/"))).body, "ok");
    client.close_idle();
  }(client, server.address()));
}

/// Cancels a request at a point that the server chooses; the server must hear of it.
void cancelled_at(const std::function<void(Http2Peer&)>& until_then, ClientRequest request) {
  async::Event there;
  std::uint32_t code = 0;
  {
    RawServer server([&](RawPeer& raw, int) {
      Http2Peer peer(raw);
      until_then(peer);
      there.set();
      while (peer.resets.empty() && peer.receive()) {
      }
      if (!peer.resets.empty()) code = peer.resets.begin()->second;
      static_cast<void>(peer.receive(NGHTTP2_GOAWAY));
    });
    Client client(by_prior_knowledge());
    request.url = url(server.address(), "/");
    async::run([](Client& client, ClientRequest request, async::Event& there) -> Task<void> {
      co_await cancelled_when(there, client, std::move(request));
      EXPECT_EQ(client.stats().idle, 1U);
      client.close_idle();
    }(client, std::move(request), there));
  }
  EXPECT_EQ(code, NGHTTP2_CANCEL);
}

TEST(ClientHttp2Limits, OfARequestThatIsCancelledTheServerHears) {
  {
    SCOPED_TRACE("before the head");
    cancelled_at([](Http2Peer& peer) { static_cast<void>(peer.asked()); }, {});
  }
  {
    SCOPED_TRACE("within the body");
    cancelled_at(
        [](Http2Peer& peer) {
          const auto asked = peer.asked();
          peer.headers(asked.stream, {{":status", "200"}});
          peer.data(asked.stream, "some");
        },
        {});
  }
  {
    SCOPED_TRACE("while it sends its body");
    cancelled_at([](Http2Peer& peer) { static_cast<void>(peer.receive(NGHTTP2_DATA)); },
                 {.method = "PUT", .body = std::string(4 * 1024 * 1024, 'x')});
  }
  {
    SCOPED_TRACE("while its stream thinks");
    const auto slow = []() -> Generator<std::string> {
      co_yield std::string("a");
      co_await async::sleep(1h);
    };
    cancelled_at([](Http2Peer& peer) { static_cast<void>(peer.receive(NGHTTP2_DATA)); },
                 {.method = "PUT", .timeout = 2h, .stream = slow});
  }
  {
    SCOPED_TRACE("while it asks whether to send");
    cancelled_at([](Http2Peer& peer) { static_cast<void>(peer.asked()); },
                 {.method = "PUT", .body = "x", .expect_continue = true});
  }
}

TEST(ClientHttp2Limits, AStreamOfAnotherLengthThanItSaidIsResetAndTheConnectionKept) {
  RunningServer server;
  Client client(by_prior_knowledge());
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    const auto source = []() -> Generator<std::string> {
      co_yield std::string("abc");
      co_yield std::string("def");
    };
    for (const auto& [length, why] : {std::pair{5, "longer"}, std::pair{7, "shorter"}}) {
      std::string message;
      try {
        static_cast<void>(co_await client.send({.method = "POST",
                                                .url = url(address, "/echo"),
                                                .stream = source,
                                                .stream_length = static_cast<std::uint64_t>(length)}));
      } catch (const Invalid& error) {
        message = error.message();
      }
      EXPECT_THAT(message, HasSubstr(why));
    }
    EXPECT_EQ((co_await client.get(url(address, "/"))).status, 200);
    client.close_idle();
  }(client, server.address()));
  EXPECT_EQ(client.stats().connects, 1U);
}

}  // namespace
}  // namespace ashlar::http::test
