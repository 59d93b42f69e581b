#include <ashlar/net/tls_test.hpp>

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/net_test.hpp>
#include <ashlar/net/ticket_keys.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::net::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Context = std::shared_ptr<TlsContext>;

/// Both ends after the handshake; one that failed is closed, and says why.
struct Ends {
  Transport client;
  Transport server;
  std::string client_error;
  std::string server_error;
  TlsFailure server_failure = TlsFailure::none;
  [[nodiscard]] bool good() const { return client_error.empty() && server_error.empty(); }
};

Task<void> shake(Transport& transport, Task<void> handshake, std::string& error) {
  try {
    co_await std::move(handshake);
  } catch (const Error& failure) {
    error = failure.message();
    transport.end_writing();
  }
}

Task<Ends> shake_hands(Context client, Context server, std::string host = "localhost") {
  static const Fd listener = listen(*Address::parse("127.0.0.1:0"));  // sessions are remembered by address
  auto [near, far] = co_await async::all(connect(local_address(listener.get())), accept_one(listener.get()));
  Ends ends{Transport(std::move(near)), Transport(std::move(far)), {}, {}};
  co_await async::all(shake(ends.client, ends.client.start_tls_client(client, host), ends.client_error),
                      shake(ends.server, ends.server.start_tls_server(server), ends.server_error));
  ends.server_failure = ends.server.handshake_failure();
  co_return ends;
}

/// A byte each way, so that the client has read what the server sent after the handshake.
Task<void> greet(Ends& ends) {
  co_await async::all(write_all(ends.server, "!"), read_some(ends.client, 1));
  co_await async::all(write_all(ends.client, "!"), read_some(ends.server, 1));
}

class Tls : public testing::Test {
 protected:
  [[nodiscard]] Context client(TlsClientOptions options = {}) const {
    if (options.ca_file.empty()) options.ca_file = files_.ca();
    return TlsContext::client(std::move(options));
  }
  [[nodiscard]] Context server() const { return TlsContext::server(files_.localhost()); }
  TestCertificates files_;
};

// ------------------------------------------------------------------------------------------------------ what it does

TEST_F(Tls, CarriesBytesBothWays) {
  async::run([](Context client, Context server) -> Task<void> {
    for (const char* host : {"localhost", "127.0.0.1"}) {
      Ends ends = co_await shake_hands(client, server, host);
      EXPECT_TRUE(ends.good()) << ends.client_error << ends.server_error;
      EXPECT_TRUE(ends.client.secure());
      EXPECT_EQ(ends.client.tls_version(), "TLSv1.3");
      EXPECT_EQ(ends.client.server_end_point().size(), 32U);
      const std::string big(300'000, 'x');
      auto [sent, got] = co_await async::all(write_all(ends.client, big), read_some(ends.server, big.size()));
      EXPECT_EQ(got, big);
      auto [back, received] = co_await async::all(write_all(ends.server, big), read_some(ends.client, big.size()));
      EXPECT_EQ(received, big);
    }
  }(client(), server()));
}

TEST_F(Tls, PutsSmallPartsIntoOneRecord) {
  async::run([](Context client, Context server) -> Task<void> {
    Ends ends = co_await shake_hands(client, server);
    co_await greet(ends);
    std::string head = "head ";
    std::string body = "body ";
    std::string tail(20'000, 't');
    const iovec parts[] = {
        {head.data(), head.size()}, {nullptr, 0}, {body.data(), body.size()}, {tail.data(), tail.size()}};
    EXPECT_EQ(ends.server.write(parts).bytes, 20'010U);
    char first[64 * 1024];
    co_await ready(ends.client.fd(), EPOLLIN);
    const Io io = ends.client.read(first);  // gives a record at a time
    EXPECT_EQ(io.bytes, 16'384U);
    EXPECT_EQ(std::string_view(first, 12), "head body tt");
    EXPECT_EQ((co_await read_some(ends.client, 20'010 - io.bytes)).size(), 20'010 - io.bytes);
  }(client(), server()));
}

TEST_F(Tls, GoesOnWhereAFullSocketStoppedIt) {
  async::run([](Context client, Context server) -> Task<void> {
    Ends ends = co_await shake_hands(client, server);
    std::string sent;
    for (int i = 0; i < 400'000; ++i) sent += std::to_string(i);
    const auto write_in_parts = [](Transport& to, std::string_view all) -> Task<void> {
      std::size_t done = 0;
      while (done < all.size()) {
        iovec parts[5];
        std::size_t at = done;
        std::size_t count = 0;
        for (const std::size_t size : {10, 3000, 1, 50'000, 200}) {
          const std::string_view part = all.substr(std::min(at, all.size()), size);
          parts[count++] = {const_cast<char*>(part.data()), part.size()};
          at += part.size();
        }
        const Io io = to.write(std::span(parts));
        if (io.state == Io::State::would_block) co_await ready(to.fd(), to.wants_write() ? EPOLLOUT : EPOLLIN);
        done += io.bytes;
      }
    };
    auto [nothing, got] = co_await async::all(write_in_parts(ends.server, sent), read_some(ends.client, sent.size()));
    EXPECT_EQ(got, sent);
  }(client(), server()));
}

TEST_F(Tls, TellsAnEndFromACut) {
  async::run([](Context client, Context server) -> Task<void> {
    char buffer[16];
    Ends ended = co_await shake_hands(client, server);
    co_await greet(ended);
    ended.server.end_writing();
    co_await ready(ended.client.fd(), EPOLLIN);
    EXPECT_EQ(ended.client.read(buffer).state, Io::State::closed);
    EXPECT_FALSE(ended.client.cut_off());

    Ends cut = co_await shake_hands(client, server);
    co_await greet(cut);
    ::shutdown(cut.server.fd(), SHUT_WR);
    co_await ready(cut.client.fd(), EPOLLIN);
    EXPECT_EQ(cut.client.read(buffer).state, Io::State::closed);
    EXPECT_TRUE(cut.client.cut_off());
    // The other direction is still there.
    co_await async::all(write_all(cut.client, "?"), read_some(cut.server, 1));
  }(client(), server()));
}

TEST_F(Tls, SurvivesBeingMoved) {
  async::run([](Context client, Context server) -> Task<void> {
    Ends ends = co_await shake_hands(client, server);
    Transport moved(std::move(ends.server));
    server.reset();
    EXPECT_TRUE(moved.secure());
    EXPECT_FALSE(ends.server.secure());
    auto [nothing, got] = co_await async::all(write_all(moved, "still here"), read_some(ends.client, 10));
    EXPECT_EQ(got, "still here");
  }(client(), server()));
}

// --------------------------------------------------------------------------------------------------------- the server

TEST_F(Tls, RefusesAnotherHostName) {
  async::run([](Context client, Context server) -> Task<void> {
    const Ends ends = co_await shake_hands(client, server, "example.test");
    EXPECT_THAT(ends.client_error, HasSubstr("hostname mismatch"));
    EXPECT_EQ(ends.server_failure, TlsFailure::refused_by_peer);
    EXPECT_EQ(server->stats().failed[static_cast<std::size_t>(TlsFailure::refused_by_peer)], 1U);
  }(client(), server()));
}

TEST_F(Tls, RefusesAnUnknownAuthority) {
  const TestCertificates others;
  async::run([](Context client, Context server) -> Task<void> {
    const Ends ends = co_await shake_hands(client, server);
    EXPECT_THAT(ends.client_error, HasSubstr("certificate"));
  }(client({.ca_file = others.ca()}), server()));
}

TEST_F(Tls, VerifiesNothingOnlyWhenTold) {
  async::run([](Context client, Context server) -> Task<void> {
    Ends ends = co_await shake_hands(client, server, "example.test");
    EXPECT_TRUE(ends.good());
    EXPECT_EQ(ends.client.peer_certificate(), nullptr);
  }(client({.verify = TlsClientOptions::Verify::none}), server()));
}

TEST_F(Tls, ShowsTheCertificateOfTheNameAskedFor) {
  TlsServerOptions options = files_.localhost();
  options.more_certificates = {files_.make("shop", {"DNS:Shop.example.test"}),
                               files_.make("wild", {"DNS:*.example.test", "DNS:example.test"})};
  const auto shown = [](Context client, Context server, std::string host) -> Task<std::string> {
    Ends ends = co_await shake_hands(client, server, host);
    EXPECT_TRUE(ends.good()) << ends.client_error << ends.server_error;
    EXPECT_EQ(ends.server.server_name(), host);
    const auto* peer = ends.client.peer_certificate();
    co_return peer != nullptr ? peer->common_name : "";
  };
  const Context server = TlsContext::server(options);
  const Context named = client();
  EXPECT_EQ(async::run(shown(named, server, "localhost")), "localhost");
  EXPECT_EQ(async::run(shown(named, server, "shop.example.test")), "shop");
  EXPECT_EQ(async::run(shown(named, server, "SHOP.example.test")), "shop");
  EXPECT_EQ(async::run(shown(named, server, "blog.example.test")), "wild");
  EXPECT_EQ(async::run(shown(named, server, "example.test")), "wild");
  // A wildcard is one label; every other name gets the first certificate, and the client decides.
  const Context any = client({.verify = TlsClientOptions::Verify::certificate});
  EXPECT_EQ(async::run(shown(any, server, "a.b.example.test")), "localhost");
  EXPECT_EQ(async::run(shown(any, server, "elsewhere.test")), "localhost");
}

TEST_F(Tls, AgreesOnTheProtocolThatTheServerPrefers) {
  TlsServerOptions options = files_.localhost();
  options.alpn = {"h2", "http/1.1"};
  async::run([](Context server, Context both, Context old, Context none, Context other) -> Task<void> {
    const Ends first = co_await shake_hands(both, server);
    EXPECT_EQ(first.server.alpn(), "h2");
    EXPECT_EQ(first.client.alpn(), "h2");
    EXPECT_EQ((co_await shake_hands(old, server)).server.alpn(), "http/1.1");
    const Ends silent = co_await shake_hands(none, server);
    EXPECT_TRUE(silent.good());
    EXPECT_EQ(silent.server.alpn(), "");
    const Ends refused = co_await shake_hands(other, server);
    EXPECT_EQ(refused.server_failure, TlsFailure::application_protocol);
    EXPECT_THAT(refused.client_error, HasSubstr("no application protocol"));
  }(TlsContext::server(options), client({.alpn = {"http/1.1", "h2"}}), client({.alpn = {"http/1.1"}}), client(),
                                                                                        client({.alpn = {"spdy/3"}})));
}

TEST_F(Tls, TakesTheProtocolsOfTheServerUnlessToldWhich) {
  TlsServerOptions told = files_.localhost();
  told.alpn = {"http/1.1"};
  async::run([](Context open, Context told, Context client) -> Task<void> {
    open->offer_alpn({"h2"});
    told->offer_alpn({"h2"});
    EXPECT_EQ((co_await shake_hands(client, open)).server.alpn(), "h2");
    EXPECT_EQ((co_await shake_hands(client, told)).server.alpn(), "http/1.1");
  }(server(), TlsContext::server(told), client({.alpn = {"h2", "http/1.1"}})));
}

// -------------------------------------------------------------------------------------------------- clients' identity

class MutualTls : public Tls {
 protected:
  [[nodiscard]] Context asking(TlsServerOptions::ClientCertificate which) const {
    TlsServerOptions options = files_.localhost();
    options.client_ca_file = files_.ca();
    options.client_certificate = which;
    return TlsContext::server(options);
  }
  [[nodiscard]] Context as(const CertificateFiles& files) const {
    return client({.certificate_file = files.certificate_file, .key_file = files.key_file});
  }
};

TEST_F(MutualTls, SaysWhoTheClientIs) {
  const auto files =
      files_.make({.common_name = "billing",
                   .organization = "Example, Inc.",
                   .names = {"DNS:billing.example", "URI:spiffe://example/billing", "email:billing@example.com"},
                   .not_after = DateTime{4'102'444'800'000'000}},
                  "billing");
  async::run([](Context client, Context server) -> Task<void> {
    for (int round = 0; round < 2; ++round) {  // the second one is resumed, and is the same client
      Ends ends = co_await shake_hands(client, server);
      EXPECT_TRUE(ends.good()) << ends.server_error;
      EXPECT_EQ(ends.server.resumed(), round == 1);
      const PeerIdentity* who = ends.server.peer_certificate();
      if (who == nullptr) {
        ADD_FAILURE() << "nobody";
        co_return;
      }
      EXPECT_EQ(who->subject, "CN=billing,O=Example\\, Inc.");
      EXPECT_EQ(who->common_name, "billing");
      EXPECT_EQ(who->issuer, "CN=Test authority");
      EXPECT_THAT(who->dns_names, ElementsAre("billing.example"));
      EXPECT_THAT(who->uris, ElementsAre("spiffe://example/billing"));
      EXPECT_THAT(who->emails, ElementsAre("billing@example.com"));
      EXPECT_EQ(who->fingerprint.size(), 64U);
      EXPECT_EQ(who->serial.size(), 32U);
      EXPECT_EQ(who->not_after.to_string(), "2100-01-01T00:00:00.000Z");
      co_await greet(ends);
    }
  }(as(files), asking(TlsServerOptions::ClientCertificate::required)));
}

TEST_F(MutualTls, RefusesAClientWithoutACertificate) {
  async::run([](Context client, Context server) -> Task<void> {
    const Ends ends = co_await shake_hands(client, server);
    EXPECT_EQ(ends.server_failure, TlsFailure::certificate);
    EXPECT_THAT(ends.server_error, HasSubstr("peer did not return a certificate"));
  }(client(), asking(TlsServerOptions::ClientCertificate::required)));
}

TEST_F(MutualTls, LetsAClientWithoutACertificateInWhereItIsOptional) {
  async::run([](Context client, Context server) -> Task<void> {
    Ends ends = co_await shake_hands(client, server);
    EXPECT_TRUE(ends.good()) << ends.server_error;
    EXPECT_EQ(ends.server.peer_certificate(), nullptr);
  }(client(), asking(TlsServerOptions::ClientCertificate::optional)));
}

TEST_F(MutualTls, RefusesACertificateThatNobodyVouchesFor) {
  const TestCertificates others;
  async::run([](Context client, Context server) -> Task<void> {
    const Ends ends = co_await shake_hands(client, server);
    EXPECT_EQ(ends.server_failure, TlsFailure::certificate);
    EXPECT_EQ(server->stats().failed[static_cast<std::size_t>(TlsFailure::certificate)], 1U);
  }(as(others.make("stranger", {})), asking(TlsServerOptions::ClientCertificate::optional)));
}

TEST_F(MutualTls, DoesNotResumeWhatOtherAuthoritiesVouchedFor) {
  const TestCertificates others;
  TlsServerOptions options = files_.localhost();
  options.client_ca_file = files_.write("clients.pem", files_.read("ca.pem"));
  const auto files = files_.make("billing", {});
  async::run(
      [](Context client, Context server, const TestCertificates& ours, const TestCertificates& others) -> Task<void> {
        Ends first = co_await shake_hands(client, server);
        co_await greet(first);
        ours.write("clients.pem", others.read("ca.pem"));
        server->reload();
        const Ends second = co_await shake_hands(client, server);
        EXPECT_EQ(second.server_failure, TlsFailure::certificate);
      }(as(files), TlsContext::server(options), files_, others));
}

// ---------------------------------------------------------------------------------------------------------- resumption

TEST_F(Tls, ResumesASession) {
  async::run([](Context client, Context server) -> Task<void> {
    Ends first = co_await shake_hands(client, server);
    EXPECT_FALSE(first.client.resumed());
    co_await greet(first);
    for (int i = 0; i < 3; ++i) {  // each gives the ticket for the next
      Ends again = co_await shake_hands(client, server);
      EXPECT_TRUE(again.client.resumed());
      EXPECT_TRUE(again.server.resumed());
      EXPECT_EQ(again.client.server_end_point(), first.client.server_end_point());
      EXPECT_NE(again.client.peer_certificate(), nullptr);
      co_await greet(again);
    }
    EXPECT_EQ(server->stats().resumed, 3U);
    EXPECT_EQ(server->stats().handshakes_tls13, 4U);
  }(client(), server()));
}

TEST_F(Tls, ResumesASessionThatAServerWithTheSameKeysBegan) {
  const auto keys = std::make_shared<TicketKeys>(1h);
  const auto with = [&](std::shared_ptr<TicketKeys> shared) {
    TlsServerOptions options = files_.localhost();
    options.ticket_keys = std::move(shared);
    return TlsContext::server(std::move(options));
  };
  async::run([](Context client, Context server, Context other, Context stranger) -> Task<void> {
    Ends first = co_await shake_hands(client, server);
    co_await greet(first);
    Ends again = co_await shake_hands(client, other);
    EXPECT_TRUE(again.server.resumed());
    co_await greet(again);
    EXPECT_TRUE((co_await shake_hands(client, server)).server.resumed());
    EXPECT_FALSE((co_await shake_hands(client, stranger)).server.resumed());
  }(client(), with(keys), with(std::make_shared<TicketKeys>(keys->seed(TicketKeys::Clock::now()))), server()));
}

TEST_F(Tls, NeverOffersASessionToAnotherServer) {
  async::run([](Context client, Context server, Context stranger) -> Task<void> {
    Ends first = co_await shake_hands(client, server, "localhost");
    co_await greet(first);
    EXPECT_FALSE((co_await shake_hands(client, server, "127.0.0.1")).client.resumed());
    EXPECT_FALSE((co_await shake_hands(client, stranger, "localhost")).client.resumed());
  }(client(), server(), server()));
}

// -------------------------------------------------------------------------------------------------------------- reload

TEST_F(Tls, ShowsANewCertificateAfterAReload) {
  async::run([](Context client, Context server, const TestCertificates& files) -> Task<void> {
    Ends old = co_await shake_hands(client, server);
    co_await greet(old);
    const std::string before = old.client.peer_certificate()->fingerprint;
    static_cast<void>(files.localhost());  // renews it
    server->reload();
    Ends resumed = co_await shake_hands(client, server);
    EXPECT_TRUE(resumed.server.resumed());
    Ends fresh = co_await shake_hands(TlsContext::client({.ca_file = files.ca()}), server);
    EXPECT_NE(fresh.client.peer_certificate()->fingerprint, before);
    co_await greet(old);
    EXPECT_EQ(server->stats().reloads, 1U);
  }(client(), server(), files_));
}

TEST_F(Tls, KeepsTheCertificateWhenTheNewOneIsOfNoUse) {
  async::run([](Context client, Context server, const TestCertificates& files) -> Task<void> {
    files.write("localhost.pem", "half a certif");
    EXPECT_THROW(server->reload(), Invalid);
    EXPECT_TRUE((co_await shake_hands(client, server)).good());
    EXPECT_EQ(server->stats().failed_reloads, 1U);
  }(client(), server(), files_));
}

TEST_F(Tls, ReloadsFilesThatHaveChangedAndSettled) {
  using Changes = TlsContext::Changes;
  const Context context = server();
  EXPECT_EQ(context->reload_if_changed(), Changes::none);
  EXPECT_EQ(context->reload_if_changed(), Changes::none);
  const auto other = files_.make("other", {"DNS:localhost"});
  files_.write("localhost.pem", files_.read("other.pem"));
  EXPECT_EQ(context->reload_if_changed(), Changes::settling);
  // Its key is not there yet: said once, and the old pair stays.
  EXPECT_THROW(context->reload_if_changed(), Invalid);
  EXPECT_EQ(context->reload_if_changed(), Changes::none);
  files_.write("localhost-key.pem", files_.read("other-key.pem"));
  EXPECT_EQ(context->reload_if_changed(), Changes::settling);
  EXPECT_EQ(context->reload_if_changed(), Changes::reloaded);
  EXPECT_EQ(context->reload_if_changed(), Changes::none);
}

TEST_F(Tls, SaysWhenItsCertificatesExpire) {
  TlsServerOptions options = files_.localhost();
  options.more_certificates = {files_.make("shop", {"DNS:shop.test"}, 2h)};
  const auto certificates = TlsContext::server(options)->certificates();
  ASSERT_EQ(certificates.size(), 2U);
  EXPECT_EQ(certificates[1].file, files_.path("shop.pem"));
  EXPECT_LT(certificates[1].not_after, DateTime::now() + Duration(3h));
}

// ------------------------------------------------------------------------------------------------- what is not TLS

/// What becomes of a handshake with a client that sends this and then ends its side.
Task<Ends> receive(Context server, std::string bytes) {
  const auto listener = listen(*Address::parse("127.0.0.1:0"));
  auto [near, far] = co_await async::all(connect(local_address(listener.get())), accept_one(listener.get()));
  Ends ends{Transport(std::move(near)), Transport(std::move(far)), {}, {}};
  if (!bytes.empty()) co_await write_all(ends.client, bytes);
  ::shutdown(ends.client.fd(), SHUT_WR);
  try {
    co_await ends.server.start_tls_server(std::move(server));
  } catch (const Unavailable& error) {
    ends.server_error = error.message();
  }
  ends.server_failure = ends.server.handshake_failure();
  co_return ends;
}

TEST_F(Tls, NamesWhatWasNoHandshake) {
  async::run([](Context server) -> Task<void> {
    EXPECT_EQ((co_await receive(server, "")).server_failure, TlsFailure::peer_gone);
    EXPECT_EQ((co_await receive(server, "\x16\x03\x01")).server_failure, TlsFailure::peer_gone);
    EXPECT_EQ((co_await receive(server, std::string(100, '\xff'))).server_failure, TlsFailure::malformed);
    EXPECT_EQ((co_await receive(server, "SSH-2.0-OpenSSH_9.2\r\n")).server_failure, TlsFailure::malformed);
    EXPECT_EQ(server->stats().handshakes_tls13, 0U);
  }(server()));
}

TEST_F(Tls, AnswersInTheClearAClientThatSpeaksHttp) {
  async::run([](Context server) -> Task<void> {
    Ends ends = co_await receive(server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(ends.server_failure, TlsFailure::plain_http);
    ends.server.drop_tls();
    EXPECT_FALSE(ends.server.secure());
    co_await write_all(ends.server, "https!");
    EXPECT_EQ(co_await read_some(ends.client, 6), "https!");
  }(server()));
}

TEST_F(Tls, GivesAHandshakeUpThatTakesTooLong) {
  async::run([](Context server) -> Task<void> {
    const auto listener = listen(*Address::parse("127.0.0.1:0"));
    auto [near, far] = co_await async::all(connect(local_address(listener.get())), accept_one(listener.get()));
    Transport silent(std::move(near));
    Transport transport(std::move(far));
    EXPECT_THROW(co_await async::timeout(1ms, transport.start_tls_server(server)), DeadlineExceeded);
    EXPECT_EQ(transport.handshake_failure(), TlsFailure::cancelled);
    EXPECT_EQ(server->stats().failed[static_cast<std::size_t>(TlsFailure::cancelled)], 1U);
  }(server()));
}

}  // namespace
}  // namespace ashlar::net::test
