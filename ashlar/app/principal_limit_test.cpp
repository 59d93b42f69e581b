#include <ashlar/app/principal_limit.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar {
namespace {

using namespace std::chrono_literals;
using testing::Answer;
using testing::Client;

struct User {
  std::int64_t id = 0;
  std::string team;
  [[nodiscard]] Uuid tenant() const { return Uuid{{static_cast<std::uint8_t>(team.size())}}; }
};

int g_asked = 0;
Task<User> current_user(Bearer token) {
  ++g_asked;
  if (token.token == "stranger") throw Unauthenticated("who are you?");
  co_return User{std::stoll(std::string(token.token)), "team" + std::string(token.token.substr(0, 1))};
}
std::string team_of(Depends<current_user> user) { return user->team; }

TEST(PrincipalLimit, CountsEachUserForHimself) {
  App app;
  app.get<"/reports">([](Depends<current_user> user) { return Text{std::to_string(user->id)}; },
                      {.principal_limits = {PrincipalLimit{per<current_user, &User::id>, {.requests = 1}}}});
  Client client{app};
  EXPECT_EQ(client.get("/reports").bearer("1").send().body, "1");
  EXPECT_EQ(client.get("/reports").bearer("2").send().body, "2");
  const Answer refused = client.get("/reports").bearer("1");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(refused.header("Retry-After"), "60");
  EXPECT_EQ(refused.header("RateLimit"), R"("default";r=0;t=60)");
}

TEST(PrincipalLimit, AsksWhoItIsOnceARequest) {
  App app;
  app.depends_on(depends<current_user>);
  const PrincipalLimit limit{per<team_of>};
  app.get<"/">([](Depends<current_user>, Depends<team_of> team) { return Text{*team}; },
               {.principal_limits = {limit, PrincipalLimit{per<current_user, &User::tenant>, {.name = "tenants"}}}});
  Client client{app};
  g_asked = 0;
  EXPECT_EQ(client.get("/").bearer("1").send().body, "team1");
  EXPECT_EQ(g_asked, 1);
}

TEST(PrincipalLimit, DoesNotCountWhoIsRefusedBefore) {
  App app;
  app.get<"/">([] { return Text{"hello"}; },
               {.principal_limits = {PrincipalLimit{per<current_user, &User::id>, {.requests = 1}}}});
  Client client{app};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.get("/").bearer("stranger").send().status, 401);
  EXPECT_EQ(client.get("/").bearer("1").send().status, 200);
}

TEST(PrincipalLimit, IsSharedByTheRoutesThatNameIt) {
  App app;
  const PrincipalLimit limit{per<team_of>, {.requests = 1}};
  app.get<"/a">([] { return Text{"a"}; }, {.principal_limits = {limit}});
  app.get<"/b">([] { return Text{"b"}; }, {.principal_limits = {limit}});
  Client client{app};
  EXPECT_EQ(client.get("/a").bearer("1").send().status, 200);
  EXPECT_EQ(client.get("/b").bearer("11").send().status, 429);  // of the same team
}

TEST(PrincipalLimit, IsInOpenApiWithTheCredentialsThatItTakes) {
  App app;
  app.get<"/">([] { return Text{"hello"}; }, {.principal_limits = {PrincipalLimit{per<current_user, &User::id>}}});
  Client client{app};
  const std::string document = app.openapi();
  EXPECT_NE(document.find("\"429\""), std::string::npos);
  EXPECT_NE(document.find("\"Bearer\""), std::string::npos);
}

TEST(PrincipalLimit, OfAnyoneOrOfNothingIsRefused) {
  EXPECT_THROW(PrincipalLimit{anyone}, Invalid);
  EXPECT_THROW(PrincipalLimit(per<team_of>, {.requests = 0}), Invalid);
}

}  // namespace
}  // namespace ashlar
