#include <gmock/gmock.h>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/client.hpp>
#include <ashlar/http/server_test.hpp>
#include <ashlar/net/net_test.hpp>
#include <ashlar/net/tls_test.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::test {
namespace {

using testing::HasSubstr;

class ServerTls : public testing::Test {
 protected:
  [[nodiscard]] ServerOptions serving(net::TlsServerOptions tls) const {
    return {.tls = net::TlsContext::server(std::move(tls))};
  }
  [[nodiscard]] ServerOptions serving() const { return serving(files_.localhost()); }
  [[nodiscard]] ServerOptions asking_for_clients() const {
    auto options = files_.localhost();
    options.client_ca_file = files_.ca();
    return serving(std::move(options));
  }
  [[nodiscard]] Client client(const net::CertificateFiles& shown = {}) const {
    return Client(
        {.tls = net::TlsContext::client(
             {.ca_file = files_.ca(), .certificate_file = shown.certificate_file, .key_file = shown.key_file}),
         .http2 = {.over_tls = false}});  // that is http2_tls_test.cpp's
  }
  static std::string url(const RunningServer& server, const std::string& path) {
    return "https://" + server.address().to_string() + path;
  }
  net::test::TestCertificates files_;
};

TEST_F(ServerTls, ServesAClientThatVerifiesIt) {
  RunningServer server(serving());
  Client client = this->client();
  async::run([](Client& client, const RunningServer& server) -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ((co_await client.send({.url = url(server, "/a")})).header("X-Path"), "/a");
    }
    const std::string body(700'000, 'b');
    EXPECT_EQ((co_await client.send({.method = "POST", .url = url(server, "/echo"), .body = body})).body, body);
    EXPECT_EQ((co_await client.send({.url = url(server, "/large")})).body.size(), 8u * 1024 * 1024);
    EXPECT_EQ((co_await client.send({.url = url(server, "/stream")})).body, "aaaabbbbccccddddeeee");
    EXPECT_EQ((co_await client.send({.url = url(server, "/close")})).body, "bye");
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1u);
  Client stranger;
  EXPECT_THROW(static_cast<void>(async::run(stranger.send({.url = url(server, "/")}))), Unavailable);
}

TEST_F(ServerTls, ResumesTheSessionsOfItsClients) {
  const ServerOptions options = serving();
  RunningServer server(options);
  Client client = this->client();
  for (int i = 0; i < 3; ++i) {  // "/close" ends each connection
    EXPECT_EQ(async::run(client.send({.url = url(server, "/close")})).body, "bye");
  }
  EXPECT_EQ(client.stats().connects, 3u);
  EXPECT_EQ(options.tls->stats().resumed, 2u);
}

TEST_F(ServerTls, TellsTheHandlerWhoTheClientIs) {
  RunningServer server(asking_for_clients());
  Client client = this->client(files_.make("billing", {"URI:spiffe://example/billing"}));
  const auto answer = async::run(client.send({.url = url(server, "/")}));
  EXPECT_EQ(answer.header("X-Client"), "CN=billing");
}

TEST(Request, ForgetsWhoseItWas) {
  const net::PeerIdentity billing{.common_name = "billing"};
  const net::Address somewhere = *net::Address::parse("192.0.2.1:80");
  Request request;
  request.peer = &somewhere;
  request.secure = true;
  request.client_certificate = &billing;
  request.clear();
  EXPECT_EQ(request.peer, nullptr);
  EXPECT_FALSE(request.secure);
  EXPECT_EQ(request.client_certificate, nullptr);
}

TEST_F(ServerTls, KeepsTheIdentityOfAClientThatHasLeft) {
  RunningServer server(asking_for_clients());
  Client client = this->client(files_.make("billing", {}));
  async::run([](Client& client, const RunningServer& server) -> Task<void> {
    EXPECT_THROW(static_cast<void>(co_await async::timeout(50ms, client.send({.url = url(server, "/hold")}))),
                 DeadlineExceeded);
  }(client, server));
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.clients_gone.get() == 1; }));
  EXPECT_EQ(async::run(client.send({.url = url(server, "/finish")})).status, 200);
  EXPECT_EQ(server.handler.known_held.load(), 1);
}

TEST_F(ServerTls, LetsNoClientInWithoutACertificateItAsksFor) {
  RunningServer server(asking_for_clients());
  Client nobody = client();
  EXPECT_THROW(static_cast<void>(async::run(nobody.send({.url = url(server, "/")}))), Unavailable);
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.failed_handshakes.get() > 0; }));
  EXPECT_EQ(server.handler.handled.load(), 0);
}

TEST_F(ServerTls, TellsAClientThatSpeaksPlainHttpWhatToDo) {
  RunningServer server(serving());
  TestClient plain(server.address());
  const Answer answer = plain.ask(post("/", std::string(100'000, 'x')));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("https://"));
  EXPECT_TRUE(plain.ended());
  EXPECT_EQ(server.handler.handled.load(), 0);
}

TEST_F(ServerTls, EndsAHandshakeThatIsSlowOrNotOne) {
  ServerOptions options = serving();
  options.header_timeout = 50ms;
  RunningServer server(options);
  TestClient silent(server.address());
  TestClient half(server.address());
  half.send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7));
  TestClient garbage(server.address());
  garbage.send(std::string(5000, '\xff'));
  TestClient gone(server.address());
  gone.send(std::string_view("\x16\x03\x01", 3));
  gone.reset();
  EXPECT_EQ(silent.rest(), "");
  EXPECT_EQ(half.rest(), "");
  static_cast<void>(garbage.rest());
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
  EXPECT_EQ(server.stats().failed_handshakes.get(), 4u);
  EXPECT_EQ(server.stats().header_timeouts.get(), 2u);
  EXPECT_EQ(server.handler.handled.load(), 0);
}

TEST_F(ServerTls, ServesOthersWhileManyHandshakesHang) {
  RunningServer server(serving());
  std::vector<std::unique_ptr<TestClient>> hanging;
  for (int i = 0; i < 200; ++i) {
    hanging.push_back(std::make_unique<TestClient>(server.address()));
    hanging.back()->send(std::string_view("\x16\x03\x01\x02", 4));
  }
  Client client = this->client();
  EXPECT_EQ(async::run(client.send({.url = url(server, "/")})).status, 200);
}

/// Answers one request over TLS with these bytes, and ends: in order, or cut off.
Task<void> answer_once(int listener, std::shared_ptr<net::TlsContext> tls, std::string bytes, bool in_order) {
  net::Transport transport(co_await net::test::accept_one(listener));
  co_await transport.start_tls_server(std::move(tls));
  co_await net::test::read_some(transport, 1);
  co_await net::test::write_all(transport, std::move(bytes));
  if (in_order) transport.end_writing();
  ::shutdown(transport.fd(), SHUT_WR);
  co_await net::test::read_some(transport, 1'000'000);  // until the client ends its side
}

TEST_F(ServerTls, ClientTellsAnAnswerThatWasCutOffFromOneThatEnded) {
  const auto tls = net::TlsContext::server(files_.localhost());
  const net::Fd listener = net::listen(*net::Address::parse("127.0.0.1:0"));
  const std::string where = "https://" + net::local_address(listener.get()).to_string();
  Client client = this->client();
  const auto ask = [&](bool in_order) {
    return async::run([](Client& client, std::string where, Task<void> server) -> Task<std::string> {
      std::string got;
      co_await async::all(std::move(server), [](Client& client, std::string where, std::string& got) -> Task<void> {
        try {
          got = (co_await client.send({.url = where})).body;
        } catch (const Unavailable& error) {
          got = error.message();
        }
        client.close_idle();
      }(client, where, got));
      co_return got;
    }(client, where, answer_once(listener.get(), tls, "HTTP/1.1 200 OK\r\n\r\nall of it", in_order)));
  };
  EXPECT_EQ(ask(true), "all of it");
  EXPECT_THAT(ask(false), HasSubstr("broke the answer off"));
}

}  // namespace
}  // namespace ashlar::http::test
