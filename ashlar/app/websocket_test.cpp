#include <ashlar/app/websocket.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

struct Said {
  Annotated<std::string, min_length{1}, max_length{20}> text;
  int times = 1;
};
struct Heard {
  std::string from, text;
};
struct User {
  std::string name;
};
struct Since {
  std::int64_t since = 0;
};

User current_user(Bearer token) {
  if (token.token != "secret") throw Unauthenticated("the token is not known");
  return {"ada"};
}

class WebSocketRoute : public ::testing::Test {
 protected:
  WebSocketRoute() {
    app.websocket<"/echo">([](WebSocket& socket) -> Task<void> {
      while (auto message = co_await socket.receive()) co_await socket.send(*message);
    });
    app.websocket<"/rooms/{room}">(
        [](JsonSocket<Said, Heard>& socket, Path<"room"> room, Query<Since> query, Depends<current_user> me,
           const http::Request& request) -> Task<void> {
          co_await socket.send({me->name, room + " since " + std::to_string(query.since)});
          while (auto said = co_await socket.receive()) {
            for (int i = 0; i < said->times; ++i) {
              co_await socket.send({std::string(request.path), said->text});
            }
          }
        },
        {.summary = "Talk in a room", .tags = {"chat"}, .subprotocols = {"chat.v1"}});
    app.websocket<"/forgiving">([](JsonSocket<Said>& socket) -> Task<void> {
      while (true) {
        std::string problem;
        try {
          const auto said = co_await socket.receive();
          if (!said) co_return;
          problem = "fine";
        } catch (const schema::ValidationError& error) {
          problem = std::to_string(error.errors().size()) + " errors";
        }
        co_await socket.socket().send(problem);
      }
    });
    app.websocket<"/fails">([](WebSocket& socket) -> Task<void> {
      const auto message = co_await socket.receive();
      if (message && message->data == "forbidden") throw Forbidden("not for you");
      if (message && message->data == "busy") throw Unavailable("come back later");
      throw std::runtime_error("secret detail");
    });
    app.websocket<"/sleeps">([this](WebSocket&) -> Task<void> {
      try {
        co_await async::sleep(std::chrono::hours{1});
      } catch (const Cancelled&) {
        cancelled = true;
        throw;
      }
    });
  }
  App app{{.title = "Chat"}};
  bool cancelled = false;
};

TEST_F(WebSocketRoute, CarriesMessagesOfBothKinds) {
  testing::Client client(app);
  auto socket = client.websocket("/echo").connect();
  ASSERT_TRUE(socket.accepted());
  EXPECT_TRUE(socket.answer().header("X-Request-Id"));
  socket.send("text");
  socket.send_binary(std::string("\0\xff", 2));
  EXPECT_EQ(socket.receive_text(), "text");
  const auto binary = socket.receive();
  ASSERT_TRUE(binary);
  EXPECT_FALSE(binary->text);
  EXPECT_EQ(binary->data, std::string("\0\xff", 2));
}

TEST_F(WebSocketRoute, BindsParametersAndDependenciesAndSpeaksInStructs) {
  testing::Client client(app);
  auto socket = client.websocket("/rooms/blue?since=7").bearer("secret").subprotocols("chat.v0, chat.v1").connect();
  ASSERT_TRUE(socket.accepted());
  EXPECT_EQ(socket.subprotocol(), "chat.v1");
  const auto first = socket.receive_json<Heard>();
  EXPECT_EQ(first.from, "ada");
  EXPECT_EQ(first.text, "blue since 7");
  socket.send_json(Said{"hello", 2});
  EXPECT_EQ(socket.receive_text(), R"({"from":"/rooms/blue","text":"hello"})");
  EXPECT_EQ(socket.receive_json<Heard>().text, "hello");
}

TEST_F(WebSocketRoute, AnswersWhatIsWrongWithTheRequestBeforeItIsAWebSocket) {
  testing::Client client(app);
  EXPECT_EQ(client.websocket("/rooms/blue").connect().answer().status, 401);
  EXPECT_EQ(client.websocket("/rooms/blue").bearer("wrong").connect().answer().status, 401);
  const auto invalid = client.websocket("/rooms/blue?since=x").bearer("secret").connect();
  EXPECT_EQ(invalid.answer().status, 422);
  EXPECT_NE(invalid.answer().body.find("int_parsing"), std::string::npos);
  EXPECT_EQ(client.websocket("/echo").origin("https://evil.example").connect().answer().status, 403);
  EXPECT_EQ(client.websocket("/none").connect().answer().status, 404);
  const auto plain = client.get("/echo").send();
  EXPECT_EQ(plain.status, 426);
  EXPECT_EQ(plain.header("Upgrade"), "websocket");
}

TEST_F(WebSocketRoute, TakesABearerTokenFromTheSubprotocols) {
  testing::Client client(app);
  auto socket = client.websocket("/rooms/blue").subprotocols("bearer, secret").connect();
  ASSERT_TRUE(socket.accepted());
  EXPECT_EQ(socket.subprotocol(), "bearer");
  auto both = client.websocket("/rooms/blue").subprotocols("chat.v1, bearer, secret").connect();
  ASSERT_TRUE(both.accepted());
  EXPECT_EQ(both.subprotocol(), "chat.v1");
  EXPECT_EQ(client.websocket("/rooms/blue").subprotocols("bearer, wrong").connect().answer().status, 401);
}

TEST_F(WebSocketRoute, ClosesOnAMessageThatDoesNotFit) {
  testing::Client client(app);
  const auto close_of = [&](std::string_view message) {
    auto socket = client.websocket("/rooms/blue").bearer("secret").connect();
    static_cast<void>(socket.receive());
    socket.send(message);
    const auto code = socket.close_code();
    return std::to_string(code) + " " + socket.close_reason();
  };
  EXPECT_TRUE(close_of("{\"text\":\"\"}").starts_with("1007 text: String should have at least 1 character"))
      << close_of("{\"text\":\"\"}");
  EXPECT_TRUE(close_of("{").starts_with("1007 "));
  auto socket = client.websocket("/rooms/blue").bearer("secret").connect();
  socket.send_binary("{}");
  EXPECT_EQ(socket.close_code(), 1003);
}

TEST_F(WebSocketRoute, MayGoOnAfterAMessageThatDoesNotFit) {
  testing::Client client(app);
  auto socket = client.websocket("/forgiving").connect();
  socket.send(R"({"text":"","times":"x"})");
  EXPECT_EQ(socket.receive_text(), "2 errors");
  socket.send(R"({"text":"ok"})");
  EXPECT_EQ(socket.receive_text(), "fine");
}

TEST_F(WebSocketRoute, ClosesWithWhatTheHandlersErrorSays) {
  testing::Client client(app);
  const auto close_of = [&](std::string_view message) {
    auto socket = client.websocket("/fails").connect();
    socket.send(message);
    const auto code = socket.close_code();
    return std::to_string(code) + " " + socket.close_reason();
  };
  EXPECT_EQ(close_of("forbidden"), "1008 not for you");
  EXPECT_EQ(close_of("busy"), "1013 come back later");
  EXPECT_EQ(close_of("anything"), "1011 something went wrong here; it has been logged");
}

TEST_F(WebSocketRoute, CancelsAHandlerThatDoesNotNoticeTheEnd) {
  testing::Client client(app);
  {
    auto socket = client.websocket("/sleeps").connect();
  }
  EXPECT_TRUE(cancelled);
}

// A request to become a WebSocket, of a server that drains.
class TooLate final : public http::Exchange {
 public:
  TooLate() {
    request.path = request.target = "/echo";
    request.method_text = "GET";
    request.authority = "test";
    request.upgrade = true;
    context.scope = &scope;
    add(http::KnownHeader::upgrade, "websocket");
    add(http::KnownHeader::sec_websocket_version, "13");
    add(http::KnownHeader::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
  }
  bool finished = false;

 private:
  void add(http::KnownHeader known, std::string_view value) {
    ASSERT_TRUE(request.add_header(http::to_string(known), value, known));
  }
  void on_finish() noexcept override { finished = true; }
  void on_require_websocket() override { throw Unavailable("the service is shutting down"); }
};

TEST_F(WebSocketRoute, RunsMiddlewareOnceForARequestThatCannotBecomeAWebSocketAnyMore) {
  struct Counting final : Middleware {
    explicit Counting(int& count) : answers(count) {}
    void after(http::Exchange&) noexcept override { ++answers; }
    int& answers;
  };
  int answers = 0;
  app.use(Counting{answers});
  const testing::Client started(app);
  TooLate exchange;
  app.handler().handle(exchange);
  EXPECT_TRUE(exchange.finished);
  EXPECT_EQ(exchange.response.status, 503);
  EXPECT_EQ(answers, 1);
  EXPECT_TRUE(exchange.response.find_header("X-Request-Id"));
}

TEST_F(WebSocketRoute, IsInOpenApiAsAGetWithItsMessages) {
  const std::string document = app.openapi();
  EXPECT_NE(document.find(R"("101":{"description":"The connection is a WebSocket from now on"})"), std::string::npos);
  EXPECT_NE(document.find(R"("x-websocket":{"receives":{"$ref":"#/components/schemas/Said)"), std::string::npos);
  EXPECT_NE(document.find(R"("sends":{"$ref":"#/components/schemas/Heard)"), std::string::npos);
  EXPECT_NE(document.find(R"("x-websocket":{})"), std::string::npos);
}

TEST(WebSocketRouter, AddsItsPrefixAndDependencies) {
  Router<"/api"> router{{.dependencies = {depends<current_user>}}};
  router.websocket<"/echo">([](WebSocket& socket) -> Task<void> {
    while (auto message = co_await socket.receive()) co_await socket.send(*message);
  });
  App app;
  app.include(std::move(router));
  testing::Client client(app);
  EXPECT_EQ(client.websocket("/api/echo").connect().answer().status, 401);
  auto socket = client.websocket("/api/echo").bearer("secret").connect();
  socket.send("x");
  EXPECT_EQ(socket.receive_text(), "x");
}

}  // namespace
}  // namespace ashlar
