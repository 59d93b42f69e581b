// A router within a router, whose prefixes have a parameter of one name.
// expect: "/teams/\{id\}".*"/members/\{id\}".*: the prefix of a router and that of one within it make no path
#include <ashlar/ashlar.hpp>

using namespace ashlar;

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  Router<"/members/{member}"> members;
#else
  Router<"/members/{id}"> members;
#endif
  Router<"/teams/{id}"> teams;
  teams.include(std::move(members));
  app.include(std::move(teams));
}
