#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/net/net_test.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/net/transport.hpp>

using namespace ashlar;
using namespace ashlar::net::test;
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

}  // namespace
