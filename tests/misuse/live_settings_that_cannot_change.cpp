// Settings of which some are marked as changing, loaded as settings that never change.
// expect: a setting of this struct is marked live\{\}, and these never change: load it by Live<S>
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Mail {
  Annotated<std::uint16_t, live{}> port = 25;
};
struct Settings {
  std::string name = "shop";
  Mail mail = {};
};

void load(App& app) {
#ifdef ASHLAR_FIXED
  static Live<Settings> settings{app, "SHOP"};
#else
  app.settings<Settings>("SHOP");
#endif
}
