// A limit that asks before authentication, by who has signed in.
// expect: a RateLimit asks before anybody has signed in, so per<…> is not known yet; use PrincipalLimit
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct User {
  std::int64_t id;
};
User current_user(Bearer token);

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.use(RateLimit{{.requests = 20, .key = by_peer()}});
#else
  app.use(RateLimit{{.requests = 20, .key = per<current_user, &User::id>}});
#endif
}
