// A WebSocket in a route that is none.
// expect: a handler takes a WebSocket; add it with app.websocket<…>
// expect in C++26: route GET /chat: takes a WebSocket; add it with app.websocket<…>
#include <ashlar/ashlar.hpp>

using namespace ashlar;

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.websocket<"/chat">([](WebSocket& socket) -> Task<void> { co_await socket.send("hello"); });
#else
  app.get<"/chat">([](WebSocket& socket) -> Task<void> { co_await socket.send("hello"); });
#endif
}
