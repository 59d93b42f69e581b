// A handler for several methods takes a body, which one of them does not have.
// expect: "/orders".*: a handler takes a body, but its method has none
// expect in C++26: route GET /orders: takes a body of type Order, but a GET request has none
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Order {
  std::string item;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.add<Methods{http::Method::put, http::Method::post}, "/orders">([](Order order) { return order; });
#else
  app.add<Methods{http::Method::get, http::Method::post}, "/orders">([](Order order) { return order; });
#endif
}
