// A dependency whose path parameter the route does not have.
// expect: "/articles/\{slug\}".*\{"id"\}.*: a handler takes Path<"name">, but its route has no \{name\}
// expect in C++26: route GET /articles/\{slug\}: takes Path<"id">, but the route has no \{id\}; it has \{slug\}
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
  std::string slug;
};

#ifdef ASHLAR_FIXED
Article article(Path<"slug"> slug) { return {slug}; }
#else
Article article(Path<"id"> slug) { return {slug}; }
#endif

void add_routes(App& app) {
  app.get<"/articles/{slug}">([](Depends<article> found) { return Article{found->slug}; });
}
