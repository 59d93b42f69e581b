#include "arena.hpp"

int main(int argc, char** argv) {
  ashlar::App app{{.title = "Arena"}};
  arena::add_routes(app, app.settings<arena::Settings>("ARENA"));
  return run(app, argc, argv);
}
