// What the client bounds, what it refuses from a server, and that nothing is left of a request that was cancelled.
#include <gtest/gtest.h>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client_test.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::http::test {
namespace {

TEST(ClientLimits, TwoHundredAtATimeShareTheConnections) {
  RunningServer server;
  Client client({.max_connections_per_host = 20, .max_idle_per_host = 20});
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    std::vector<Task<ClientResponse>> tasks;
    for (int i = 0; i < 200; ++i) tasks.push_back(client.get(url(address, "/" + std::to_string(i))));
    int number = 0;
    for (const ClientResponse& response : co_await async::all(std::move(tasks))) {
      EXPECT_EQ(response.header("x-path"), "/" + std::to_string(number++));
    }
    EXPECT_EQ(client.stats().active, 0u);
    EXPECT_EQ(client.stats().idle, client.stats().connects);
    client.close_idle();
  }(client, server.address()));
  EXPECT_LE(client.stats().connects, 20u);
  EXPECT_EQ(client.stats().waiting, 0u);
  EXPECT_EQ(client.stats().requests, 200u);
}

TEST(ClientLimits, TheQueueForAConnectionIsBounded) {
  RunningServer server;
  Client client({.max_connections_per_host = 1, .max_waiting = 2});
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    const auto held = [&]() -> Task<void> {
      EXPECT_EQ((co_await client.get(url(server.address(), "/gate"))).body, "gate ");
    };
    const auto refused = [&]() -> Task<void> {
      co_await server.handler.waiting.wait();
      EXPECT_EQ(client.stats().waiting, 2u);
      std::string message;
      try {
        static_cast<void>(co_await client.get(url(server.address(), "/")));
      } catch (const Unavailable& error) {
        message = error.message();
      }
      EXPECT_NE(message.find("max_waiting"), std::string::npos);
      server.handler.open_gate();
    };
    co_await async::all(held(), held(), held(), refused());
    client.close_idle();
  }(client, server));
}

TEST(ClientLimits, AConnectionThatRestsMakesRoomForAnotherHost) {
  RunningServer first;
  RunningServer second;
  Client client({.max_connections = 1});
  async::run([](Client& client, const net::Address& first, const net::Address& second) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ((co_await client.get(url(first, "/"))).status, 200);
      EXPECT_EQ((co_await client.get(url(second, "/"))).status, 200);
      EXPECT_LE(client.stats().idle, 1u);
    }
    client.close_idle();
  }(client, first.address(), second.address()));
  EXPECT_EQ(client.stats().connects, 6u);
}

TEST(ClientLimits, BadAnswersAreRefused) {
  Client client({.max_head = 1000});
  const auto told = [&](std::string answer) {
    ScriptedServer server({{std::move(answer)}});
    return message_of(client, {.url = url(server.address(), "/")});
  };
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  for (const auto& [answer, why] : std::vector<std::pair<std::string, std::string>>{
           {ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "more than one Content-Length"},
           {ok + "Content-Length: 1, 1\r\n\r\nx", "not one number"},
           {ok + "Content-Length: +1\r\n\r\nx", "not one number"},
           {ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "and Transfer-Encoding"},
           {ok + "Transfer-Encoding: gzip\r\n\r\n", "not chunked"},
           {ok + "Transfer-Encoding: chunked, chunked\r\n\r\n", "not chunked"},
           {ok + "Bad Name: x\r\n\r\n", "bad answer"},
           {ok + "A: b\r\n c\r\n\r\n", "bad answer"},
           {ok + "A: " + std::string(1000, 'x') + "\r\n\r\n", "head is larger"},
           {ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "hexadecimal"},
           {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"},
           {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "in HTTP/1.0"},
           {"HTTP/2 200\r\n\r\n", "bad answer"},
       }) {
    EXPECT_NE(told(answer).find(why), std::string::npos) << answer << "\n" << told(answer);
  }
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += "HTTP/1.1 103 Early Hints\r\n\r\n";
  EXPECT_NE(told(flood + std::string(kOk)).find("interim answers without end"), std::string::npos);
  for (const std::string_view cut : {"Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    EXPECT_NE(told(ok + std::string(cut)).find("broke the answer off"), std::string::npos) << cut;
  }
  EXPECT_EQ(client.stats().idle, 0u);
  EXPECT_EQ(client.stats().active, 0u);
}

TEST(ClientLimits, AConnectionIsKeptOnlyWhenItIsClearWhereTheNextAnswerBegins) {
  const auto kept = [](std::string answer, std::string method = "GET") {
    ScriptedServer server({{std::move(answer)}});
    Client client;
    async::run([](Client& client, const net::Address& address, std::string method) -> Task<void> {
      static_cast<void>(co_await client.send({.method = std::move(method), .url = url(address, "/")}));
    }(client, server.address(), std::move(method)));
    return client.stats().idle == 1;
  };
  EXPECT_TRUE(kept(std::string(kOk)));
  EXPECT_TRUE(kept("HTTP/1.1 204 No Content\r\n\r\n"));
  EXPECT_TRUE(kept("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"));
  EXPECT_TRUE(kept("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(kept("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(kept("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_FALSE(kept("HTTP/1.1 204 No Content\r\n\r\nbody"));
  EXPECT_FALSE(kept("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody"));
  EXPECT_FALSE(kept("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "HEAD"));
  EXPECT_FALSE(kept(std::string(kOk) + "HTTP/1.1 200 OK\r\n"));
}

/// Cancels a request at a point that the server chooses, and looks what is left.
void cancelled_at(const std::function<void(RawPeer&)>& until_then, ClientRequest request, ClientOptions options = {}) {
  async::Event there;
  async::Event closed;
  Client client(std::move(options));
  {
    RawServer server([&](RawPeer& peer, int) {
      until_then(peer);
      there.set();
      peer.rest();
      closed.set();
    });
    request.url = request.url + server.address().to_string() + "/";
    async::run([](Client& client, ClientRequest request, async::Event& there, async::Event& closed) -> Task<void> {
      co_await cancelled_when(there, client, std::move(request));
      EXPECT_EQ(client.stats().idle, 0u);
      EXPECT_EQ(client.stats().waiting, 0u);
      const auto gone = [](async::Event& event) -> Task<void> { co_await event.wait(); };
      co_await async::timeout(15s, gone(closed));
    }(client, std::move(request), there, closed));
  }
}

TEST(ClientLimits, NothingIsLeftOfARequestThatIsCancelled) {
  const auto head = [](RawPeer& peer) { peer.until("\r\n\r\n"); };
  {
    SCOPED_TRACE("in the TLS handshake");
    cancelled_at([](RawPeer& peer) { peer.bytes(10); }, {.url = "https://"});
  }
  {
    SCOPED_TRACE("before the head");
    cancelled_at(head, {.url = "http://"});
  }
  {
    SCOPED_TRACE("within the head");
    cancelled_at([&](RawPeer& peer) { head(peer), peer.send("HTTP/1.1 200 OK\r\nContent-"); }, {.url = "http://"});
  }
  {
    SCOPED_TRACE("within the body");
    cancelled_at([&](RawPeer& peer) { head(peer), peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"); },
                 {.url = "http://"});
  }
  {
    SCOPED_TRACE("while it sends its body");
    cancelled_at(head, {.method = "PUT", .url = "http://", .body = std::string(64 * 1024 * 1024, 'x')});
  }
  {
    SCOPED_TRACE("while its stream thinks");
    const auto slow = []() -> Generator<std::string> {
      co_yield std::string("a");
      co_await async::sleep(1h);
    };
    cancelled_at([&](RawPeer& peer) { head(peer), peer.bytes(6); },
                 {.method = "PUT", .url = "http://", .timeout = 2h, .stream = slow});
  }
  {
    SCOPED_TRACE("while it asks whether to send");
    cancelled_at(head, {.method = "PUT", .url = "http://", .body = "x", .expect_continue = true});
  }
  {
    SCOPED_TRACE("between two tries");
    cancelled_at(
        [&](RawPeer& peer) {
          head(peer);
          peer.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 9\r\n\r\n");
          peer.rest();
        },
        {.url = "http://"}, {.retry = {.retries = 1}});
  }
}

TEST(ClientLimits, ARequestThatWaitsForAConnectionLeavesTheQueueWhenItIsCancelled) {
  RunningServer server;
  Client client({.max_connections_per_host = 1});
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    const auto held = [&]() -> Task<void> { static_cast<void>(co_await client.get(url(server.address(), "/gate"))); };
    const auto late = [&]() -> Task<void> {
      co_await server.handler.waiting.wait();
      bool in_time = true;
      try {
        static_cast<void>(co_await client.send({.url = url(server.address(), "/"), .timeout = 20ms}));
      } catch (const DeadlineExceeded&) {
        in_time = false;
      }
      EXPECT_FALSE(in_time);
      EXPECT_EQ(client.stats().waiting, 0u);
      EXPECT_EQ(client.stats().active, 1u);
      server.handler.open_gate();
    };
    co_await async::all(held(), late());
    EXPECT_EQ((co_await client.get(url(server.address(), "/"))).status, 200);
    client.close_idle();
  }(client, server));
  EXPECT_EQ(client.stats().connects, 1u);
}

TEST(ClientLimits, TheOnlyConnectionThatTurnsOutDeadIsReplaced) {
  ScriptedServer server({{std::string(kOk), ""}, {std::string(kOk)}});
  Client client({.timeout = 15s, .max_connections_per_host = 1, .max_connections = 1});
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    EXPECT_EQ((co_await client.get(url(address, "/"))).body, "ok");
    EXPECT_EQ((co_await client.get(url(address, "/"))).body, "ok");
  }(client, server.address()));
  EXPECT_EQ(client.stats().connects, 2u);
}

TEST(ClientLimits, AServerThatDoesNotShakeHandsIsGivenUp) {
  RawServer server([](RawPeer& peer, int) { peer.rest(); });
  Client client({.connect_timeout = 30ms, .timeout = 20s});
  const std::string message = message_of(client, {.url = "https://" + server.address().to_string() + "/"});
  EXPECT_NE(message.find("connect_timeout"), std::string::npos) << message;
}

TEST(ClientLimits, IsMeasuredAsOpenTelemetryNamesIt) {
  metrics::Registry registry;
  const metrics::ReplaceDefault replaced(registry);
  ScriptedServer server({{std::string(kOk), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ""}});
  {
    Client client;
    async::run([](Client& client, const net::Address& address) -> Task<void> {
      static_cast<void>(co_await client.get(url(address, "/secret")));
      static_cast<void>(co_await client.post(url(address, "/"), "{}"));
      try {
        static_cast<void>(co_await client.send({.method = "PURGE", .url = url(address, "/")}));
      } catch (const Unavailable&) {
      }
    }(client, server.address()));
  }
  const std::string text = registry.expose();
  const std::string port = std::to_string(server.address().port());
  const auto line = [&](std::string_view method, std::string_view status, std::string_view error) {
    return "http_client_request_duration_seconds_count{error_type=\"" + std::string(error) +
           "\",http_request_method=\"" + std::string(method) + "\",http_response_status_code=\"" + std::string(status) +
           "\",network_protocol_version=\"1.1\",server_address=\"127.0.0.1\",server_port=\"" + port + "\"} 1\n";
  };
  EXPECT_NE(text.find(line("GET", "200", "")), std::string::npos) << text;
  EXPECT_NE(text.find(line("POST", "404", "404")), std::string::npos) << text;
  EXPECT_NE(text.find(line("_OTHER", "", "unavailable")), std::string::npos) << text;
  EXPECT_NE(text.find("ashlar_http_client_requests_total 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("ashlar_http_client_connections{state=\"active\"} 0\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("secret"), std::string::npos);
}

TEST(ClientLimits, AnErrorStatusIsAnErrorWhenAskedFor) {
  ScriptedServer server({{std::string(kOk), "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
                          "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"}});
  Client client;
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    EXPECT_EQ((co_await client.get(url(address, "/"))).error_for_status().body, "ok");
    for (const ErrorKind kind : {ErrorKind::internal, ErrorKind::unavailable}) {
      const ClientResponse response = co_await client.get(url(address, "/"));
      try {
        response.error_for_status();
        ADD_FAILURE();
      } catch (const StatusError& error) {
        EXPECT_EQ(error.status(), response.status);
        EXPECT_EQ(error.kind(), kind);
      }
    }
  }(client, server.address()));
}

TEST(ClientLimits, QueryAndCredentialsAreEncoded) {
  ScriptedServer server({{std::string(kOk), std::string(kOk)}});
  Client client;
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    const auto ask = [&](std::string path) {
      return client.send({.url = url(address, path),
                          .headers = {{"Authorization", basic_authorization("Aladdin", "open sesame")}},
                          .query = {{"q", "a b&c=d/é"}, {"n", ""}}});
    };
    static_cast<void>(co_await ask("/s#fragment"));
    static_cast<void>(co_await ask("/s?x=1"));
  }(client, server.address()));
  EXPECT_TRUE(server.requests()[0].starts_with("GET /s?q=a%20b%26c%3Dd%2F%C3%A9&n= HTTP/1.1\r\n"));
  EXPECT_TRUE(server.requests()[1].starts_with("GET /s?x=1&q=a%20b%26c%3Dd%2F%C3%A9&n= HTTP/1.1\r\n"));
  EXPECT_NE(server.requests()[0].find("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), std::string::npos);
  EXPECT_THROW(static_cast<void>(basic_authorization("a:b", "c")), Invalid);
}

}  // namespace
}  // namespace ashlar::http::test
