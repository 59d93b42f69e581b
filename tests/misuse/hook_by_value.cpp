// A start hook that takes what is no resource.
// expect: "on_start".*, Mailer>.*: hooks, commands and what makes resources take resources by reference
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Mailer {
  std::string from;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.on_start([](Mailer& mailer) { mailer.from = "service@example.com"; });
#else
  app.on_start([](Mailer mailer) { mailer.from = "service@example.com"; });
#endif
}
