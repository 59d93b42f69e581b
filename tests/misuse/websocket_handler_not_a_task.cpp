// A WebSocket handler that cannot wait for messages.
// expect: "/chat".*, void>.*: a WebSocket handler is a Task<void>
// expect in C++26: route WebSocket /chat: its handler gives void; it is a Task<void>, which waits for messages
#include <ashlar/ashlar.hpp>

using namespace ashlar;

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.websocket<"/chat">([](WebSocket& socket) -> Task<void> { co_await socket.send("hello"); });
#else
  app.websocket<"/chat">([](WebSocket&) {});
#endif
}
