// What is made once a connection would keep the token of whoever came first, for all who come after.
// expect: &caller>.*, .*Credentials<.*"Bearer".*: a dependency that is made once a connection takes nothing of a request
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Caller {
  std::string name;
};
struct Names {
  std::string of_all;
};

#ifdef ASHLAR_FIXED
Caller caller(const Names& names) { return {names.of_all}; }
#else
Caller caller(Bearer bearer) { return {std::string(bearer.token)}; }
#endif
template <>
inline constexpr bool ashlar::kOncePerConnection<&caller> = true;

void add_routes(App& app) {
  app.get<"/me">([](Depends<caller> me) { return Caller{me->name}; });
}
