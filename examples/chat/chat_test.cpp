#include "chat.hpp"

#include <gtest/gtest.h>

#include <ashlar/testing/client.hpp>

namespace chat {
namespace {

class Chat : public ::testing::Test {
 protected:
  Chat() {
    app.provide(rooms);
    add_routes(app);
  }
  Rooms rooms;
  App app;
};

TEST_F(Chat, TellsEverybodyInTheRoomWhoComesSpeaksAndLeaves) {
  ashlar::testing::Client client(app);
  auto ada = client.websocket("/rooms/lobby?name=Ada").connect();
  EXPECT_EQ(ada.receive_json<Heard>().text, "Ada came in");
  auto bob = client.websocket("/rooms/lobby?name=Bob").connect();
  EXPECT_EQ(ada.receive_json<Heard>().here, 2U);
  EXPECT_EQ(bob.receive_json<Heard>().text, "Bob came in");
  bob.send_json(Said{"hello"});
  const auto heard = ada.receive_json<Heard>();
  EXPECT_EQ(heard.from, "Bob");
  EXPECT_EQ(heard.text, "hello");
  bob.close();
  EXPECT_EQ(ada.receive_json<Heard>().text, "Bob left");
}

TEST_F(Chat, RefusesAGuestWithoutANameAndAPageOfAnotherOrigin) {
  ashlar::testing::Client client(app);
  EXPECT_EQ(client.websocket("/rooms/lobby").connect().answer().status, 422);
  EXPECT_EQ(client.websocket("/rooms/lobby?name=Eve").origin("https://evil.example").connect().answer().status, 403);
}

TEST_F(Chat, HasAPageThatMayConnect) {
  ashlar::testing::Client client(app);
  const auto page = client.get("/").send();
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_NE(page.header("Content-Security-Policy").value_or("").find("connect-src 'self'"), std::string::npos);
}

}  // namespace
}  // namespace chat
