// A router asks for a scope, and no dependency looks at it.
// expect: current_user.*"orders:read".*: secured<function, "scope"> asks for scopes, but neither the function nor a dependency of its takes SecurityScopes
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
  Router<"/orders"> orders{{.dependencies = {secured<current_user, "orders:read">}}};
  app.include(std::move(orders));
}
