// The client with a server that is not ours: nginx, in HTTP/1.1 and HTTP/2, in the clear and over TLS.
#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>

#include <ashlar/base/error.hpp>
#include <ashlar/http/client_test.hpp>
#include <ashlar/net/tls_test.hpp>

namespace ashlar::http::test {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kLarge = 12 * 1024 * 1024;

/// nginx on sockets in a folder of its own, before a server of ours.
class Nginx {
 public:
  Nginx(const net::Address& upstream, const net::Address& broken, const net::TlsServerOptions& tls) {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    std::filesystem::create_directory(path("www"));
    write("www/text", std::string(100'000, 't'));
    write("www/large", std::string(kLarge, 'l'));
    std::string servers;
    for (const auto& [name, flags] : std::initializer_list<std::pair<std::string, std::string>>{
             {"http1", ""}, {"http2", " http2"}, {"tls1", " ssl"}, {"tls2", " ssl http2"}}) {
      for (const std::string& more : {std::string(), std::string("keepalive_requests 3; ")}) {
        servers += "server { listen unix:" + path(name) + (more.empty() ? "" : "-few") + flags + "; " + more +
                   "include " + path("server.conf") + "; }\n";
      }
    }
    write("server.conf", "root " + path("www") + ";\n" + "ssl_certificate " + tls.certificate_file + ";\n" +
                             "ssl_certificate_key " + tls.key_file + R"(;
      location /small { client_max_body_size 1k; proxy_pass http://)" +
                             upstream.to_string() + R"(/echo; }
      location /up/ {
        client_max_body_size 64m; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
        proxy_pass http://)" +
                             upstream.to_string() + R"(/;
      }
      location /broken { proxy_http_version 1.1; proxy_buffering off; proxy_pass http://)" +
                             broken.to_string() + R"(; }
      location /gone { return 410 "gone"; }
    )");
    write("nginx.conf", (::geteuid() == 0 ? std::string("user root;\n") : std::string()) + "worker_processes 1;\npid " +
                            path("pid") + ";\nerror_log " + path("error.log") + R"(;
      events { worker_connections 1024; }
      http {
        access_log off;
        gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
    )" + temporary_paths() + servers +
                            "}\n");
    std::vector<std::string> words = {program(),          "-e", path("error.log"), "-p", folder_, "-c",
                                      path("nginx.conf"), "-g", "daemon off;"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&process_, words[0].c_str(), nullptr, nullptr, arguments.data(), environ), 0);
    started_ = process_ > 0 && serves();
  }
  ~Nginx() {
    if (process_ > 0) {
      ::kill(process_, SIGTERM);
      ::waitpid(process_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }
  Nginx(const Nginx&) = delete;
  Nginx& operator=(const Nginx&) = delete;

  /// Empty: it is not installed.
  static std::string program() {
    for (const char* const one : {"/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"}) {
      if (::access(one, X_OK) == 0) return one;
    }
    return {};
  }
  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] std::string log() const {
    std::ifstream file(path("error.log"));
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
  [[nodiscard]] std::string temporary_paths() const {
    std::string lines;
    for (const std::string name : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      lines += name + "_temp_path " + path(name) + ";\n";
    }
    return lines;
  }
  // The last of its sockets takes connections.
  [[nodiscard]] bool serves() {
    const auto address = net::Address::unix_path(path("tls2-few"));
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < until) {
      const net::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(fd.get(), address->data(), address->size()) == 0) return true;
      if (::waitpid(process_, nullptr, WNOHANG) != 0) {
        process_ = 0;
        return false;
      }
      std::this_thread::yield();
    }
    return false;
  }

  std::string folder_ = "/tmp/ashlar-nginx-XXXXXX";
  ::pid_t process_ = 0;
  bool started_ = false;
};

/// What all tests share.
struct Running {
  net::test::TestCertificates files;
  RunningServer upstream;
  RawServer broken{[](RawPeer& peer, int) {
    peer.until("\r\n\r\n");
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun");
  }};
  Nginx nginx{upstream.address(), broken.address(), files.localhost()};
};

class ClientNginx : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    if (!Nginx::program().empty()) running_ = std::make_unique<Running>();
  }
  static void TearDownTestSuite() { running_.reset(); }
  void SetUp() override {
    if (running_ == nullptr) GTEST_SKIP() << "nginx is not installed: apt-get install nginx-light";
    ASSERT_TRUE(running_->nginx.started()) << running_->nginx.log();
  }

  [[nodiscard]] static bool tls() { return std::string_view(GetParam()).starts_with("tls"); }
  [[nodiscard]] static bool http2() { return std::string_view(GetParam()).ends_with("2"); }
  [[nodiscard]] static ClientOptions asking(ClientOptions options = {}) {
    options.http2.prior_knowledge = http2();
    options.tls = net::TlsContext::client({.ca_file = running_->files.ca()});
    return options;
  }
  [[nodiscard]] static ClientRequest to(std::string_view path, ClientRequest request = {}) {
    request.url = (tls() ? "https://localhost" : "http://localhost") + std::string(path);
    request.unix_socket = running_->nginx.path(GetParam());
    return request;
  }
  /// The same to a server that ends each connection after three requests.
  [[nodiscard]] static ClientRequest to_impatient(std::string_view path) {
    ClientRequest request = to(path);
    request.unix_socket += "-few";
    return request;
  }
  static inline std::unique_ptr<Running> running_;
};

INSTANTIATE_TEST_SUITE_P(Of, ClientNginx, testing::Values("http1", "http2", "tls1", "tls2"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(ClientNginx, AnswersOfEveryKind) {
  Client client(asking());
  async::run([](Client& client) -> Task<void> {
    const ClientResponse text = co_await client.send(to("/text"));
    EXPECT_EQ(text.header("content-encoding"), "gzip");
    EXPECT_EQ(text.body, std::string(100'000, 't'));
    const auto plain = co_await client.send(to("/text", {.headers = {{"Accept-Encoding", "identity"}}}));
    EXPECT_EQ(plain.header("content-length"), "100000");
    EXPECT_EQ(plain.body, text.body);
    const std::string etag(plain.header("etag").value_or(""));
    EXPECT_EQ((co_await client.send(to("/text", {.headers = {{"If-None-Match", etag}}}))).status, 304);
    const auto part = co_await client.send(to("/text", {.headers = {{"Range", "bytes=10-19"}}}));
    EXPECT_EQ(part.status, 206);
    EXPECT_EQ(part.body, "tttttttttt");
    const auto head = co_await client.send(to("/large", {.method = "HEAD"}));
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ((co_await client.send(to("/none"))).status, 404);
    EXPECT_EQ((co_await client.send(to("/gone"))).body, "gone");
    EXPECT_EQ((co_await client.send(to("/up/nothing"))).status, 204);
    client.close_idle();
  }(client));
  EXPECT_EQ(client.stats().connects, 1U);
}

TEST_P(ClientNginx, BodiesBothWays) {
  Client client(asking());
  async::run([](Client& client) -> Task<void> {
    EXPECT_EQ((co_await client.send(to("/large"))).body, std::string(kLarge, 'l'));
    const std::string body(900'000, 'u');
    EXPECT_EQ((co_await client.send(to("/up/echo", {.method = "POST", .body = body}))).body, body);
    const auto source = []() -> Generator<std::string> {
      for (int i = 0; i < 100; ++i) co_yield std::string(100'000, 's');
    };
    EXPECT_EQ((co_await client.send(to("/up/read", {.method = "PUT", .stream = source}))).body,
              "10000000 " + std::to_string(10'000'000 * std::uint64_t{'s'}));
    EXPECT_EQ((co_await client.send(to("/up/stream"))).body, "aaaabbbbccccddddeeee");
    StreamedResponse streamed = co_await client.stream(to("/up/stream-large"));
    std::size_t size = 0;
    while (auto piece = co_await streamed.body.next()) size += piece->size();
    EXPECT_EQ(size, 64U * 100 * 1024);
  }(client));
}

TEST_P(ClientNginx, ManyAtATime) {
  Client client(asking({.max_connections_per_host = 4}));
  async::run([](Client& client) -> Task<void> {
    std::vector<Task<ClientResponse>> tasks;
    for (int i = 0; i < 200; ++i) tasks.push_back(client.send(to("/up/" + std::to_string(i))));
    int number = 0;
    for (const ClientResponse& response : co_await async::all(std::move(tasks))) {
      EXPECT_EQ(response.header("X-Path"), "/" + std::to_string(number++));
    }
    client.close_idle();
  }(client));
  EXPECT_LE(client.stats().connects, 4U);
}

TEST_P(ClientNginx, AConnectionThatMayNotBeKeptLongerCostsNothing) {
  Client client(asking({.max_connections_per_host = 2}));
  async::run([](Client& client) -> Task<void> {
    for (int i = 0; i < 10; ++i) EXPECT_EQ((co_await client.send(to_impatient("/text"))).status, 200);
    std::vector<Task<ClientResponse>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(client.send(to_impatient("/text")));
    for (const ClientResponse& response : co_await async::all(std::move(tasks))) EXPECT_EQ(response.status, 200);
    client.close_idle();
  }(client));
  EXPECT_GT(client.stats().connects, 3U);
  EXPECT_EQ(client.stats().failures, 0U);
}

TEST_P(ClientNginx, AnAnswerThatItsSourceBreaksOffIsNoAnswer) {
  Client client(asking());
  EXPECT_THAT(message_of(client, to("/broken")), HasSubstr("broke the answer off"));
  EXPECT_EQ(client.stats().active, 0U);
}

TEST_P(ClientNginx, ABodyThatIsRefusedIsAnswered) {
  Client client(asking());
  async::run([](Client& client) -> Task<void> {
    const auto response = co_await client.send(to("/small", {.method = "POST", .body = std::string(300'000, 'x')}));
    EXPECT_EQ(response.status, 413);
    EXPECT_EQ((co_await client.send(to("/text"))).status, 200);
    client.close_idle();
  }(client));
}

TEST_P(ClientNginx, ARequestThatIsCancelledDoesNotHurtTheNext) {
  Client client(asking());
  async::run([](Client& client) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      StreamedResponse dropped = co_await client.stream(to("/up/stream-endless"));
      EXPECT_TRUE(co_await dropped.body.next());
    }
    EXPECT_EQ((co_await client.send(to("/text"))).status, 200);
    client.close_idle();
  }(client));
  EXPECT_EQ(client.stats().connects, http2() ? 1U : 4U);
}

}  // namespace
}  // namespace ashlar::http::test
