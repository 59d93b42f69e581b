// A route asks for a scope, and no dependency looks at it.
// expect: "/orders".*current_user.*"orders:read".*: a handler takes Security<function, "scope">, but neither the function nor a dependency of its takes SecurityScopes
// expect in C++26: route GET /orders: takes .*Security<&current_user
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct User {
  std::string name;
};

#ifdef ASHLAR_FIXED
User current_user(Bearer bearer, SecurityScopes asked) {
  if (!asked.empty()) throw Forbidden("the token has no scopes");
  return {std::string(bearer.token)};
}
#else
User current_user(Bearer bearer) { return {std::string(bearer.token)}; }
#endif

void add_routes(App& app) {
  app.get<"/orders">([](Security<current_user, "orders:read"> me) { return User{me->name}; });
}
