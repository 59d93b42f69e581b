// A parameter that says neither where it comes from nor how it is read.
// expect: "/articles".*, int>': a handler's parameter is of a type that cannot be read from a request; it may be a struct
// expect in C++26: route GET /articles: cannot read a parameter of type int
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Page {
  int limit = 20;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/articles">([](Query<Page> page) { return Page{page.limit}; });
#else
  app.get<"/articles">([](int limit) { return Page{limit}; });
#endif
}
