#include <ashlar/app/rooms.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/http/server.hpp>
#include <ashlar/http/websocket_client.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

void add_chat(App& app) {
  app.websocket<"/rooms/{name}">([](WebSocket& socket, Path<"name"> name, Rooms& rooms) -> Task<void> {
    const auto member = rooms.join(name, socket);
    while (auto message = co_await socket.receive()) {
      if (message->data == "quietly") {
        rooms.publish_except(socket, name, "psst");
      } else if (message->text) {
        rooms.publish(name, std::move(message->data));
      } else {
        rooms.publish_binary(name, std::move(message->data));
      }
    }
  });
}

TEST(Rooms, SendEveryMemberWhatIsPublishedInItsRoom) {
  Rooms rooms;
  App app;
  app.provide(rooms);
  add_chat(app);
  testing::Client client(app);
  auto ada = client.websocket("/rooms/blue").connect();
  auto bob = client.websocket("/rooms/blue").connect();
  auto eve = client.websocket("/rooms/red").connect();
  ada.send("hello");
  EXPECT_EQ(ada.receive_text(), "hello");
  EXPECT_EQ(bob.receive_text(), "hello");
  bob.send("quietly");
  EXPECT_EQ(ada.receive_text(), "psst");
  bob.send_binary("\xff");
  EXPECT_FALSE(ada.receive()->text);
  EXPECT_EQ(bob.receive()->data, "\xff");
  eve.send("alone");
  EXPECT_EQ(eve.receive_text(), "alone");
  EXPECT_EQ(rooms.stats().published, 4U);
  EXPECT_EQ(rooms.stats().delivered, 6U);
}

TEST(Rooms, AreLeftWhenTheHandlerEnds) {
  Rooms rooms;
  App app;
  app.provide(rooms);
  add_chat(app);
  testing::Client client(app);
  auto ada = client.websocket("/rooms/blue").connect();
  {
    auto bob = client.websocket("/rooms/blue").connect();
    EXPECT_EQ(rooms.members("blue"), 2U);
    bob.close();
    bob.wait_for_handler();
  }
  EXPECT_EQ(rooms.members("blue"), 1U);
  ada.close();
  ada.wait_for_handler();
  EXPECT_EQ(rooms.stats().members, 0U);
  EXPECT_EQ(rooms.stats().rooms, 0U);
  rooms.publish("blue", "to nobody");
}

TEST(Rooms, CloseOrPassOverAMemberThatIsTooSlow) {
  for (const auto policy : {http::SlowMember::close, http::SlowMember::drop}) {
    async::run([](http::SlowMember slow) -> Task<void> {
      Rooms rooms({.slow_members = slow});
      http::WebSocketPair pair({}, {.max_unsent = 1000});
      const auto member = rooms.join("r", pair.server());
      for (int i = 0; i < 5; ++i) rooms.publish("r", std::string(400, 'x'));
      EXPECT_EQ(rooms.stats().delivered, 2U);
      EXPECT_EQ(pair.server().closed(), slow == http::SlowMember::close);
      if (slow == http::SlowMember::close) EXPECT_EQ(pair.client().peer_close_code(), http::close_code::policy);
      co_return;
    }(policy));
  }
}

TEST(Rooms, KeepTheirMembersWhenMembershipsAreMoved) {
  async::run([]() -> Task<void> {
    Rooms rooms;
    http::WebSocketPair one;
    http::WebSocketPair two;
    std::vector<Rooms::Membership> members;
    members.push_back(rooms.join("r", one.server()));
    members.push_back(rooms.join("r", two.server()));
    members.push_back(rooms.join("other", two.server()));
    rooms.publish("r", "1");
    members.erase(members.begin());
    rooms.publish("r", "2");
    members[0] = std::move(members[1]);
    rooms.publish("r", "3");
    EXPECT_EQ(rooms.stats().delivered, 3U);
    EXPECT_EQ(rooms.members("r"), 0U);
    EXPECT_EQ(rooms.members("other"), 1U);
    EXPECT_EQ((co_await two.client().receive())->data, "1");
    EXPECT_EQ((co_await two.client().receive())->data, "2");
  }());
}

// Joins two in memory.
class Wire final : public async::Backplane {
 public:
  Wire* other = nullptr;
  bool full = false;
  void deliver_to(Deliver deliver) override { deliver_ = std::move(deliver); }
  bool publish(std::string_view topic, std::string_view payload) override {
    if (!full && other->deliver_) other->deliver_(topic, payload);
    return !full;
  }

 private:
  Deliver deliver_;
};

TEST(Rooms, ShareWhatIsPublishedOverABackplane) {
  async::run([]() -> Task<void> {
    Wire a;
    Wire b;
    a.other = &b;
    b.other = &a;
    Rooms here(a);
    Rooms there(b);
    http::WebSocketPair pair;
    const auto member = there.join("r", pair.server());
    here.publish("r", "over there");
    EXPECT_EQ((co_await pair.client().receive())->data, "over there");
    here.publish_binary("r", "\xff");
    EXPECT_FALSE((co_await pair.client().receive())->text);
    EXPECT_EQ(there.stats().received, 2U);
    a.full = true;
    here.publish("r", "lost");
    EXPECT_EQ(here.stats().not_shared, 1U);
  }());
}

// ----------------------------------------------------------------------------------------------- over all loops

// The application on two loops behind a real socket.
class Served {
 public:
  explicit Served(App& app) : server_({.listen = {"127.0.0.1:0"}}, app.handler()) {
    server_.bind();
    thread_ = std::thread([this, &app] { runtime_.run(main(app)); });
    ready_.wait();
  }
  ~Served() {
    stop_.set();
    thread_.join();
  }
  [[nodiscard]] std::string url(std::string_view path) const {
    return "ws://" + server_.addresses().front().to_string() + std::string(path);
  }
  [[nodiscard]] http::ServerStats stats() const { return server_.stats(); }
  [[nodiscard]] std::vector<http::ServerStats> loop_stats() const { return server_.loop_stats(); }

 private:
  class Flag {
   public:
    void set() {
      value_ = true;
      value_.notify_all();
    }
    void wait() const { value_.wait(false); }

   private:
    std::atomic<bool> value_{false};
  };

  Task<void> main(App& app) {
    co_await app.start();
    for (unsigned i = 0; i < runtime_.size(); ++i) {
      co_await async::run_on(runtime_.loop(i), [](http::Server& server, async::Loop& loop) -> Task<void> {
        server.start(loop);
        co_return;
      }(server_, runtime_.loop(i)));
    }
    ready_.set();
    co_await stop_.wait();
    for (unsigned i = 0; i < runtime_.size(); ++i) {
      co_await async::run_on(runtime_.loop(i), server_.drain(runtime_.loop(i)));
    }
    co_await app.stop();
  }

  async::Runtime runtime_{2};
  http::Server server_;
  async::Event stop_;
  Flag ready_;
  std::thread thread_;
};

Task<void> listen_in(std::string url, int& heard, async::Event& joined, int members, std::atomic<int>& waiting) {
  const auto socket = co_await http::WebSocketClient::connect(url);
  co_await (*socket)->send("joined");
  if (++waiting == members) joined.set();
  co_await joined.wait();
  // Each "joined" reaches those that were there; then comes what one says to all.
  while (const auto message = co_await (*socket)->receive()) {
    if (message->data == "to all") {
      ++heard;
      break;
    }
  }
  co_await socket->close();
}

TEST(Rooms, ReachMembersOnAllLoops) {
  Rooms rooms;
  App app;
  app.provide(rooms);
  add_chat(app);
  Served served(app);
  constexpr int kMembers = 40;
  int heard = 0;
  async::run([](Served& server, Rooms& all, int& count) -> Task<void> {
    async::Event joined;
    std::atomic<int> waiting{0};
    std::vector<Task<void>> tasks;
    for (int i = 0; i < kMembers; ++i) {
      tasks.push_back(listen_in(server.url("/rooms/blue"), count, joined, kMembers, waiting));
    }
    tasks.push_back([](Rooms& to, async::Event& when) -> Task<void> {
      co_await when.wait();
      while (to.members("blue") != kMembers) co_await async::sleep(std::chrono::milliseconds{1});
      to.publish("blue", "to all");
    }(all, joined));
    co_await async::all(std::move(tasks));
  }(served, rooms, heard));
  EXPECT_EQ(heard, kMembers);
  for (const auto& loop : served.loop_stats()) EXPECT_GT(loop.websockets.opened.get(), 0U);
}

}  // namespace
}  // namespace ashlar
