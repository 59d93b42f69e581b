// myapp: ./myapp serve, and see http://127.0.0.1:8000/docs
#include <ashlar/ashlar.hpp>

#include "routes.hpp"

using namespace ashlar;

int main(int argc, char** argv) {
  App app{{.title = "myapp", .version = "0.1.0"}};
  app.settings<myapp::Settings>("MYAPP", "myapp.toml");

  myapp::Greetings greetings;
  app.provide(greetings);

  myapp::add_routes(app);
  return run(app, argc, argv);
}
