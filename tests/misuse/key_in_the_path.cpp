// A key where everybody sees it.
// expect: "/orders".*ApiKey<.*"key".*: a handler takes a key in the path, where every log has it; a key is sent in a header
// expect in C++26: route GET /orders: takes .*ApiKey<.*"key".*, but a key is sent in a header, a cookie or the query
#include <ashlar/ashlar.hpp>

using namespace ashlar;

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/orders">([](ApiKey<In::header, "key">) { return Text{}; });
#else
  app.get<"/orders">([](ApiKey<In::path, "key">) { return Text{}; });
#endif
}
