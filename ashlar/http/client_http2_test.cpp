// The client's HTTP/2 with our own server: over TLS, agreed on in the handshake, and in the clear by prior knowledge.
#include <ashlar/base/error.hpp>
#include <ashlar/http/client_http2_test.hpp>
#include <ashlar/http/content_coding.hpp>
#include <ashlar/net/tls_test.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::http::test {
namespace {

enum class Over : bool { clear, tls };

class ClientHttp2Test : public testing::TestWithParam<Over> {
 protected:
  [[nodiscard]] ServerOptions serving(Http2Options http2 = {}) const {
    ServerOptions options{.http2 = http2};
    if (GetParam() == Over::tls) options.tls = net::TlsContext::server(files_.localhost());
    return options;
  }
  [[nodiscard]] ClientOptions asking(ClientOptions options = {}) const {
    options.http2.prior_knowledge = true;
    options.tls = net::TlsContext::client({.ca_file = files_.ca()});
    return options;
  }
  [[nodiscard]] static std::string url(const RunningServer& server, std::string_view path) {
    return (GetParam() == Over::tls ? "https://" : "http://") + server.address().to_string() + std::string(path);
  }
  net::test::TestCertificates files_;
};

INSTANTIATE_TEST_SUITE_P(Both, ClientHttp2Test, testing::Values(Over::clear, Over::tls),
                         [](const auto& over) { return over.param == Over::tls ? "Tls" : "Clear"; });

TEST_P(ClientHttp2Test, SendsAndCollectsOnOneConnection) {
  RunningServer server(serving());
  Client client(asking());
  async::run([](Client& client, const RunningServer& server) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      const ClientResponse response = co_await client.get(url(server, "/a?b#fragment"));
      EXPECT_EQ(response.status, 200);
      EXPECT_EQ(response.body, "hello");
      EXPECT_EQ(response.header("X-Path"), "/a");
      EXPECT_EQ(response.header("content-length"), "5");
      EXPECT_EQ(response.header(":status"), std::nullopt);
    }
    const std::string body(500'000, 'e');
    EXPECT_EQ((co_await client.post(url(server, "/echo"), body)).body, body);
    EXPECT_EQ((co_await client.post(url(server, "/echo"), "")).body, "");
    const auto head = co_await client.send({.method = "HEAD", .url = url(server, "/large")});
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.header("content-length"), std::to_string(8 * 1024 * 1024));
    EXPECT_EQ((co_await client.get(url(server, "/stream"))).body, "aaaabbbbccccddddeeee");
    EXPECT_EQ((co_await client.get(url(server, "/large"))).body.size(), 8U * 1024 * 1024);
    EXPECT_EQ((co_await client.get(url(server, "/nothing"))).status, 204);
    EXPECT_EQ(client.stats().idle, 1U);
    client.close_idle();
    EXPECT_EQ(client.stats().idle, 0U);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1U);
  EXPECT_EQ(client.stats().reused, 8U);
  EXPECT_EQ(server.stats().http2_requests.get(), 9U);
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
}

TEST_P(ClientHttp2Test, ManyAtATimeShareAConnection) {
  RunningServer server(serving());
  Client client(asking({.max_connections_per_host = 1}));
  async::run([](Client& client, const RunningServer& server) -> Task<void> {
    std::vector<Task<ClientResponse>> tasks;
    for (int i = 0; i < 500; ++i) tasks.push_back(client.get(url(server, "/" + std::to_string(i))));
    int number = 0;
    for (const ClientResponse& response : co_await async::all(std::move(tasks))) {
      EXPECT_EQ(response.header("x-path"), "/" + std::to_string(number++));
    }
    EXPECT_EQ(client.stats().active, 0U);
    EXPECT_EQ(client.stats().waiting, 0U);
    EXPECT_EQ(client.stats().idle, 1U);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1U);
  EXPECT_EQ(server.stats().http2_refused.get(), 0U);
}

TEST_P(ClientHttp2Test, OpensAnotherConnectionWhenTheServerTakesNoMoreOnOne) {
  RunningServer server(serving({.max_concurrent_streams = 2}));
  Client client(asking({.max_connections_per_host = 3}));
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    const auto open = [&]() -> Task<void> {
      while (server.stats().requests_suspended.get() < 6) co_await async::sleep(1ms);
      EXPECT_EQ(client.stats().active, 3U);
      EXPECT_EQ(client.stats().waiting, 2U);
      server.handler.open_gate();
    };
    const auto ask = [&]() -> Task<void> { EXPECT_EQ((co_await client.get(url(server, "/gate"))).body, "gate "); };
    co_await async::all(ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask(), open());
    EXPECT_EQ(client.stats().idle, 3U);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 3U);
  EXPECT_EQ(server.stats().http2_refused.get(), 0U);
}

TEST_P(ClientHttp2Test, ARequestThatIsCancelledLeavesTheOthersAlone) {
  RunningServer server(serving());
  Client client(asking());
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    const auto stays = [&]() -> Task<void> {
      EXPECT_EQ((co_await client.get(url(server, "/gate?stays"))).body, "gate stays");
    };
    const auto cancelling = [&]() -> Task<ClientResponse> {
      while (server.stats().requests_suspended.get() != 2) co_await async::sleep(1ms);
      throw Conflict("enough");
    };
    const auto cancelled = [&]() -> Task<void> {
      bool enough = false;
      try {
        static_cast<void>(co_await async::race(client.get(url(server, "/gate?late")), cancelling()));
      } catch (const Conflict&) {
        enough = true;
      }
      EXPECT_TRUE(enough);
      while (server.stats().requests_suspended.get() != 1) co_await async::sleep(1ms);
      server.handler.open_gate();
    };
    co_await async::all(stays(), cancelled());
    EXPECT_EQ((co_await client.get(url(server, "/"))).status, 200);
    EXPECT_EQ(client.stats().active, 0U);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1U);
  EXPECT_EQ(server.handler.cancelled, 1);
}

TEST_P(ClientHttp2Test, AStreamedRequestIsHeldUpByItsServer) {
  RunningServer server(serving());
  Client client(asking());
  std::size_t produced = 0;
  async::run([](Client& client, RunningServer& server, std::size_t& produced) -> Task<void> {
    constexpr std::size_t kPieces = 200;
    constexpr std::size_t kSize = 50'000;
    const auto source = [&]() -> Generator<std::string> {
      for (std::size_t i = 0; i < kPieces; ++i) {
        produced += kSize;
        co_yield std::string(kSize, 'x');
      }
    };
    const auto ask = [&]() -> Task<ClientResponse> {
      co_return co_await client.send({.method = "PUT", .url = url(server, "/read-gate"), .stream = source});
    };
    const auto open = [&]() -> Task<void> {
      co_await server.handler.waiting.wait();
      // Another request passes by; meanwhile as much has been produced as there is room for.
      for (int i = 0; i < 5; ++i) EXPECT_EQ((co_await client.get(url(server, "/"))).status, 200);
      EXPECT_LT(produced, kPieces * kSize / 2);
      server.handler.open_gate();
    };
    const auto [response, opened] = co_await async::all(ask(), open());
    EXPECT_EQ(response.body, std::to_string(kPieces * kSize) + " " + std::to_string(kPieces * kSize * 'x'));
  }(client, server, produced));
  EXPECT_EQ(client.stats().connects, 1U);
}

TEST_P(ClientHttp2Test, AStreamedAnswerIsHeldUpByWhoReadsIt) {
  RunningServer server(serving());
  Client client(asking({.http2 = {.stream_window = 64 * 1024}}));
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    StreamedResponse streamed = co_await client.stream({.url = url(server, "/stream-large")});
    EXPECT_EQ(streamed.response.status, 200);
    for (int i = 0; i < 5; ++i) EXPECT_EQ((co_await client.get(url(server, "/"))).status, 200);
    EXPECT_LT(server.handler.stream_pieces, 32);
    std::size_t size = 0;
    while (auto piece = co_await streamed.body.next()) size += piece->size();
    EXPECT_EQ(size, 64U * 100 * 1024);
    EXPECT_EQ(server.handler.stream_pieces, 64);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1U);
}

TEST_P(ClientHttp2Test, AnAnswerThatIsDroppedEndsItsStreamAndNothingElse) {
  RunningServer server(serving());
  Client client(asking());
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    {
      StreamedResponse endless = co_await client.stream({.url = url(server, "/stream-endless")});
      EXPECT_TRUE(co_await endless.body.next());
      EXPECT_EQ(client.stats().active, 1U);
    }
    EXPECT_EQ(client.stats().active, 0U);
    while (server.stats().streams.get() != 0) co_await async::sleep(1ms);
    EXPECT_EQ((co_await client.get(url(server, "/"))).status, 200);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1U);
}

TEST_P(ClientHttp2Test, WhatCameForDroppedAnswersIsNotHeldAgainstTheConnection) {
  RunningServer server(serving());
  Client client(asking({.http2 = {.connection_window = 65'535}}));
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    for (int i = 0; i < 10; ++i) {
      StreamedResponse endless = co_await client.stream({.url = url(server, "/stream-endless")});
      EXPECT_TRUE(co_await endless.body.next());
    }
    EXPECT_EQ((co_await client.get(url(server, "/large"))).body.size(), 8U * 1024 * 1024);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1U);
}

TEST_P(ClientHttp2Test, AnAnswerMayOutliveItsLoop) {
  RunningServer server(serving());
  Client client(asking());
  {
    const StreamedResponse endless = async::run(client.stream({.url = url(server, "/stream-endless")}));
    EXPECT_EQ(endless.response.status, 200);
  }
  EXPECT_EQ(client.stats().active, 0U);
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
}

TEST_P(ClientHttp2Test, WhatIsOpenIsFinishedWhenTheServerGoes) {
  RunningServer server(serving());
  Client client(asking());
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    std::future<void> drained;
    const auto ask = [&]() -> Task<void> {
      EXPECT_EQ((co_await client.get(url(server, "/gate?open"))).body, "gate open");
    };
    const auto drain = [&]() -> Task<void> {
      co_await server.handler.waiting.wait();
      drained = server.drain();
      // No new request goes to the connection that ends; the socket is not served any more.
      bool refused = false;
      while (!refused) {
        try {
          static_cast<void>(co_await client.send({.url = url(server, "/"), .timeout = 100ms}));
        } catch (const Unavailable&) {
          refused = true;
        } catch (const DeadlineExceeded&) {
          refused = true;
        }
      }
      server.handler.open_gate();
    };
    co_await async::all(ask(), drain());
    EXPECT_EQ(client.stats().active, 0U);
    EXPECT_EQ(client.stats().idle, 0U);
    while (drained.wait_for(0s) != std::future_status::ready) co_await async::sleep(1ms);
  }(client, server));
}

TEST_P(ClientHttp2Test, AsksBeforeItSendsABody) {
  RunningServer server(serving());
  Client client(asking());
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    const auto source = []() -> Generator<std::string> { co_yield std::string("streamed"); };
    EXPECT_EQ(
        (co_await client.send({.method = "PUT", .url = url(server, "/echo"), .body = "ab", .expect_continue = true}))
            .body,
        "ab");
    EXPECT_EQ((co_await client.send(
                   {.method = "PUT", .url = url(server, "/echo"), .stream = source, .expect_continue = true}))
                  .body,
              "streamed");
    // 413 comes without the body having been asked for.
    const std::string large(2 * 1024 * 1024, 'x');
    const auto refused =
        co_await client.send({.method = "PUT", .url = url(server, "/echo"), .body = large, .expect_continue = true});
    EXPECT_EQ(refused.status, 413);
    const auto early = co_await client.send({.method = "PUT", .url = url(server, "/echo"), .body = large});
    EXPECT_EQ(early.status, 413);
    EXPECT_EQ((co_await client.get(url(server, "/"))).status, 200);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1U);
}

TEST_P(ClientHttp2Test, DecodesFollowsAndKeepsCookiesAsInHttp1) {
  RunningServer server(serving());
  server.handler.here = [](Exchange& exchange) {
    Response& response = exchange.response;
    if (exchange.request.query.empty()) {
      response.status = 302;
      response.header("Location", "/here?next");
      response.header("Set-Cookie", "session=1; Path=/");
      response.header("Set-Cookie", "other=2; Path=/");
      return;
    }
    response.header("X-Cookie", exchange.request.header("Cookie").value_or("none"));
    response.header("Content-Encoding", "gzip");
    response.body = encode(ContentCoding::gzip, "hello hello hello");
  };
  Client client(asking({.follow_redirects = 2, .cookies = std::make_shared<CookieJar>()}));
  const ClientResponse response = async::run(client.get(url(server, "/here")));
  EXPECT_EQ(response.body, "hello hello hello");
  EXPECT_EQ(response.header("x-cookie"), "session=1; other=2");
}

TEST_P(ClientHttp2Test, ALargeHeadOfARequestIsSentAndALargerOneRefused) {
  ServerOptions options = serving();
  options.head.max_head = 200'000;
  RunningServer server(std::move(options));
  server.handler.here = [](Exchange& exchange) {
    exchange.response.body = std::to_string(exchange.request.header("X-Large").value_or("").size());
  };
  Client client(asking());
  const auto ask = [&](std::size_t size) {
    return client.send({.url = url(server, "/here"), .headers = {{"X-Large", std::string(size, 'x')}}});
  };
  EXPECT_EQ(async::run(ask(60'000)).body, "60000");
  EXPECT_THROW(static_cast<void>(async::run(ask(140'000))), Invalid);
}

TEST_P(ClientHttp2Test, IsMeasuredAsHttp2) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  RunningServer server(serving());
  Client client(asking());
  static_cast<void>(async::run(client.get(url(server, "/"))));
  EXPECT_NE(registry.expose().find("http_response_status_code=\"200\",network_protocol_version=\"2\""),
            std::string::npos)
      << registry.expose();
}

TEST_P(ClientHttp2Test, AConnectionThatRestsMakesRoomForAnotherHost) {
  RunningServer first(serving());
  RunningServer second(serving());
  Client client(asking({.max_connections = 1}));
  async::run([](Client& client, const RunningServer& first, const RunningServer& second) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ((co_await client.get(url(first, "/"))).status, 200);
      EXPECT_EQ((co_await client.get(url(second, "/"))).status, 200);
      EXPECT_LE(client.stats().idle, 1U);
    }
  }(client, first, second));
  EXPECT_EQ(client.stats().connects, 6U);
}

TEST_P(ClientHttp2Test, AConnectionThatRestedTooLongIsNotUsedAgain) {
  RunningServer server(serving());
  Client client(asking({.idle_timeout = 0s}));
  async::run([](Client& client, const RunningServer& server) -> Task<void> {
    for (int i = 0; i < 2; ++i) EXPECT_EQ((co_await client.get(url(server, "/"))).status, 200);
  }(client, server));
  EXPECT_EQ(client.stats().connects, 2U);
}

class ClientHttp2Choice : public testing::Test {
 protected:
  [[nodiscard]] ServerOptions serving(bool http2) const {
    ServerOptions options{.tls = net::TlsContext::server(files_.localhost())};
    options.http2.enabled = http2;
    return options;
  }
  // How many connections ten requests at the same time make, and how many of them spoke HTTP/2.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> ask(RunningServer& server, ClientOptions options,
                                                            std::vector<std::string> alpn = {}) const {
    options.tls = net::TlsContext::client({.ca_file = files_.ca(), .alpn = std::move(alpn)});
    Client client(std::move(options));
    async::run([](Client& client, RunningServer& server) -> Task<void> {
      const auto ask = [&]() -> Task<void> {
        const auto response = co_await client.get("https://" + server.address().to_string() + "/gate");
        EXPECT_EQ(response.body, "gate ");
      };
      const auto open = [&]() -> Task<void> {
        while (server.stats().requests_suspended.get() < 10) co_await async::sleep(1ms);
        server.handler.open_gate();
      };
      co_await async::all(ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask(), open());
      client.close_idle();
    }(client, server));
    return {client.stats().connects, server.stats().http2_accepted.get()};
  }
  net::test::TestCertificates files_;
};

using Counts = std::pair<std::uint64_t, std::uint64_t>;

TEST_F(ClientHttp2Choice, IsWhatAServerOverTlsPrefers) {
  RunningServer server(serving(true));
  EXPECT_EQ(ask(server, {}), (Counts{1, 1}));
}

TEST_F(ClientHttp2Choice, AServerWithoutItIsAskedInHttp1) {
  RunningServer server(serving(false));
  EXPECT_EQ(ask(server, {}), (Counts{10, 0}));
}

TEST_F(ClientHttp2Choice, IsNotOfferedWhenItIsOff) {
  RunningServer server(serving(true));
  EXPECT_EQ(ask(server, {.http2 = {.over_tls = false}}), (Counts{10, 0}));
}

TEST_F(ClientHttp2Choice, TheContextsOwnOfferStands) {
  RunningServer only1(serving(true));
  EXPECT_EQ(ask(only1, {}, {"http/1.1"}), (Counts{10, 0}));
  RunningServer only2(serving(true));
  EXPECT_GE(ask(only2, {.http2 = {.over_tls = false}}, {"h2"}).second, 1U);
}

TEST_F(ClientHttp2Choice, PlainHttpIsHttp1UnlessToldOtherwise) {
  RunningServer server;
  Client client;
  EXPECT_EQ(async::run(client.get(url(server.address(), "/"))).status, 200);
  EXPECT_EQ(server.stats().http2_accepted.get(), 0U);
}

TEST_F(ClientHttp2Choice, WindowsThatCannotBeAreRefused) {
  EXPECT_THROW(Client({.http2 = {.max_concurrent_streams = 0}}), Invalid);
  EXPECT_THROW(Client({.http2 = {.stream_window = 0}}), Invalid);
  EXPECT_THROW(Client({.http2 = {.stream_window = 0x8000'0000}}), Invalid);
  EXPECT_THROW(Client({.http2 = {.connection_window = 1000}}), Invalid);
}

}  // namespace
}  // namespace ashlar::http::test
