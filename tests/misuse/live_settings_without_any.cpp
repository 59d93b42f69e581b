// Settings that may change, of which none may.
// expect: no setting of this struct is marked live\{\}: mark those that may change, or use app.settings
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Settings {
#ifdef ASHLAR_FIXED
  Annotated<int, live{}> page_size = 20;
#else
  int page_size = 20;
#endif
};

void load(App& app) { static Live<Settings> settings{app, "SHOP"}; }
