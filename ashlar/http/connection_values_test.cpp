#include <ashlar/http/connection_values.hpp>

#include <atomic>
#include <string>
#include <vector>

#include <ashlar/http/http2_test.hpp>
#include <ashlar/http/websocket_test.hpp>

namespace ashlar::http::test {
namespace {

constexpr char kKey = 0;
std::atomic<int> made{0};
std::atomic<int> gone{0};

struct Numbered final : ConnectionValues::Value {
  int number = ++made;
  Numbered() {
    key = &kKey;
    destroy = [](Value* self) noexcept {
      delete static_cast<Numbered*>(self);
      ++gone;
    };
  }
};

int number_of(Exchange& exchange) {
  ConnectionValues& values = *exchange.connection_values();
  auto* known = values.find(&kKey);
  if (known == nullptr) {
    known = new Numbered;
    values.keep(*known);
  }
  return static_cast<Numbered*>(known)->number;
}

class OfConnections : public testing::Test {
 protected:
  void SetUp() override {
    made = 0;
    gone = 0;
    server.handler.here = [](Exchange& exchange) { exchange.response.body = std::to_string(number_of(exchange)); };
  }
  [[nodiscard]] bool all_gone() {
    return server.becomes([](const ServerStats&) { return gone == made; });
  }
  RunningServer server;
};

TEST(ConnectionValues, GoInTheReverseOrderOfTheirComing) {
  static std::vector<int> order;
  order.clear();
  struct One final : ConnectionValues::Value {
    int number;
    explicit One(const void* the_key, int n) : number(n) {
      key = the_key;
      destroy = [](Value* self) noexcept {
        order.push_back(static_cast<One*>(self)->number);
        delete static_cast<One*>(self);
      };
    }
  };
  constexpr char first = 0, second = 0, third = 0;
  {
    ConnectionValues values;
    values.keep(*new One(&first, 1));
    values.keep(*new One(&second, 2));
    EXPECT_EQ(static_cast<One*>(values.find(&first))->number, 1);
    EXPECT_EQ(values.find(&third), nullptr);
    ConnectionValues others = std::move(values);
    EXPECT_EQ(values.find(&first), nullptr);  // NOLINT(bugprone-use-after-move): that is what is asked
    EXPECT_TRUE(order.empty());
  }
  EXPECT_EQ(order, (std::vector<int>{2, 1}));
}

TEST_F(OfConnections, AreSharedByItsRequestsAndGoWithIt) {
  {
    TestClient one{server.address()};
    EXPECT_EQ(one.ask(get("/here")).body, "1");
    TestClient two{server.address()};
    EXPECT_EQ(two.ask(get("/here")).body, "2");
    EXPECT_EQ(one.ask(get("/here")).body, "1");
    one.close();
    EXPECT_TRUE(server.becomes([](const ServerStats&) { return gone == 1; }));
    EXPECT_EQ(two.ask(get("/here")).body, "2");
  }
  EXPECT_TRUE(all_gone());
}

TEST_F(OfConnections, AreThoseOfAllStreamsOfHttp2) {
  {
    Http2Client client{server.address()};
    const auto first = client.get("/here");
    const auto second = client.get("/here");
    EXPECT_EQ(client.answer(first).body, "1");
    EXPECT_EQ(client.answer(second).body, "1");
    EXPECT_EQ(client.ask("/here").body, "1");
  }
  EXPECT_TRUE(all_gone());
  EXPECT_EQ(made, 1);
}

// Looks for the number before a WebSocket is one, and at the end of its handler.
class NumberedSockets final : public Handler {
 public:
  explicit NumberedSockets(TestSockets& sockets) : sockets_(sockets) {}
  void handle(Exchange& exchange) noexcept override {
    numbers = number_of(exchange);
    sockets_.handle(exchange);
    after = number_of(exchange);  // it is the connection's still
  }
  std::atomic<int> numbers{0};
  std::atomic<int> after{0};

 private:
  TestSockets& sockets_;
};

TEST_F(OfConnections, StayWithAWebSocketUntilItsHandlerHasEnded) {
  TestSockets sockets;
  NumberedSockets handler{sockets};
  server.handler.websockets = &handler;
  TestClient client{server.address()};
  EXPECT_EQ(client.ask(get("/here")).body, "1");
  EXPECT_EQ(client.ask(upgrade("/ws/sleep")).status, 101);
  EXPECT_TRUE(becomes([&] { return sockets.running == 1; }));
  EXPECT_EQ(handler.numbers, 1);
  EXPECT_EQ(handler.after, 1);
  EXPECT_EQ(gone, 0);
  client.close();
  EXPECT_TRUE(all_gone());
  EXPECT_EQ(sockets.running, 0);
  EXPECT_EQ(made, 1);
}

TEST_F(OfConnections, StayUntilTheHandlerOfAClientThatLeftHasEnded) {
  // "/gate" waits, and is cancelled by its client's leaving.
  TestClient client{server.address()};
  EXPECT_EQ(client.ask(get("/here")).body, "1");
  client.send(get("/gate"));
  EXPECT_TRUE(server.becomes([&](const ServerStats&) { return server.handler.handled == 2; }));
  EXPECT_EQ(gone, 0);
  client.close();
  EXPECT_TRUE(all_gone());
  EXPECT_EQ(server.handler.cancelled, 1);
}

}  // namespace
}  // namespace ashlar::http::test
