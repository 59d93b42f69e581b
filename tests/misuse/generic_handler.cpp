// A handler whose parameters have no types to read from.
// expect: generic_handler\.cpp:\d+.*: the handler is a generic lambda or no function; name the types of its parameters
// expect in C++26: route GET /hello/\{name\}: the handler is a generic lambda or no function
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Greeting {
  std::string text;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/hello/{name}">([](Path<"name"> name) { return Greeting{name}; });
#else
  app.get<"/hello/{name}">([](auto name) { return Greeting{name}; });
#endif
}
