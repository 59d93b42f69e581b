// A query parameter without a name.
// expect: "/articles".*Query<int>>': a handler's parameter is of a type that cannot be read .* Query<T>, .* of a struct \(each member one parameter\)
// expect in C++26: route GET /articles: cannot read a parameter of type .*Query<int>; .* of a struct \(each member one parameter\)
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Filter {
  int limit = 20;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/articles">([](Query<Filter> filter) { return Filter{filter.limit}; });
#else
  app.get<"/articles">([](Query<int>) { return Filter{}; });
#endif
}
