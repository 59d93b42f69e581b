// WebSockets of two programs that share one PostgreSQL.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <ashlar/app/rooms.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/backplane.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/database.hpp>

namespace ashlar::testing {
namespace {

// As on a machine of its own: its own application, connections and loop.
class Machine {
 public:
  explicit Machine(const std::string& url)
      : db_({.url = url, .check_queries = false}), backplane_(db_), rooms_(backplane_) {
    app_.provide(db_).provide(backplane_).provide(rooms_);
    app_.websocket<"/rooms/{name}">([](WebSocket& socket, Path<"name"> name, Rooms& rooms) -> Task<void> {
      const auto member = rooms.join(name, socket);
      while (auto message = co_await socket.receive()) rooms.publish(name, std::move(message->data));
    });
  }
  App& app() { return app_; }
  [[nodiscard]] bool connected() const { return backplane_.stats().connected; }
  [[nodiscard]] pg::BackplaneStats stats() const { return backplane_.stats(); }

 private:
  pg::Db db_;
  pg::NotifyBackplane backplane_;
  Rooms rooms_;
  App app_;
};

Task<void> until_true(const std::atomic<int>& number, int value) {
  while (number.load() < value) co_await async::sleep(std::chrono::milliseconds{2});
}

TEST(WebSocketsOfTwoMachines, ShareTheirRoomsOverTheDatabase) {
  Database database;
  Machine east(database.url());
  Machine west(database.url());
  std::atomic<int> ready{0};
  const std::string large(50'000, 'w');
  const auto live = [&](Machine& machine, const std::string& says, const std::string& hears) {
    Client client(machine.app());
    auto socket = client.websocket("/rooms/blue").connect();
    client.run(async::timeout(std::chrono::seconds{20}, [](const Machine& one) -> Task<void> {
      while (!one.connected()) co_await async::sleep(std::chrono::milliseconds{2});
    }(machine)));
    ++ready;
    client.run(async::timeout(std::chrono::seconds{20}, until_true(ready, 2)));
    socket.send(says);
    // Each hears both, once, in either order.
    std::string first = socket.receive_text();
    std::string second = socket.receive_text();
    if (first != says) std::swap(first, second);
    EXPECT_EQ(first.size(), says.size());
    EXPECT_EQ(second == hears, true) << second.size();
    ++ready;
    client.run(async::timeout(std::chrono::seconds{20}, until_true(ready, 4)));
  };
  std::thread over_there([&] { live(west, large, "hello from the east"); });
  live(east, "hello from the east", large);
  over_there.join();
  EXPECT_EQ(east.stats().received, 1U);
  EXPECT_EQ(west.stats().received, 1U);
}

}  // namespace
}  // namespace ashlar::testing
