#include "chat.hpp"

int main(int argc, char** argv) {
  ashlar::Rooms rooms;
  ashlar::App app{{.title = "Chat", .version = "1.0.0"}};
  app.provide(rooms);
  chat::add_routes(app);
  return run(app, argc, argv);
}
