// A path parameter that the route does not have.
// expect: FixedString<17>\{"/articles/\{slug\}"\}, .*\{"id"\}.*: a handler takes Path<"name">, but its route has no \{name\}
// expect in C++26: route GET /articles/\{slug\}: takes Path<"id">, but the route has no \{id\}; it has \{slug\}
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
  std::string slug;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/articles/{slug}">([](Path<"slug"> slug) { return Article{slug}; });
#else
  app.get<"/articles/{slug}">([](Path<"id"> slug) { return Article{slug}; });
#endif
}
