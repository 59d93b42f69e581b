// What makes a resource takes another one by value.
// expect: "provide".*, Users>.*: hooks, commands and what makes resources take resources by reference
#include <memory>

#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Users {
  std::string of_all;
};
struct Mailer {
  std::string from;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.provide<Mailer>([](const Users& users) { return std::make_unique<Mailer>(users.of_all); });
#else
  app.provide<Mailer>([](Users users) { return std::make_unique<Mailer>(users.of_all); });
#endif
}
