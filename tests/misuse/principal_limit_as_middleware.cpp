// A limit by user, before anybody has signed in.
// expect: middleware runs before anybody has signed in, and this asks who it is: it belongs into the options of routes
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct User {
  std::int64_t id;
};
User current_user(Bearer token);

void add_routes(App& app) {
  const PrincipalLimit limit{per<current_user, &User::id>, {.requests = 20}};
#ifdef ASHLAR_FIXED
  app.get<"/reports">([] { return Text{"…"}; }, {.principal_limits = {limit}});
#else
  app.use(limit);
#endif
}
