// Two parameters of one name: which is it?
// expect: "/users/\{id\}/articles/\{id\}".*: this route's path is not well-formed
// expect in C++26: route GET /users/\{id\}/articles/\{id\}: two parameters have one name; rename one
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
  int id;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/users/{user}/articles/{id}">([](Path<"user", int>, Path<"id", int> id) { return Article{id}; });
#else
  app.get<"/users/{id}/articles/{id}">([](Path<"id", int> id) { return Article{id}; });
#endif
}
