// Bodies of the client: streamed, asked for, answered early, encoded.
#include <gtest/gtest.h>

#include <ashlar/base/error.hpp>
#include <ashlar/http/chunked.hpp>
#include <ashlar/http/client_test.hpp>
#include <ashlar/http/content_coding.hpp>

namespace ashlar::http::test {
namespace {

std::function<Generator<std::string>()> stream_of(std::vector<std::string> pieces) {
  return [pieces = std::move(pieces)]() -> Generator<std::string> {
    for (const std::string& piece : pieces) co_yield piece;
  };
}

std::string answer(std::string_view headers, std::string_view body) {
  return "HTTP/1.1 200 OK\r\n" + std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

TEST(ClientBody, StreamsWithALengthAndInChunks) {
  RunningServer server;
  Client client;
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    const std::string large(300'000, 'x');
    const auto chunked = co_await client.send(
        {.method = "POST", .url = url(address, "/echo"), .stream = stream_of({"a", "", "bc", large, "z"})});
    EXPECT_EQ(chunked.body, "abc" + large + "z");
    const auto sized = co_await client.send(
        {.method = "POST", .url = url(address, "/echo"), .stream = stream_of({"ab", "c"}), .stream_length = 3});
    EXPECT_EQ(sized.body, "abc");
    EXPECT_EQ((co_await client.send({.method = "PUT", .url = url(address, "/echo"), .stream = stream_of({})})).body,
              "");
    client.close_idle();
  }(client, server.address()));
  // On a busy machine an answer may be there before the end of its request is written down as sent: that costs the
  // connection, not the request.
  EXPECT_EQ(client.stats().connects + client.stats().reused, 3u);
  EXPECT_EQ(client.stats().retries, 0u);
}

TEST(ClientBody, TrailersAreThereWhenTheBodyIsRead) {
  const std::string answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 7\r\nHost: h\r\n\r\n";
  ScriptedServer server({{answer, answer}});
  Client client;
  async::run([](Client& client, const net::Address& address) -> Task<void> {
    const ClientResponse response = co_await client.get(url(address, "/"));
    EXPECT_EQ(response.trailer("x-sum"), "7");
    EXPECT_EQ(response.trailer("host"), std::nullopt);
    EXPECT_EQ(response.header("x-sum"), std::nullopt);
    StreamedResponse streamed = co_await client.stream({.url = url(address, "/")});
    EXPECT_EQ(streamed.response.trailer("x-sum"), std::nullopt);
    while (co_await streamed.body.next()) {
    }
    EXPECT_EQ(streamed.response.trailer("x-sum"), "7");
    client.close_idle();
  }(client, server.address()));
}

TEST(ClientBody, AStreamOfAnotherLengthThanItSaidIsRefusedAndTheConnectionClosed) {
  RunningServer server;
  Client client;
  const auto of = [&](std::uint64_t length) {
    return message_of(client, {.method = "POST",
                               .url = url(server.address(), "/echo"),
                               .stream = stream_of({"abc", "def"}),
                               .stream_length = length});
  };
  EXPECT_NE(of(5).find("longer than stream_length"), std::string::npos);
  EXPECT_NE(of(7).find("shorter than stream_length"), std::string::npos);
  EXPECT_NE(message_of(client, {.method = "POST", .url = "http://h/", .body = "x", .stream = stream_of({})})
                .find("either a body or a stream"),
            std::string::npos);
  EXPECT_EQ(client.stats().idle, 0u);
  EXPECT_EQ(client.stats().active, 0u);
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
}

TEST(ClientBody, AStreamThatFailsGivesItsErrorToTheCaller) {
  RunningServer server;
  Client client;
  const auto failing = []() -> Generator<std::string> {
    co_yield std::string("part");
    throw Conflict("the source is gone");
  };
  EXPECT_EQ(message_of(client, {.method = "POST", .url = url(server.address(), "/echo"), .stream = failing}),
            "the source is gone");
  EXPECT_TRUE(server.becomes([](const ServerStats& stats) { return stats.connections.get() == 0; }));
}

TEST(ClientBody, AsksBeforeItSendsAndSendsWhenTheServerAgrees) {
  std::string head;
  std::string body;
  RawServer server([&](RawPeer& peer, int) {
    head = peer.until("\r\n\r\n");
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    body = peer.bytes(4);
    peer.send(kOk);
    peer.rest();
  });
  Client client;
  const auto response = async::run(
      client.send({.method = "PUT", .url = url(server.address(), "/"), .body = "data", .expect_continue = true}));
  EXPECT_EQ(response.body, "ok");
  EXPECT_NE(head.find("Expect: 100-continue\r\n"), std::string::npos);
  EXPECT_EQ(body, "data");
}

TEST(ClientBody, ABodyThatIsRefusedIsNotSent) {
  std::string rest = "not read";
  RawServer server([&](RawPeer& peer, int) {
    peer.until("\r\n\r\n");
    peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    rest = peer.rest();
  });
  {
    Client client;
    const auto response = async::run(client.send(
        {.method = "PUT", .url = url(server.address(), "/"), .stream = stream_of({"data"}), .expect_continue = true}));
    EXPECT_EQ(response.status, 413);
    EXPECT_EQ(client.stats().idle, 0u) << "the server may take what follows for the body";
  }
}

TEST(ClientBody, SendsWithoutAnAnswerToItsQuestionAfterAWhile) {
  RawServer server([&](RawPeer& peer, int) {
    peer.until("\r\n\r\n");
    EXPECT_EQ(peer.bytes(4), "data");
    peer.send(kOk);
    peer.rest();
  });
  Client client;
  EXPECT_EQ(
      async::run(
          client.send({.method = "PUT", .url = url(server.address(), "/"), .body = "data", .expect_continue = true}))
          .body,
      "ok");
}

TEST(ClientBody, RepeatsWithoutTheQuestionWhenTheServerDoesNotKnowIt) {
  std::vector<std::string> heads;
  RawServer server([&](RawPeer& peer, int) {
    heads.push_back(peer.until("\r\n\r\n"));
    if (heads.size() == 1) {
      peer.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      peer.rest();
      return;
    }
    EXPECT_EQ(peer.bytes(4), "data");
    peer.send(kOk);
    peer.rest();
  });
  Client client;
  EXPECT_EQ(
      async::run(
          client.send({.method = "POST", .url = url(server.address(), "/"), .body = "data", .expect_continue = true}))
          .body,
      "ok");
  EXPECT_EQ(heads[1].find("Expect:"), std::string::npos);
}

TEST(ClientBody, AnAnswerBeforeTheEndOfALargeBodyIsTaken) {
  RawServer server([&](RawPeer& peer, int) {
    peer.until("\r\n\r\n");
    peer.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    // Reads nothing more: the body does not fit into the buffers of the sockets.
    std::string all = peer.until("never comes");
    EXPECT_LT(all.size(), 64u * 1024 * 1024);
  });
  {
    Client client({.timeout = 15s});
    const auto response = async::run(
        client.send({.method = "POST", .url = url(server.address(), "/"), .body = std::string(64 * 1024 * 1024, 'x')}));
    EXPECT_EQ(response.status, 401);
    EXPECT_EQ(response.body, "no");
    EXPECT_EQ(client.stats().idle, 0u);
  }
}

TEST(ClientBody, ALargeBodyIsSentAsFastAsTheServerReads) {
  RunningServer server;
  Client client;
  async::run([](Client& client, RunningServer& server) -> Task<void> {
    const auto upload = [&]() -> Task<void> {
      const auto response = co_await client.send(
          {.method = "POST", .url = url(server.address(), "/read-gate"), .body = std::string(32 * 1024 * 1024, '\1')});
      EXPECT_EQ(response.body, "33554432 33554432");
    };
    const auto open = [&]() -> Task<void> {
      co_await server.handler.waiting.wait();
      server.handler.open_gate();
    };
    co_await async::all(upload(), open());
    client.close_idle();
  }(client, server));
}

TEST(ClientBody, DecodesWhatItAskedFor) {
  const std::string text = "hello, hello, hello, hello";
  for (const ContentCoding coding :
       {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::br, ContentCoding::zstd}) {
    const std::string encoded = encode(coding, text);
    const std::string header = "Content-Encoding: " + std::string(to_string(coding)) + "\r\n";
    char digits[kMostChunkDigits];
    const std::string chunks =
        "HTTP/1.1 200 OK\r\n" + header + "Transfer-Encoding: chunked\r\n\r\n1\r\n" + encoded.substr(0, 1) + "\r\n" +
        std::string(format_chunk_size(encoded.size() - 1, digits)) + "\r\n" + encoded.substr(1) + "\r\n0\r\n\r\n";
    ScriptedServer server({{answer(header, encoded), chunks, answer(header, "")}});
    Client client;
    async::run([](Client& client, ScriptedServer& server, std::string_view text) -> Task<void> {
      EXPECT_EQ((co_await client.get(url(server.address(), "/"))).body, text);
      EXPECT_EQ((co_await client.get(url(server.address(), "/"))).body, text);
      EXPECT_EQ((co_await client.get(url(server.address(), "/"))).body, "");
    }(client, server, text));
    EXPECT_EQ(client.stats().connects, 1u);
    EXPECT_NE(server.requests()[0].find("Accept-Encoding: zstd, br, gzip, deflate\r\n"), std::string::npos);
  }
}

TEST(ClientBody, LeavesAloneWhatItDidNotAskFor) {
  const std::string gzip = encode(ContentCoding::gzip, "hello");
  const std::string encoded = answer("Content-Encoding: gzip\r\n", gzip);
  const std::string unknown = answer("Content-Encoding: compress\r\n", "xyz");
  ScriptedServer server({{encoded, encoded, unknown}, {encoded}});
  Client client;
  async::run([](Client& client, ScriptedServer& server, std::string_view gzip) -> Task<void> {
    const std::string where = url(server.address(), "/");
    EXPECT_EQ((co_await client.send({.url = where, .headers = {{"Range", "bytes=0-9"}}})).body, gzip);
    EXPECT_EQ((co_await client.send({.url = where, .headers = {{"Accept-Encoding", "gzip"}}})).body, gzip);
    EXPECT_EQ((co_await client.get(where)).body, "xyz");
    client.close_idle();
    Client plain({.decompress = false});
    EXPECT_EQ((co_await plain.get(where)).body, gzip);
  }(client, server, gzip));
  EXPECT_EQ(server.requests()[0].find("Accept-Encoding"), std::string::npos);
  EXPECT_EQ(server.requests()[3].find("Accept-Encoding"), std::string::npos);
}

TEST(ClientBody, DecodedBodiesHaveTheSameLimitAndDamageIsTold) {
  Client client({.max_body = 1000});
  const auto told = [&](std::string body) {
    ScriptedServer server({{answer("Content-Encoding: gzip\r\n", body)}});
    return message_of(client, {.url = url(server.address(), "/secret")});
  };
  const std::string good = encode(ContentCoding::gzip, std::string(1000, 'x'));
  EXPECT_EQ(told(good), "nothing");
  EXPECT_NE(told(encode(ContentCoding::gzip, std::string(1001, 'x'))).find("larger than the client allows"),
            std::string::npos);
  EXPECT_NE(told(good.substr(0, good.size() - 1)).find("cut off"), std::string::npos);
  EXPECT_NE(told(good + "x").find("behind its end"), std::string::npos);
  EXPECT_NE(told("plain text").find("malformed"), std::string::npos);
}

TEST(ClientBody, StreamsADecodedAnswerInPiecesOfBoundedSize) {
  std::string text;
  for (std::int64_t i = 0; text.size() < 3'000'000; ++i) text += std::to_string(i * 7919);
  ScriptedServer server({{answer("Content-Encoding: br\r\n", encode(ContentCoding::br, text))}});
  Client client;
  async::run([](Client& client, ScriptedServer& server, std::string_view text) -> Task<void> {
    StreamedResponse streamed = co_await client.stream({.url = url(server.address(), "/")});
    std::string all;
    while (auto piece = co_await streamed.body.next()) {
      EXPECT_LE(piece->size(), 64u * 1024);
      all += *piece;
    }
    EXPECT_TRUE(all == text);
  }(client, server, text));
}

}  // namespace
}  // namespace ashlar::http::test
