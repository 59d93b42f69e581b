// HTTP/2 over TLS: agreed on in the handshake (RFC 9113 §3.2).
#include <ashlar/base/error.hpp>
#include <ashlar/http/http2_test.hpp>
#include <ashlar/net/tls_test.hpp>

namespace ashlar::http::test {
namespace {

class Http2Tls : public testing::Test {
 protected:
  [[nodiscard]] ServerOptions serving() const { return {.tls = net::TlsContext::server(files_.localhost())}; }
  [[nodiscard]] std::shared_ptr<net::TlsContext> offering(std::vector<std::string> protocols) const {
    return net::TlsContext::client({.ca_file = files_.ca(), .alpn = std::move(protocols)});
  }
  net::test::TestCertificates files_;
};

TEST_F(Http2Tls, IsSpokenWithWhoOffersIt) {
  RunningServer server(serving());
  Http2Client client(server.address(), {.tls = offering({"h2", "http/1.1"})});
  EXPECT_EQ(client.alpn(), "h2");
  EXPECT_EQ(client.ask("/").body, "hello");
  const std::string body(700'000, 'b');
  EXPECT_EQ(client.answer(client.post("/echo", body)).body, body);
  EXPECT_EQ(client.ask("/large").body.size(), 8U * 1024 * 1024);
  EXPECT_EQ(client.ask("/stream").body, "aaaabbbbccccddddeeee");
  std::vector<std::int32_t> many;
  for (int i = 0; i < 100; ++i) many.push_back(client.get("/"));
  for (const std::int32_t stream : many) EXPECT_EQ(client.answer(stream).status, 200);
  EXPECT_EQ(server.stats().http2_connections.get(), 1U);
}

TEST_F(Http2Tls, IsNotSpokenWithWhoDoesNot) {
  RunningServer server(serving());
  for (const auto& protocols : {std::vector<std::string>{"http/1.1"}, std::vector<std::string>{}}) {
    Http2Client client(server.address(), {.tls = offering(protocols)});
    EXPECT_EQ(client.alpn(), protocols.empty() ? "" : "http/1.1");
  }
  EXPECT_EQ(server.stats().http2_accepted.get(), 0U);
}

TEST_F(Http2Tls, IsNotOfferedWhenItIsOff) {
  ServerOptions options = serving();
  options.http2.enabled = false;
  RunningServer server(options);
  Http2Client client(server.address(), {.tls = offering({"h2", "http/1.1"})});
  EXPECT_EQ(client.alpn(), "http/1.1");
  EXPECT_THROW(Http2Client(server.address(), {.tls = offering({"h2"})}), Unavailable);
}

TEST_F(Http2Tls, TellsTheHandlerWhoTheClientIs) {
  auto tls = files_.localhost();
  tls.client_ca_file = files_.ca();
  RunningServer server({.tls = net::TlsContext::server(std::move(tls))});
  const auto shown = files_.make("billing", {"URI:spiffe://example/billing"});
  Http2Client client(server.address(), {.tls = net::TlsContext::client({.ca_file = files_.ca(),
                                                                        .certificate_file = shown.certificate_file,
                                                                        .key_file = shown.key_file,
                                                                        .alpn = {"h2"}})});
  EXPECT_EQ(client.ask("/").field("x-client"), "CN=billing");
}

TEST_F(Http2Tls, EndsInOrderInADrain) {
  RunningServer server(serving());
  Http2Client client(server.address(), {.tls = offering({"h2"})});
  const std::int32_t gate = client.get("/gate?x");
  EXPECT_EQ(client.ask("/").status, 200);
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.requests_suspended.get() == 1; }));
  auto drained = server.drain();
  ASSERT_TRUE(client.until([&] { return client.goaways.size() == 2; }));
  server.handler.open_gate();
  EXPECT_EQ(client.answer(gate).body, "gate x");
  EXPECT_TRUE(client.ended());
  client.close();
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

}  // namespace
}  // namespace ashlar::http::test
