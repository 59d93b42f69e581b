// A dependency that reads a body, in a route that has none.
// expect: "/orders".*, Signed>': a handler takes a body, but its method has none; read it with Query<T>, or use POST
// expect in C++26: route GET /orders: takes a body of type Signed, but a GET request has none
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Signed {
  std::string signature;
};

Checked signature(Signed) { return {}; }

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.post<"/orders">([](Depends<signature>) { return Text{}; });
#else
  app.get<"/orders">([](Depends<signature>) { return Text{}; });
#endif
}
