// A dependency that wants the WebSocket before there is one.
// expect: "/chat/\{name\}".*room, .*WebSocket &>.*: a dependency takes a WebSocket, but dependencies run before there is one
// expect in C++26: route GET /chat/\{name\}: the dependency room takes .*WebSocket &, but dependencies run before there is
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Room {
  std::string name;
};

#ifdef ASHLAR_FIXED
Room room(Path<"name"> name) { return {name}; }
#else
Room room(WebSocket&, Path<"name"> name) { return {name}; }
#endif

void add_routes(App& app) {
  app.websocket<"/chat/{name}">(
      [](WebSocket& socket, Depends<room> in) -> Task<void> { co_await socket.send("welcome to " + in->name); });
}
