// The service of `./x bench broadcast`: WebSockets in one room, and POST /say, which sends all of them its query's
// text.
#include <string>
#include <utility>

#include <ashlar/app/app.hpp>
#include <ashlar/app/rooms.hpp>
#include <ashlar/app/websocket.hpp>

using namespace ashlar;

namespace {
struct Said {
  std::string text;
};
}  // namespace

int main(int argc, char** argv) {
  Rooms rooms;
  App app{{.title = "Rooms"}};
  app.provide(rooms);
  app.websocket<"/room">([](WebSocket& socket, Rooms& room) -> Task<void> {
    const auto member = room.join("all", socket);
    while (co_await socket.receive()) {
    }
  });
  app.post<"/say">([](Query<Said> said, Rooms& room) { room.publish("all", std::move(said.text)); });
  return run(app, argc, argv);
}
