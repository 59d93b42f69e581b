// A WebSocket handler that cannot wait for messages.
// expect: a WebSocket handler is a Task<void>
#include <ashlar/ashlar.hpp>

using namespace ashlar;

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.websocket<"/chat">([](WebSocket& socket) -> Task<void> { co_await socket.send("hello"); });
#else
  app.websocket<"/chat">([](WebSocket&) {});
#endif
}
