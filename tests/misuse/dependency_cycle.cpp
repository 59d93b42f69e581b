// Two dependencies that need each other. A dependency is named in the signature of the function that needs it, so one
// of the two must come first, and that one cannot name the other.
// expect: use of undeclared identifier 'current_session'
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct User {
  std::string name;
};

struct Session {
  std::string id;
};

#ifdef ASHLAR_FIXED
Session current_session(Bearer token) { return {std::string{token.token}}; }
User current_user(Depends<current_session> session) { return {session->id}; }
#else
User current_user(Depends<current_session> session) { return {session->id}; }
Session current_session(Depends<current_user> user) { return {user->name}; }
#endif

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/me">([](Depends<current_user> user) { return *user; });
#endif
}
