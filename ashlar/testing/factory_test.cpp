#include <ashlar/testing/factory.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/schema.hpp>
#include <ashlar/testing/client.hpp>

namespace ashlar::testing {
namespace {

enum class Role { reader, writer, admin };
struct Place {
  Annotated<std::string, pattern{"^[A-Z][a-z]+$"}, max_length{12}> city;
  Annotated<std::string, pattern{"^[0-9]{5}$"}> code;
};
struct NewUser {
  Annotated<std::string, min_length{3}, max_length{12}> name;
  Email email;
  Annotated<int, ge{18}, le{120}> age;
  Role role;
  Place place;
  std::vector<Uuid> friends;
  std::optional<std::string> note;
};
struct Even {
  Annotated<int, ge{0}, le{9}, check{+[](int n) { return n % 2 == 0; }, "is odd"}> n;
};
struct Impossible {
  Annotated<int, check{+[](int) { return false; }, "never"}> n;
};

TEST(Factory, MakesValuesThatTheRulesTake) {
  for (const bool wild : {false, true}) {
    Factory<NewUser> users{{.seed = 3, .wild = wild}};
    for (const NewUser& user : users.make_many(200)) {
      EXPECT_NO_THROW((void)schema::parse_json<NewUser>(schema::to_json(user)));
      EXPECT_GE(user.age, 18);
      EXPECT_LE(user.age, 120);
    }
  }
}

TEST(Factory, MeetsRulesThatTheSchemaDoesNotShow) {
  Factory<Even> numbers;
  for (const Even& one : numbers.make_many(50)) EXPECT_EQ(one.n % 2, 0);
}

TEST(Factory, SaysWhatRefusesEveryValue) {
  Factory<Impossible> none;
  try {
    (void)none.make();
    FAIL();
  } catch (const Invalid& error) {
    EXPECT_NE(std::string(error.what()).find("never"), std::string::npos) << error.what();
  }
}

TEST(Factory, GivesTheSameForTheSameSeed) {
  const auto first = [](std::uint64_t seed) { return schema::to_json(Factory<NewUser>{{.seed = seed}}.make()); };
  EXPECT_EQ(first(4), first(4));
  EXPECT_NE(first(4), first(5));
}

TEST(Factory, CountsInSequencesAndTakesOverrides) {
  Factory<NewUser> users;
  users.sequence(&NewUser::name, [](std::size_t n) { return "user" + std::to_string(n); }).sequence(&NewUser::age, 30);
  EXPECT_EQ(users.make().name, "user1");
  const NewUser second = users.make([](NewUser& user) { user.role = Role::writer; });
  EXPECT_EQ(second.name, "user2");
  EXPECT_EQ(second.age, 30);
  EXPECT_EQ(second.role, Role::writer);
}

TEST(Factory, HasTraits) {
  Factory<NewUser> users;
  users.trait("admin", [](NewUser& user) { user.role = Role::admin; });
  users.trait("old", [](NewUser& user) { user.age = 99; });
  const NewUser user = users.make({"admin", "old"}, [](NewUser& one) { one.name = "root"; });
  EXPECT_EQ(user.role, Role::admin);
  EXPECT_EQ(user.age, 99);
  EXPECT_EQ(user.name, "root");
  EXPECT_THROW((void)users.make({"young"}), NotFound);
}

TEST(Factory, TakesMembersFromOtherFactories) {
  Factory<Place> places;
  places.sequence(&Place::city, std::string("Bonn"));
  Factory<NewUser> users;
  users.sub(&NewUser::place, places);
  EXPECT_EQ(users.make().place.city, "Bonn");
}

TEST(Factory, GivesInvalidNeighboursThatAServiceRefuses) {
  App app;
  app.post<"/users">([](NewUser in) { return in; });
  Client client{app};
  Factory<NewUser> users;
  std::set<std::string> reasons;
  for (const auto& [json, why] : users.invalid_neighbours()) {
    EXPECT_EQ(client.post("/users").json(json).send().status, 422) << why << "\n" << json;
    reasons.insert(why);
  }
  for (const char* reason :
       {"name: shorter than 3", "name: longer than 12", "age: below 18", "age: above 120", "role: none of its values",
        "email: no email", "email is missing", "place.code: does not match ^[0-9]{5}$", "note: a number"}) {
    EXPECT_TRUE(reasons.contains(reason)) << reason;
  }
  EXPECT_EQ(client.post("/users").json(users.make()).send().status, 200);
}

}  // namespace
}  // namespace ashlar::testing
