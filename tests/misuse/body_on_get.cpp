// A body on a request that has none.
// expect: "/articles".*, Filter>': a handler takes a body, but its method has none; read it with Query<T>, or use POST
// expect in C++26: route GET /articles: takes a body of type Filter, but a GET request has none
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Filter {
  std::string author;
};

struct Articles {
  std::vector<std::string> titles;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/articles">([](Query<Filter> filter) { return Articles{{filter.author}}; });
#else
  app.get<"/articles">([](Filter filter) { return Articles{{filter.author}}; });
#endif
}
