#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/net/transport.hpp>

using namespace ashlar;
using namespace std::chrono_literals;

namespace {

TEST(Address, ReadsAndWritesEveryFamily) {
  for (const char* text : {"127.0.0.1:80", "[::1]:8080", "unix:/tmp/a.sock", "0.0.0.0:0"}) {
    const auto address = net::Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(Address, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:8x", "::1:80", "[127.0.0.1]:80",
                           "host:80", "[::1]", "unix:"}) {
    EXPECT_FALSE(net::Address::parse(text)) << text;
  }
  EXPECT_FALSE(net::Address::unix_path(std::string(200, 'a')));
}

Task<net::Fd> accept_one(int listener) {
  co_await net::ready(listener, EPOLLIN);
  co_return net::Fd{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
}

Task<void> write_all(net::Transport& transport, std::string text) {
  std::string_view left = text;
  while (!left.empty()) {
    const net::Io io = transport.write(left);
    if (io.state == net::Io::State::done) {
      left.remove_prefix(io.bytes);
    } else if (io.state == net::Io::State::would_block) {
      co_await net::ready(transport.fd(), transport.wants_write() ? EPOLLOUT : EPOLLIN);
    } else {
      throw Unavailable(transport.error());
    }
  }
}

Task<std::string> read_some(net::Transport& transport, std::size_t wanted) {
  std::string text;
  while (text.size() < wanted) {
    char buffer[4096];
    const net::Io io = transport.read(buffer);
    if (io.state == net::Io::State::done) {
      text.append(buffer, io.bytes);
    } else if (io.state == net::Io::State::would_block) {
      co_await net::ready(transport.fd(), transport.wants_write() ? EPOLLOUT : EPOLLIN);
    } else {
      break;
    }
  }
  co_return text;
}

TEST(Socket, ConnectsToAListener) {
  async::run([]() -> Task<void> {
    const auto listener = net::listen(*net::Address::parse("127.0.0.1:0"));
    const auto address = net::local_address(listener.get());
    EXPECT_NE(address.port(), 0);
    auto [client, server] = co_await async::all(net::connect(address), accept_one(listener.get()));
    net::Transport a{std::move(client)};
    net::Transport b{std::move(server)};
    co_await write_all(a, "hello");
    EXPECT_EQ(co_await read_some(b, 5), "hello");
    a.close();
    EXPECT_EQ(co_await read_some(b, 1), "");
  }());
}

TEST(Socket, SaysWhyItCannotConnectOrListen) {
  async::run([]() -> Task<void> {
    net::Address address;
    {
      const auto listener = net::listen(*net::Address::parse("127.0.0.1:0"));
      address = net::local_address(listener.get());
      try {
        (void)net::listen(address);
        ADD_FAILURE();
      } catch (const Unavailable& error) {
        EXPECT_NE(error.message().find("another program uses it"), std::string::npos);
      }
    }
    EXPECT_THROW(co_await net::connect(address), Unavailable);
  }());
}

TEST(Socket, SharesAPortOnlyWithThoseWhoComeAfterTheFirst) {
  const net::Fd first = net::listen(*net::Address::parse("127.0.0.1:0"), {.reuse_port = true, .first = true});
  const net::Address address = net::local_address(first.get());
  const net::Fd second = net::listen(address, {.reuse_port = true});
  EXPECT_THROW(static_cast<void>(net::listen(address, {.reuse_port = true, .first = true})), Unavailable);
  EXPECT_THROW(static_cast<void>(net::listen(address)), Unavailable);
}

TEST(Socket, ReplacesAUnixSocketThatNobodyListensOn) {
  std::string folder = "/tmp/ashlar-net-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto address = *net::Address::unix_path(folder + "/s");
  {
    const auto first = net::listen(address);
  }
  {
    const auto second = net::listen(address);
    EXPECT_THROW((void)net::listen(address), Unavailable);
  }
  std::filesystem::remove_all(folder);
}

TEST(Resolve, FindsLocalhostAndRefusesNonsense) {
  async::run([]() -> Task<void> {
    EXPECT_FALSE((co_await net::resolve("localhost", 80)).empty());
    EXPECT_THROW(co_await net::resolve("no-such-host.invalid", 80), Unavailable);
  }());
}

class Tls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = "/tmp/ashlar-tls-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
        folder_ + "/key.pem -out " + folder_ + "/cert.pem 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static Task<void> talk(net::TlsContext::ClientOptions options, std::string host) {
    auto server_context = net::TlsContext::server({folder_ + "/cert.pem", folder_ + "/key.pem"});
    auto client_context = net::TlsContext::client(std::move(options));
    const auto listener = net::listen(*net::Address::parse("127.0.0.1:0"));
    auto [client, server] =
        co_await async::all(net::connect(net::local_address(listener.get())), accept_one(listener.get()));
    net::Transport a{std::move(client)};
    net::Transport b{std::move(server)};
    co_await async::all(a.start_tls_client(client_context, host), b.start_tls_server(server_context));
    EXPECT_TRUE(a.secure());
    EXPECT_EQ(a.server_end_point().size(), 32U);
    const std::string big(300'000, 'x');
    auto [nothing, got] = co_await async::all(write_all(a, big), read_some(b, big.size()));
    EXPECT_EQ(got, big);
  }
  static inline std::string folder_;
};

TEST_F(Tls, CarriesBytesWhenTheCertificateFits) {
  async::run(talk({.ca_file = folder_ + "/cert.pem"}, "localhost"));
  async::run(talk({.ca_file = folder_ + "/cert.pem"}, "127.0.0.1"));
}

TEST_F(Tls, RefusesAnotherHostName) {
  EXPECT_THROW(async::run(talk({.ca_file = folder_ + "/cert.pem"}, "example.test")), Unavailable);
}

TEST_F(Tls, RefusesAnUnknownAuthority) { EXPECT_THROW(async::run(talk({}, "localhost")), Unavailable); }

TEST_F(Tls, VerifiesNothingOnlyWhenTold) {
  async::run(talk({.verify = net::TlsContext::ClientOptions::Verify::none}, "example.test"));
}

TEST_F(Tls, NamesTheFileThatItCannotUse) {
  try {
    (void)net::TlsContext::server({"/no/such/cert.pem", "/no/such/key.pem"});
    ADD_FAILURE();
  } catch (const Invalid& error) {
    EXPECT_NE(error.message().find("/no/such/cert.pem"), std::string::npos);
  }
}

}  // namespace
