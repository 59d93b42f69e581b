// A path parameter that the route does not have.
// expect: route GET /articles/\{slug\}: takes Path<"id">, but the route has no \{id\}
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
