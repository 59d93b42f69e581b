#include "chat.hpp"

#include <gmock/gmock.h>

#include <ashlar/testing/client.hpp>

namespace chat {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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

TEST_F(Chat, HasAPageThatMayConnectAndRunsNoScriptButItsOwn) {
  ashlar::testing::Client client(app);
  const auto page = client.get("/").send();
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  const auto policy = std::string(page.header("Content-Security-Policy").value_or(""));
  EXPECT_THAT(policy, HasSubstr("connect-src 'self'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  for (const auto& [path, type] : {std::pair{"/chat.js", "text/javascript"}, std::pair{"/chat.css", "text/css"}}) {
    EXPECT_THAT(page.body, HasSubstr(path + 1));
    EXPECT_THAT(std::string(client.get(path).send().header("Content-Type").value_or("")), StartsWith(type));
  }
}

}  // namespace
}  // namespace chat
