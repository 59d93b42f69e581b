#include <ashlar/http/client.hpp>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client_test.hpp>
#include <ashlar/http/detail/client_url.hpp>

namespace ashlar::http::test {
namespace {

TEST(Client, SendsAndCollectsOnAKeptConnection) {
  RunningServer server;
  Client client;
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      const ClientResponse response = co_await client.send({.url = url(address, "/a?b#fragment")});
      EXPECT_EQ(response.status, 200);
      EXPECT_EQ(response.body, "hello");
      EXPECT_EQ(response.header("x-path"), "/a");
      EXPECT_EQ(response.header("content-length"), "5");
      EXPECT_EQ(response.header("nothing"), std::nullopt);
    }
    const ClientResponse echoed =
        co_await client.send({.method = "POST", .url = url(address, "/echo"), .body = std::string(500'000, 'e')});
    EXPECT_EQ(echoed.body, std::string(500'000, 'e'));
    EXPECT_EQ((co_await client.send({.method = "HEAD", .url = url(address, "/large")})).body, "");
    EXPECT_EQ((co_await client.send({.url = url(address, "/stream")})).body, "aaaabbbbccccddddeeee");
    EXPECT_EQ((co_await client.send({.url = url(address, "/large")})).body.size(), 8u * 1024 * 1024);
    EXPECT_EQ((co_await client.send({.url = url(address, "/nothing")})).status, 204);
    client.close_idle();
  }(client, server.address()));
  EXPECT_EQ(client.stats().connects, 1u);
  EXPECT_EQ(client.stats().reused, 7u);
  EXPECT_EQ(client.stats().idle, 0u);
}

TEST(Client, AsksOverAUnixSocket) {
  char folder[] = "/tmp/ashlar-http-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/s";
  {
    RunningServer server({.listen = {"unix:" + path}});
    Client client;
    const auto response = async::run(client.send({.url = "http://anything/x", .unix_socket = path}));
    EXPECT_EQ(response.body, "hello");
  }
  ::unlink(path.c_str());
  ::rmdir(folder);
}

TEST(Client, OpensAsManyConnectionsAsAllowedAndMakesOthersWait) {
  RunningServer server;
  Client client({.max_connections_per_host = 2});
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    std::vector<Task<ClientResponse>> tasks;
    for (int i = 0; i < 10; ++i) tasks.push_back(client.send({.url = url(server.address(), "/gate")}));
    server.handler.open_gate();
    for (const ClientResponse& response : co_await async::all(std::move(tasks))) EXPECT_EQ(response.body, "gate ");
  }(client, server));
  EXPECT_EQ(client.stats().connects, 2u);
}

TEST(Client, StreamsABodyPieceByPieceAndClosesWhenItIsDropped) {
  RunningServer server;
  Client client;
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    {
      StreamedResponse streamed = co_await client.stream({.url = url(address, "/stream-large")});
      EXPECT_EQ(streamed.response.status, 200);
      std::size_t size = 0;
      while (auto piece = co_await streamed.body.next()) size += piece->size();
      EXPECT_EQ(size, 64u * 100 * 1024);
    }
    StreamedResponse endless = co_await client.stream({.url = url(address, "/stream-endless")});
    EXPECT_TRUE(co_await endless.body.next());
  }(client, server.address()));
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.streams.get() == 0; }));
}

TEST(Client, SaysWhatFailed) {
  Client client({.max_body = 100});
  const auto message = [&](ClientRequest request) -> std::string {
    try {
      static_cast<void>(async::run(client.send(std::move(request))));
      return "nothing";
    } catch (const Error& error) {
      return error.message();
    }
  };
  const auto scripted = [&](std::string answer) {
    ScriptedServer server({{std::move(answer)}});
    return message({.url = url(server.address(), "/secret?token=1")});
  };
  EXPECT_NE(message({.url = "http://127.0.0.1:1/"}).find("127.0.0.1:1"), std::string::npos);
  EXPECT_NE(scripted("").find("closed the connection before it answered"), std::string::npos);
  EXPECT_NE(scripted("SSH-2.0-x\r\n\r\n").find("bad answer"), std::string::npos);
  EXPECT_NE(scripted("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").find("broke the answer off"),
            std::string::npos);
  EXPECT_NE(scripted("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + std::string(101, 'x')).find("larger than"),
            std::string::npos);
  EXPECT_EQ(scripted("HTTP/1.1 200 OK\r\n\n").find("token"), std::string::npos);
  EXPECT_NE(message({.url = "ftp://a/"}).find("http://"), std::string::npos);
  EXPECT_NE(message({.url = "http://u:p@a/"}).find("user"), std::string::npos);
  EXPECT_NE(message({.url = "http://a/b c"}).find("percent"), std::string::npos);
  EXPECT_NE(message({.url = "http://a/", .headers = {{"X", "a\r\nb"}}}).find("forbidden"), std::string::npos);
  EXPECT_NE(message({.url = "http://a/", .headers = {{"Content-Length", "1"}}}).find("own"), std::string::npos);
  EXPECT_NE(message({.method = "A B", .url = "http://a/"}).find("method"), std::string::npos);
}

TEST(Client, ReadsABodyThatEndsWithTheConnectionAndSkipsInterimAnswers) {
  ScriptedServer server({{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end"}});
  Client client;
  const auto response = async::run(client.send({.url = url(server.address(), "/")}));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "to the end");
}

TEST(Client, RetriesAnIdempotentRequestOnAConnectionThatDied) {
  ScriptedServer server({{std::string(kOk), ""}, {std::string(kOk)}});
  Client client;
  async::run([](Client& client, ScriptedServer& server) -> Task<void> {
    EXPECT_EQ((co_await client.send({.url = url(server.address(), "/1")})).body, "ok");
    EXPECT_EQ((co_await client.send({.url = url(server.address(), "/2")})).body, "ok");
  }(client, server));
  EXPECT_EQ(client.stats().retries, 1u);
  EXPECT_EQ(client.stats().connects, 2u);
}

TEST(Client, DoesNotRepeatAPostThatMayHaveArrived) {
  ScriptedServer server({{std::string(kOk), ""}});
  Client client;
  async::run([](Client& client, ScriptedServer& server) -> Task<void> {
    EXPECT_EQ((co_await client.send({.url = url(server.address(), "/1")})).body, "ok");
    bool failed = false;
    try {
      static_cast<void>(co_await client.send({.method = "POST", .url = url(server.address(), "/2"), .body = "x"}));
    } catch (const Unavailable&) {
      failed = true;
    }
    EXPECT_TRUE(failed);
  }(client, server));
  EXPECT_EQ(client.stats().retries, 0u);
}

TEST(Client, GivesUpAtItsTimeoutAndWhenItIsCancelled) {
  RunningServer server;
  Client client;
  EXPECT_THROW(static_cast<void>(async::run(client.send({.url = url(server.address(), "/gate"), .timeout = 20ms}))),
               DeadlineExceeded);
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.clients_gone.get() == 1; }));
  EXPECT_THROW(static_cast<void>(async::run(
                   async::timeout(20ms, client.send({.url = url(server.address(), "/gate"), .timeout = 10s})))),
               DeadlineExceeded);
}

TEST(Client, FollowsRedirectsOnlyWhenToldAndKeepsSecretsWithTheirHost) {
  ScriptedServer target({{std::string(kOk)}});
  const std::string elsewhere =
      "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + url(target.address(), "/there") + "\r\n\r\n";
  const std::string here = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: next?x\r\n\r\n";
  ScriptedServer server({{here, elsewhere}});
  Client client({.follow_redirects = 5});
  const auto response = async::run(client.send({.method = "POST",
                                                .url = url(server.address(), "/a/b"),
                                                .headers = {{"Authorization", "secret"}, {"X-Other", "y"}},
                                                .body = "data"}));
  EXPECT_EQ(response.body, "ok");
  EXPECT_TRUE(server.requests()[1].starts_with("POST /a/next?x HTTP/1.1\r\n"));
  EXPECT_NE(server.requests()[1].find("Authorization: secret"), std::string::npos);
  EXPECT_TRUE(target.requests()[0].starts_with("GET /there HTTP/1.1\r\n"));
  EXPECT_EQ(target.requests()[0].find("secret"), std::string::npos);
  EXPECT_NE(target.requests()[0].find("X-Other: y"), std::string::npos);
}

TEST(Client, PassesTheTraceOn) {
  ScriptedServer server({{std::string(kOk)}});
  Client client;
  async::run([](Client& client, ScriptedServer& server) -> Task<void> {
    async::Context context;
    context.trace.trace_id[15] = 1;
    context.trace.span_id[7] = 2;
    context.trace.flags = 1;
    context.request_id = "r-1";
    const async::ContextGuard guard(&context);
    static_cast<void>(co_await client.send({.url = url(server.address(), "/")}));
  }(client, server));
  const std::string request = server.requests()[0];
  EXPECT_NE(request.find("traceparent: 00-00000000000000000000000000000001-0000000000000002-01\r\n"),
            std::string::npos);
  EXPECT_NE(request.find("X-Request-Id: r-1\r\n"), std::string::npos);
}

TEST(ClientUrl, SplitsAndResolves) {
  const auto parsed = detail::ClientUrl::parse("HTTPS://[::1]:8443?q#f");
  EXPECT_TRUE(parsed.secure);
  EXPECT_EQ(parsed.host, "::1");
  EXPECT_EQ(parsed.port, 8443);
  EXPECT_EQ(parsed.authority, "[::1]:8443");
  EXPECT_EQ(parsed.target, "/?q");
  EXPECT_EQ(parsed.origin(), "https://[::1]:8443");
  const auto base = detail::ClientUrl::parse("http://Host/a/b?c");
  EXPECT_EQ(base.origin(), "http://host:80");
  EXPECT_EQ(base.resolve("http://x/y"), "http://x/y");
  EXPECT_EQ(base.resolve("//x/y"), "http://x/y");
  EXPECT_EQ(base.resolve("/y"), "http://Host/y");
  EXPECT_EQ(base.resolve("y"), "http://Host/a/y");
  EXPECT_EQ(base.resolve("?y"), "http://Host/a/b?y");
  for (const std::string_view bad :
       {"", "http://", "http:///x", "a/b", "http://a:0/", "http://a:99999/", "http://a b/"}) {
    EXPECT_THROW(detail::ClientUrl::parse(bad), Invalid) << bad;
  }
}

}  // namespace
}  // namespace ashlar::http::test
