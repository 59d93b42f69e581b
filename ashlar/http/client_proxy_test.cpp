// Requests through a proxy.
#include <gtest/gtest.h>

#include <cstdlib>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client_test.hpp>
#include <ashlar/http/detail/client_proxy.hpp>

namespace ashlar::http::test {
namespace {

using detail::ClientProxies;
using detail::ClientProxy;
using detail::ClientUrl;

/// Sets a variable of the environment for a test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

/// Opens what CONNECT asks for on this machine, whatever name that has, and copies bytes both ways.
void serve_connect(RawPeer& peer, std::string& request) {
  request = peer.until("\r\n\r\n");
  const std::size_t colon = request.find(':');
  const auto target = net::Address::ip("127.0.0.1", static_cast<std::uint16_t>(std::stoi(request.substr(colon + 1))));
  net::Fd upstream(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(upstream.get(), target->data(), target->size()) != 0) {
    peer.send("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    return;
  }
  peer.send("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
  const auto copy = [](int from, int to) {
    char bytes[4096];
    const ssize_t size = ::recv(from, bytes, sizeof bytes, 0);
    return size > 0 && ::send(to, bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
  };
  for (;;) {
    pollfd both[2] = {{peer.fd(), POLLIN, 0}, {upstream.get(), POLLIN, 0}};
    if (::poll(both, 2, 20'000) <= 0) return;
    if (both[0].revents != 0 && !copy(peer.fd(), upstream.get())) return;
    if (both[1].revents != 0 && !copy(upstream.get(), peer.fd())) return;
  }
}

TEST(ClientProxy, GetsTheWholeUrlOfPlainRequests) {
  ScriptedServer proxy({{std::string(kOk), std::string(kOk)}});
  Client client({.proxy = {.http = "http://us%65r:p%40ss@" + proxy.address().to_string()}});
  async::run([](Client& client) -> Task<void> {
    EXPECT_EQ((co_await client.get("http://Service.test:8080/a?b#c")).body, "ok");
    EXPECT_EQ((co_await client.get("http://other.test")).body, "ok");
  }(client));
  EXPECT_TRUE(
      proxy.requests()[0].starts_with("GET http://Service.test:8080/a?b HTTP/1.1\r\nHost: Service.test:8080\r\n"));
  EXPECT_NE(proxy.requests()[0].find("Proxy-Authorization: Basic dXNlcjpwQHNz\r\n"), std::string::npos);
  EXPECT_TRUE(proxy.requests()[1].starts_with("GET http://other.test/ HTTP/1.1\r\n"));
  EXPECT_EQ(client.stats().connects, 1u) << "one connection to the proxy serves all";
}

class ClientTunnel : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(folder_), nullptr);
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=service.test "
        "-addext subjectAltName=DNS:service.test -keyout " +
        key() + " -out " + certificate() + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << "openssl is needed";
  }
  void TearDown() override {
    ::unlink(key().c_str());
    ::unlink(certificate().c_str());
    ::rmdir(folder_);
  }
  [[nodiscard]] std::string key() const { return std::string(folder_) + "/key.pem"; }
  [[nodiscard]] std::string certificate() const { return std::string(folder_) + "/cert.pem"; }
  char folder_[32] = "/tmp/ashlar-proxy-XXXXXX";
};

TEST_F(ClientTunnel, CarriesTlsToAServerThatTheProxyKnows) {
  RunningServer server({.tls = net::TlsContext::server({certificate(), key()})});
  std::string request;
  {
    RawServer proxy([&](RawPeer& peer, int) { serve_connect(peer, request); });
    Client client({.tls = net::TlsContext::client({.ca_file = certificate()}),
                   .proxy = {.https = "http://user:pass@" + proxy.address().to_string()}});
    const std::string where = "https://service.test:" + std::to_string(server.address().port()) + "/x";
    async::run([](Client& client, const std::string& where) -> Task<void> {
      EXPECT_EQ((co_await client.get(where)).body, "hello");
      EXPECT_EQ((co_await client.get(where)).body, "hello");
      client.close_idle();
    }(client, where));
    EXPECT_EQ(client.stats().connects, 1u);
  }
  EXPECT_TRUE(request.starts_with("CONNECT service.test:"));
  EXPECT_NE(request.find("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"), std::string::npos);
}

TEST(ClientProxy, SaysWhyThereIsNoTunnel) {
  const auto told = [](std::string answer) {
    ScriptedServer proxy({{std::move(answer)}});
    Client client({.proxy = {.https = proxy.address().to_string()}});
    return message_of(client, {.url = "https://service.test/secret"});
  };
  EXPECT_NE(told("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").find("credentials"),
            std::string::npos);
  EXPECT_NE(told("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").find("CONNECT with 502"), std::string::npos);
  EXPECT_NE(told("SSH-2.0-x\r\n\r\n").find("bad answer from the proxy"), std::string::npos);
  EXPECT_NE(told("HTTP/1.1 200 OK\r\n\r\nearly").find("bytes behind its head"), std::string::npos);
  EXPECT_NE(told("").find("the proxy closed"), std::string::npos);
}

TEST(ClientProxy, IsPassedByForSomeHosts) {
  const ClientProxies proxies(
      {.http = "proxy:3128", .https = "", .bypass = "localhost, .internal, *.example.test:81, 10.0.0.0/8, [::1]"});
  const auto direct = [&](std::string_view url) { return proxies.for_url(ClientUrl::parse(url)) == nullptr; };
  for (const std::string_view url :
       {"http://localhost/", "http://LOCALHOST:99/", "http://a.internal/", "http://internal/",
        "http://x.example.test:81/", "http://10.1.2.3/", "http://[::1]:8/", "https://a.test/"}) {
    EXPECT_TRUE(direct(url)) << url;
  }
  for (const std::string_view url :
       {"http://notlocalhost/", "http://x.example.test/", "http://11.1.2.3/", "http://a.test/", "http://ainternal/"}) {
    EXPECT_FALSE(direct(url)) << url;
  }
  EXPECT_EQ(ClientProxies({.http = "proxy:1", .bypass = "*"}).for_url(ClientUrl::parse("http://a.test/")), nullptr);
}

TEST(ClientProxy, ComesFromTheEnvironmentWhenToldSo) {
  const ClientUrl plain = ClientUrl::parse("http://a.test/");
  const ClientUrl secure = ClientUrl::parse("https://a.test/");
  const Variable none("http_proxy", "");  // whatever this machine has
  const Variable no_hosts("no_proxy", "");
  const Variable upper("HTTP_PROXY", "http://upper:1");
  const Variable both("https_proxy", "lower:2");
  const Variable hosts("NO_PROXY", "b.test");
  EXPECT_FALSE(ClientProxies({}).any());
  const ClientProxies proxies({.from_environment = true});
  EXPECT_EQ(proxies.for_url(plain)->origin(), "upper:1");
  EXPECT_EQ(proxies.for_url(secure)->origin(), "lower:2");
  EXPECT_EQ(proxies.for_url(ClientUrl::parse("https://b.test/")), nullptr);
  EXPECT_EQ(ClientProxies({.http = "own:3", .from_environment = true}).for_url(plain)->origin(), "own:3");
  const Variable cgi("REQUEST_METHOD", "GET");
  EXPECT_EQ(ClientProxies({.from_environment = true}).for_url(plain), nullptr) << "a client of the server set it";
}

TEST(ClientProxy, RefusesWhatIsNoneWithoutRepeatingIt) {
  for (const std::string_view bad : {"https://user:secret@proxy", "socks5://proxy", "http://",
                                     "http://user:secret@pro xy", "proxy:0", "http://%zz@p"}) {
    try {
      static_cast<void>(ClientProxy::parse(bad));
      ADD_FAILURE() << bad;
    } catch (const Invalid& error) {
      EXPECT_EQ(error.message().find("secret"), std::string::npos);
    }
  }
  EXPECT_THROW(ClientProxies({.http = "p:1", .bypass = "host:port"}), Invalid);
}

}  // namespace
}  // namespace ashlar::http::test
