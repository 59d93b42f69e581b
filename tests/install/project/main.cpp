#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Greeting {
  std::string text;
};

int main(int argc, char** argv) {
  App app{{.title = "Greetings", .version = "1.0.0"}};
  app.get<"/greetings/{name}">([](Path<"name"> name) { return Greeting{"Hello, " + name}; });
  return run(app, argc, argv);
}
