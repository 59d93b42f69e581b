// The service of `./x bench broadcast`: WebSockets in one room, and POST /say, which sends all of them its query's text.
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/app/rooms.hpp>
#include <ashlar/app/websocket.hpp>

using namespace ashlar;

int main(int argc, char** argv) {
  Rooms rooms;
  App app{{.title = "Rooms"}};
  app.provide(rooms);
  app.websocket<"/room">([](WebSocket& socket, Rooms& room) -> Task<void> {
    const auto member = room.join("all", socket);
    while (co_await socket.receive()) {
    }
  });
  app.post<"/say">([](Query<"text"> text, Rooms& room) { room.publish("all", std::string(text)); });
  return run(app, argc, argv);
}
