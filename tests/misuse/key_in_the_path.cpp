// A key where everybody sees it.
// expect: a key is sent in a header, a cookie or the query
#include <ashlar/ashlar.hpp>

using namespace ashlar;

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/orders">([](ApiKey<In::header, "key">) { return Text{}; });
#else
  app.get<"/orders">([](ApiKey<In::path, "key">) { return Text{}; });
#endif
}
