// Files and shared bytes as bodies, heartbeats of streams, and streams without an end, over a socket.
#include <fcntl.h>
#include <sys/mman.h>

#include <cstdlib>
#include <filesystem>

#include <ashlar/http/client.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/http2_test.hpp>
#include <ashlar/http/server_test.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::test {
namespace {

std::string bytes(std::size_t size) {
  std::string made(size, '\0');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>(i * 31 + i / 251);
  return made;
}

/// A file that has no name.
class TestFile {
 public:
  explicit TestFile(std::string_view content)
      : fd_(std::make_shared<const net::Fd>(::memfd_create("test", MFD_CLOEXEC))) {
    EXPECT_EQ(::write(fd_->get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  }
  [[nodiscard]] FileBody body(std::uint64_t offset, std::uint64_t length) const { return {fd_, offset, length}; }
  void truncate(off_t size) const { EXPECT_EQ(::ftruncate(fd_->get(), size), 0); }

 private:
  std::shared_ptr<const net::Fd> fd_;
};

TEST(FileBody, IsSentWithItsLength) {
  RunningServer server;
  const std::string content = bytes(5'000'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(0, content.size())); };
  TestClient client(server.address());
  const Answer answer = client.ask(get("/here"));
  EXPECT_TRUE(answer.has("Content-Length: 5000000\r\n")) << answer.head;
  EXPECT_EQ(answer.body, content);
  EXPECT_EQ(client.ask(get("/")).body, "hello");  // the connection goes on
}

TEST(FileBody, MayBeAPartOfAFile) {
  RunningServer server;
  const std::string content = bytes(300'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(1234, 200'000)); };
  TestClient client(server.address());
  EXPECT_EQ(client.ask(get("/here")).body, content.substr(1234, 200'000));
}

TEST(FileBody, IsNotSentForHead) {
  RunningServer server;
  const TestFile file("content");
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(0, 7)); };
  TestClient client(server.address());
  client.send("HEAD /here HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_TRUE(client.answer(true).has("Content-Length: 7\r\n"));
  EXPECT_EQ(client.ask(get("/here")).body, "content");
}

TEST(FileBody, IsNotSentWithAStatusThatHasNone) {
  RunningServer server;
  const TestFile file("content");
  std::atomic<int> status = 0;
  server.handler.here = [&](Exchange& exchange) {
    exchange.response.status = status;
    exchange.response.file(file.body(0, 7));
  };
  for (const bool streamed : {false, true}) {
    if (streamed) {
      server.handler.here = [&](Exchange& exchange) {
        exchange.response.status = status;
        exchange.response.stream([]() -> Generator<std::string> { co_yield "content"; }(), 7);
      };
    }
    TestClient plain(server.address());
    Http2Client streams(server.address());
    for (const int given : {204, 205}) {
      status = given;
      const Answer answer = plain.ask(get("/here"));
      EXPECT_EQ(answer.has("Content-Length: 0\r\n"), given == 205) << answer.head;
      EXPECT_FALSE(answer.has("Content-Length: 7")) << answer.head;
      EXPECT_EQ(plain.ask(get("/")).body, "hello");
      const Http2Answer other = streams.ask("/here");
      EXPECT_EQ(other.status, given);
      EXPECT_EQ(other.field("content-length"), given == 205 ? std::optional<std::string>("0") : std::nullopt);
      EXPECT_EQ(other.body, "");
      EXPECT_EQ(other.error, 0U);
    }
  }
}

TEST(FileBody, KeepsTheOrderOfAPipeline) {
  RunningServer server;
  const std::string content = bytes(3'000'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(0, content.size())); };
  TestClient client(server.address());
  client.send(get("/") + get("/here") + get("/") + get("/here") + get("/static"));
  EXPECT_EQ(client.answer().body, "hello");
  EXPECT_EQ(client.answer().body, content);
  EXPECT_EQ(client.answer().body, "hello");
  EXPECT_EQ(client.answer().body, content);
  EXPECT_EQ(client.answer().body.size(), 1024U * 1024U);
}

TEST(FileBody, WaitsForASlowClientWithoutHoldingOthersUp) {
  RunningServer server;
  const std::string content = bytes(20'000'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(0, content.size())); };
  TestClient slow(server.address(), 4096);
  slow.send(get("/here"));
  TestClient other(server.address());
  EXPECT_EQ(other.ask(get("/")).body, "hello");
  EXPECT_EQ(slow.answer().body, content);
}

TEST(FileBody, ThatBecomesShorterBreaksTheConnectionOff) {
  RunningServer server;
  const std::string content = bytes(20'000'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(0, content.size())); };
  TestClient client(server.address(), 4096);
  client.send(get("/here"));
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.bytes_sent.get() > 4096; }));
  file.truncate(100);
  EXPECT_LT(client.rest().size(), content.size());
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.files_broken_off.get() == 1; }));
}

TEST(FileBody, IsGivenUpWhenTheClientDoesNotRead) {
  ServerOptions options;
  options.write_timeout = 100ms;
  RunningServer server(options);
  const std::string content = bytes(40'000'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(0, content.size())); };
  TestClient client(server.address(), 4096);
  client.send(get("/here"));
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.write_timeouts.get() == 1; }));
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.connections.get() == 0; }));
}

TEST(FileBody, CanBeReadAsAStream) {
  RunningServer server;
  const std::string content = bytes(300'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) {
    exchange.response.file(file.body(0, content.size()));
    exchange.response.stream_file();
  };
  TestClient client(server.address());
  const Answer answer = client.ask(get("/here"));
  EXPECT_TRUE(answer.has("Content-Length: 300000\r\n")) << answer.head;
  EXPECT_EQ(answer.body, content);
}

TEST(FileBody, GoesThroughTls) {
  std::string folder = (std::filesystem::temp_directory_path() / "ashlar-http-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string made =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
      "-addext subjectAltName=IP:127.0.0.1 -keyout " +
      folder + "/key.pem -out " + folder + "/cert.pem 2>/dev/null";
  ASSERT_EQ(std::system(made.c_str()), 0);
  {
    RunningServer server({.tls = net::TlsContext::server({folder + "/cert.pem", folder + "/key.pem"})});
    const std::string content = bytes(3'000'000);
    const TestFile file(content);
    server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(0, content.size())); };
    Client client({.tls = net::TlsContext::client({.ca_file = folder + "/cert.pem"})});
    const std::string url = "https://" + server.address().to_string();
    EXPECT_EQ(async::run(client.send({.url = url + "/here"})).body, content);
    EXPECT_EQ(async::run(client.send({.url = url + "/static"})).body.size(), 1024U * 1024U);
  }
  std::filesystem::remove_all(folder);
}

TEST(SharedBody, LivesUntilItIsSent) {
  RunningServer server;
  const std::string content = bytes(8'000'000);
  std::atomic<bool> gone{false};
  server.handler.here = [&](Exchange& exchange) {
    struct Kept {
      std::string bytes;
      std::atomic<bool>& gone;
      ~Kept() { gone = true; }
    };
    auto kept = std::make_shared<const Kept>(content, gone);
    exchange.response.shared_body(kept, kept->bytes);
  };
  TestClient client(server.address(), 4096);
  client.send(get("/here"));
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.bytes_sent.get() > 0; }));
  EXPECT_FALSE(gone);
  EXPECT_EQ(client.answer().body, content);
  EXPECT_EQ(client.ask(get("/")).body, "hello");
  EXPECT_TRUE(gone);
}

struct Silent {
  async::Event go_on;
  std::atomic<int> cancelled{0};
  Generator<std::string> pieces() {
    co_yield std::string("first;");
    try {
      co_await go_on.wait();
    } catch (const std::exception&) {
      ++cancelled;
      throw;
    }
    co_yield std::string("last;");
  }
};

TEST(Heartbeat, IsSentWhileAGeneratorIsSilent) {
  RunningServer server;
  Silent silent;
  server.handler.here = [&](Exchange& exchange) {
    exchange.response.stream(silent.pieces(), {.heartbeat = 1ms, .heartbeat_bytes = "beat;"});
  };
  TestClient client(server.address());
  client.send(get("/here"));
  const std::string_view expected = "6\r\nfirst;\r\n5\r\nbeat;\r\n5\r\nbeat;\r\n";
  ASSERT_TRUE(server.becomes([&](const ServerStats& now) { return now.bytes_sent.get() > 100 + expected.size(); }));
  silent.go_on.set();
  const std::string body = client.answer().body;
  EXPECT_TRUE(body.starts_with("first;beat;")) << body;
  EXPECT_TRUE(body.ends_with("beat;last;")) << body;
}

TEST(OpenEndedStream, EndsInOrderWhenADrainBegins) {
  RunningServer server;
  Silent silent;
  server.handler.here = [&](Exchange& exchange) { exchange.response.stream(silent.pieces(), {.open_ended = true}); };
  TestClient client(server.address());
  client.send(get("/here"));
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.streams.get() == 1; }));
  auto drained = server.drain();
  EXPECT_EQ(client.answer().body, "first;");  // with its last chunk
  EXPECT_TRUE(client.ended());
  client.close();
  drained.wait();
  EXPECT_EQ(silent.cancelled, 1);
}

TEST(OpenEndedStream, IsCancelledWhenTheClientLeaves) {
  RunningServer server;
  Silent silent;
  server.handler.here = [&](Exchange& exchange) { exchange.response.stream(silent.pieces(), {.open_ended = true}); };
  TestClient client(server.address());
  client.send(get("/here"));
  ASSERT_TRUE(server.becomes([](const ServerStats& now) { return now.streams.get() == 1; }));
  client.close();
  EXPECT_TRUE(server.becomes([](const ServerStats& now) { return now.streams.get() == 0; }));
  EXPECT_EQ(silent.cancelled, 1);
}

TEST(FileBody, GoesOverHttp2) {
  RunningServer server;
  const std::string content = bytes(300'000);
  const TestFile file(content);
  server.handler.here = [&](Exchange& exchange) { exchange.response.file(file.body(1000, 200'000)); };
  Http2Client client(server.address());
  const Http2Answer answer = client.ask("/here");
  EXPECT_EQ(answer.field("content-length"), "200000");
  EXPECT_EQ(answer.body, content.substr(1000, 200'000));
}

TEST(SharedBody, GoesOverHttp2) {
  RunningServer server;
  const std::string content = bytes(200'000);
  server.handler.here = [&](Exchange& exchange) {
    const auto kept = std::make_shared<const std::string>(content);
    exchange.response.shared_body(kept, *kept);
  };
  Http2Client client(server.address());
  EXPECT_EQ(client.ask("/here").body, content);
}

TEST(OpenEndedStream, BeatsAndEndsInOrderOverHttp2) {
  RunningServer server;
  Silent silent;
  server.handler.here = [&](Exchange& exchange) {
    exchange.response.stream(silent.pieces(), {.heartbeat = 1ms, .heartbeat_bytes = "beat;", .open_ended = true});
  };
  Http2Client client(server.address());
  const std::int32_t stream = client.get("/here");
  ASSERT_TRUE(client.until([&] { return client.of(stream).body.starts_with("first;beat;beat;"); }));
  auto drained = server.drain();
  const Http2Answer answer = client.answer(stream);
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.error, 0U);
  EXPECT_EQ(silent.cancelled, 1);
  client.close();
  drained.wait();
}

}  // namespace
}  // namespace ashlar::http::test
