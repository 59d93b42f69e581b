// A parameter that is a part of a segment.
// expect: "/articles/v\{id\}".*: this route's path is not well-formed
// expect in C++26: route GET /articles/v\{id\}: a parameter takes a whole segment: /\{name\}/
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
  int id;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/articles/{id}">([](Path<"id", int> id) { return Article{id}; });
#else
  app.get<"/articles/v{id}">([](Path<"id", int> id) { return Article{id}; });
#endif
}
