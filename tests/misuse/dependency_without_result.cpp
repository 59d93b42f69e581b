// A dependency that gives nothing.
// expect: a dependency returns something; one that only checks may return Checked
#include <ashlar/ashlar.hpp>

using namespace ashlar;

#ifdef ASHLAR_FIXED
Checked require_token(Bearer) { return {}; }
#else
void require_token(Bearer) {}
#endif

void add_routes(App& app) {
  app.get<"/orders">([](Depends<require_token>) { return Text{}; });
}
