// The code of docs/guide/websocket.md.
#include <gtest/gtest.h>

#include <ashlar/ashlar.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;

// sample: structs
struct Said {
  Annotated<std::string, min_length{1}, max_length{500}> text;
};
struct Heard {
  std::string from, text;
};
// end of sample

struct User {
  std::string name;
};

// sample: user
User current_user(Bearer token) {
  if (token.token != "secret") throw Unauthenticated("sign in first");  // an ordinary 401, before there is a WebSocket
  return {"ada"};
}
// end of sample

void add_routes(App& app) {
  // sample: echo
  app.websocket<"/echo">([](WebSocket& socket) -> Task<void> {
    while (auto message = co_await socket.receive()) co_await socket.send(*message);
  });
  // end of sample

  // sample: typed
  app.websocket<"/ask/{topic}">(
      [](JsonSocket<Said, Heard>& socket, Path<"topic"> topic, Depends<current_user> me) -> Task<void> {
        co_await socket.send({"host", "welcome to " + topic + ", " + me->name});
        while (auto said = co_await socket.receive()) co_await socket.send({me->name, said->text});
      },
      {.summary = "Ask about a topic", .origins = {"https://app.example.com"}, .limits = {.max_message = 4096}});
  // end of sample

  // sample: forgiving
  app.websocket<"/forgiving">([](JsonSocket<Said, Heard>& socket) -> Task<void> {
    while (true) {
      std::string problem;
      try {
        const auto said = co_await socket.receive();
        if (!said) co_return;  // the client has closed
        problem = "understood";
      } catch (const schema::ValidationError& error) {
        problem = error.what();
      }
      co_await socket.send({"host", problem});
    }
  });
  // end of sample

  // sample: rooms
  app.websocket<"/rooms/{name}">(
      [](JsonSocket<Said, Heard>& socket, Path<"name"> name, Depends<current_user> me, Rooms& rooms) -> Task<void> {
        const auto member = rooms.join(name, socket.socket());  // leaves when the handler ends
        while (auto said = co_await socket.receive()) rooms.publish_json(name, Heard{me->name, said->text});
      });
  // end of sample
}

// sample: backplane
int serve(int argc, char** argv) {
  pg::Db db;
  pg::NotifyBackplane backplane{db};
  Rooms rooms{backplane};
  App app;
  app.provide(db).provide(backplane).provide(rooms);
  add_routes(app);
  return run(app, argc, argv);
}
// end of sample

// sample: test
TEST(Chat, TellsEverybodyInTheRoom) {
  Rooms rooms;
  App app;
  app.provide(rooms);
  add_routes(app);
  ashlar::testing::Client client{app};

  EXPECT_EQ(client.websocket("/rooms/blue").connect().answer().status, 401);
  auto ada = client.websocket("/rooms/blue").bearer("secret").connect();
  auto bob = client.websocket("/rooms/blue").bearer("secret").connect();
  ada.send_json(Said{"hello"});

  EXPECT_EQ(bob.receive_json<Heard>().text, "hello");
  ada.send("no JSON");
  EXPECT_EQ(ada.receive_json<Heard>().text, "hello");
  EXPECT_EQ(ada.close_code(), 1007);
}
// end of sample

// sample: client
Task<std::string> ask_over_there(std::string url) {
  const auto socket = co_await http::WebSocketClient::connect(url, {.headers = {{"Authorization", "Bearer secret"}}});
  co_await (*socket)->send("hello");
  const auto answer = co_await (*socket)->receive();
  co_await socket->close();
  co_return answer ? answer->data : "nothing";
}
// end of sample

TEST(WebSocketGuide, SpeaksAsItSays) {
  Rooms rooms;
  App app;
  app.provide(rooms);
  add_routes(app);
  ashlar::testing::Client client{app};
  auto echo = client.websocket("/echo").connect();
  echo.send("x");
  EXPECT_EQ(echo.receive_text(), "x");
  auto ask = client.websocket("/ask/cats").subprotocols("bearer, secret").connect();
  EXPECT_EQ(ask.receive_json<Heard>().text, "welcome to cats, ada");
  auto forgiving = client.websocket("/forgiving").connect();
  forgiving.send("{}");
  EXPECT_NE(forgiving.receive_json<Heard>().text.find("Field required"), std::string::npos);
  static_cast<void>(&serve);
  EXPECT_THROW(client.run(ask_over_there("http://127.0.0.1:1/")), Invalid);
}

}  // namespace
