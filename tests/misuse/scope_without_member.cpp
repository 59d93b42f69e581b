// Whose a request is, told by a struct.
// expect: per<function>: its result does not tell who it is; name the member that does
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct User {
  std::int64_t id;
};
User current_user(Bearer token);

void add_routes(App& app, const ResponseCache& pages) {
#ifdef ASHLAR_FIXED
  app.get<"/me">([] { return Text{"…"}; }, {.cache = pages.keep(per<current_user, &User::id>)});
#else
  app.get<"/me">([] { return Text{"…"}; }, {.cache = pages.keep(per<current_user>)});
#endif
}
