// The code of docs/guide/dependencies.md about scopes.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <ashlar/ashlar.hpp>
#include <ashlar/testing/client.hpp>

using namespace ashlar;

namespace {

// sample: caller
struct Caller {
  std::string name;
  std::vector<std::string> scopes;
};
struct Tokens {
  Caller owner_of(std::string_view token) const {
    if (token == "of ann") return {"ann", {"orders:read", "orders:write"}};
    if (token == "of bob") return {"bob", {"orders:read"}};
    throw Unauthenticated("the token is not known");
  }
};
Caller current_user(Bearer bearer, SecurityScopes asked, const Tokens& tokens) {
  Caller caller = tokens.owner_of(bearer.token);
  for (const std::string& scope : asked) {
    if (!std::ranges::count(caller.scopes, scope)) throw Forbidden("this needs the scope " + scope);
  }
  return caller;
}
// end of sample

TEST(Guide, ScopesAreAskedForByTheRouteAndCheckedByTheDependency) {
  App app;
  Tokens tokens;
  app.provide(tokens);
  // sample: routes
  Router<"/orders"> orders{{.dependencies = {secured<current_user, "orders:read">}}};
  orders.get<"/">([](Depends<current_user> me) { return Text{"orders of " + me->name}; });
  orders.post<"/">([](Security<current_user, "orders:write"> me) { return Text{"an order of " + me->name}; });
  app.include(std::move(orders));
  // end of sample
  // sample: scheme
  app.security_scheme(
      "Bearer", {.bearer_format = "JWT",
                 .password = OAuthFlow{.token_url = "/token",
                                       .scopes = {{"orders:read", "See orders"}, {"orders:write", "Make orders"}}}});
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/orders").bearer("of bob").send().body, "orders of bob");
  EXPECT_EQ(client.post("/orders").bearer("of ann").send().body, "an order of ann");
  EXPECT_EQ(client.post("/orders").bearer("of bob").send().status, 403);
  EXPECT_EQ(client.get("/orders").bearer("of eve").send().status, 401);
}

}  // namespace
