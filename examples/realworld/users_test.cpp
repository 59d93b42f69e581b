#include <ashlar/base/secret.hpp>

#include "realworld_test.hpp"

namespace conduit {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// ---- POST /users
// -----------------------------------------------------------------------------------------------------

TEST_F(Conduit, RegistersAUserWhoIsLoggedInFromThenOn) {
  const Answer answer =
      post("/users", R"({"user":{"username":"jake","email":"jake@jake.jake","password":"jakejake"}})");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.header("Content-Type"), "application/json; charset=utf-8");
  EXPECT_THAT(answer.body, MatchesRegex(R"(\{"user":\{"email":"jake@jake.jake","token":"[^"]+","username":"jake",)"
                                        R"("bio":null,"image":null\}\})"));
  EXPECT_EQ(user(get("/user", user(answer).token)).username, "jake");
}

TEST_F(Conduit, RefusesARegistrationWithBlankFieldsAllAtOnce) {
  const std::string all = "422 email: can't be blank; password: can't be blank; username: can't be blank";
  EXPECT_EQ(failure(post("/users", R"({"user":{"username":"","email":"","password":""}})")), all);
  EXPECT_EQ(failure(post("/users", R"({"user":{"username":null,"email":null,"password":null}})")), all);
  EXPECT_EQ(failure(post("/users", R"({"user":{}})")), all);
  EXPECT_EQ(failure(post("/users", R"({"user":{"username":" \n","email":"a@b.c","password":"12345678"}})")),
            "422 username: can't be blank");
  EXPECT_EQ(failure(post("/users", "{}")), "422 user: can't be blank");
}

TEST_F(Conduit, TakesPasswordsFromEightCharactersToLongOnesOfAnyComposition) {
  const auto with = [&](const std::string& name, const std::string& password) {
    return post("/users", R"({"user":{"username":")" + name + R"(","email":")" + name + R"(@b.c","password":")" +
                              password + R"("}})");
  };
  EXPECT_EQ(refused(with("short", "1234567")), "422 password");
  EXPECT_EQ(with("eight", "12345678").status, 201);
  EXPECT_EQ(with("spaces", "        ").status, 201);
  EXPECT_EQ(with("long", std::string(64, 'x')).status, 201);
  EXPECT_EQ(with("umlauts", "äöüäöüäö").status, 201);
  EXPECT_EQ(refused(with("endless", std::string(5000, 'x'))), "422 password");
}

TEST_F(Conduit, SaysWhichNameIsTaken) {
  sign_up("jake");
  EXPECT_EQ(
      failure(post("/users", R"({"user":{"username":"other","email":"jake@example.com","password":"12345678"}})")),
      "409 email: has already been taken");
  EXPECT_EQ(
      failure(post("/users", R"({"user":{"username":"other","email":"JAKE@example.com","password":"12345678"}})")),
      "409 email: has already been taken");
  EXPECT_EQ(
      failure(post("/users", R"({"user":{"username":"jake","email":"other@example.com","password":"12345678"}})")),
      "409 username: has already been taken");
}

TEST_F(Conduit, LetsOneOfTwoRegistrationsWinThatComeAtOnce) {
  std::vector<Request> both;
  for (const char* name : {"one", "two"}) {
    both.push_back(client->post("/api/users")
                       .json(R"({"user":{"username":")" + std::string(name) +
                             R"(","email":"same@example.com","password":"12345678"}})"));
  }
  const auto answers = client->send_all(std::move(both));
  const Answer& loser = answers[0].status == 201 ? answers[1] : answers[0];
  EXPECT_EQ(answers[0].status + answers[1].status, 201 + 409);
  EXPECT_EQ(failure(loser), "409 email: has already been taken");
}

// ---- POST /users/login
// -----------------------------------------------------------------------------------------------

TEST_F(Conduit, LogsInWithTheRightPassword) {
  sign_up("jake");
  const Answer answer = post("/users/login", R"({"user":{"email":"jake@example.com","password":"12345678"}})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(user(get("/user", user(answer).token)).email, "jake@example.com");
  EXPECT_EQ(post("/users/login", R"({"user":{"email":"Jake@Example.com","password":"12345678"}})").status, 200);
}

TEST_F(Conduit, DoesNotSayWhetherTheAddressOrThePasswordIsWrong) {
  sign_up("jake");
  EXPECT_EQ(failure(post("/users/login", R"({"user":{"email":"jake@example.com","password":"wrong"}})")),
            "401 credentials: invalid");
  EXPECT_EQ(failure(post("/users/login", R"({"user":{"email":"who@example.com","password":"12345678"}})")),
            "401 credentials: invalid");
  EXPECT_EQ(failure(post("/users/login", R"({"user":{"email":"","password":""}})")),
            "422 email: can't be blank; password: can't be blank");
}

// ---- tokens
// ----------------------------------------------------------------------------------------------------------

TEST_F(Conduit, TellsAMissingTokenFromABadOne) {
  EXPECT_EQ(failure(get("/user")), "401 token: is missing");
  EXPECT_EQ(failure(client->get("/api/user").header("Authorization", "Bearer abc")), "401 token: is missing");
  EXPECT_EQ(failure(get("/user", "abc")), "401 token: is invalid");
  const auto expired = tokens.issue(Session{1}, std::chrono::hours(-1));
  EXPECT_EQ(failure(get("/user", expired)), "401 token: is invalid");
  const auto forged =
      ashlar::auth::Tokens{{.keys = {ashlar::auth::Key::generate(ashlar::auth::Algorithm::hs256)}, .issuer = "conduit"}}
          .issue(Session{1});
  EXPECT_EQ(failure(get("/user", forged)), "401 token: is invalid");
}

TEST_F(Conduit, ReadsABadTokenAsAnErrorEvenWhereNoneIsNeeded) {
  EXPECT_EQ(failure(get("/articles", "abc")), "401 token: is invalid");
  EXPECT_EQ(failure(get("/profiles/jake", "abc")), "401 token: is invalid");
}

TEST_F(Conduit, AsksForATokenBeforeAnythingElse) {
  for (const char* path : {"/profiles/none/follow", "/articles/none/favorite"}) {
    EXPECT_EQ(failure(act(path)), "401 token: is missing") << path;
    EXPECT_EQ(failure(del(path)), "401 token: is missing") << path;
  }
  EXPECT_EQ(failure(put("/user", "no json")), "401 token: is missing");
  EXPECT_EQ(failure(post("/articles", "{}")), "401 token: is missing");
  EXPECT_EQ(failure(put("/articles/none", "{}")), "401 token: is missing");
  EXPECT_EQ(failure(del("/articles/none")), "401 token: is missing");
  EXPECT_EQ(failure(get("/articles/feed?limit=x")), "401 token: is missing");
  EXPECT_EQ(failure(post("/articles/none/comments", "{}")), "401 token: is missing");
  EXPECT_EQ(failure(del("/articles/none/comments/x")), "401 token: is missing");
}

TEST_F(Conduit, RefusesTheTokenOfAUserWhoIsGone) {
  const auto ghost = tokens.issue(Session{4711});
  const auto slug = publish(sign_up("jake"), "Title").slug;
  EXPECT_EQ(failure(get("/user", ghost)), "401 token: is invalid");
  EXPECT_EQ(failure(put("/user", R"({"user":{"bio":"x"}})", ghost)), "401 token: is invalid");
  EXPECT_EQ(failure(post("/articles", R"({"article":{"title":"t","description":"d","body":"b"}})", ghost)),
            "401 token: is invalid");
  EXPECT_EQ(failure(act("/articles/" + slug + "/favorite", ghost)), "401 token: is invalid");
  EXPECT_EQ(failure(act("/profiles/jake/follow", ghost)), "401 token: is invalid");
}

// ---- PUT /user
// -------------------------------------------------------------------------------------------------------

TEST_F(Conduit, UpdatesWhatIsGivenAndKeepsTheRest) {
  const auto token = sign_up("jake");
  Answer answer = put("/user", R"({"user":{"bio":"I like dragons","image":"https://i.example/j.png"}})", token);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(user(answer).bio, "I like dragons");
  answer =
      put("/user", R"({"user":{"username":"jacob","email":"jacob@example.com","password":"new password"}})", token);
  EXPECT_EQ(user(answer).username, "jacob");
  EXPECT_EQ(user(answer).email, "jacob@example.com");
  EXPECT_EQ(user(answer).bio, "I like dragons");
  EXPECT_EQ(user(answer).image, "https://i.example/j.png");
  EXPECT_EQ(user(get("/user", user(answer).token)).username, "jacob") << "the new token is valid";
  EXPECT_EQ(post("/users/login", R"({"user":{"email":"jacob@example.com","password":"new password"}})").status, 200);
  EXPECT_EQ(post("/users/login", R"({"user":{"email":"jacob@example.com","password":"12345678"}})").status, 401);
}

TEST_F(Conduit, ClearsBioAndImageWithNullAndWithNothing) {
  const auto token = sign_up("jake");
  put("/user", R"({"user":{"bio":"b","image":"i"}})", token);
  EXPECT_THAT(put("/user", R"({"user":{"bio":null}})", token).body, HasSubstr(R"("bio":null,"image":"i")"));
  EXPECT_THAT(put("/user", R"({"user":{"image":""}})", token).body, HasSubstr(R"("bio":null,"image":null)"));
}

TEST_F(Conduit, RefusesToTakeAwayWhatAUserNeeds) {
  const auto token = sign_up("jake");
  const std::string all = "422 email: can't be blank; password: can't be blank; username: can't be blank";
  EXPECT_EQ(failure(put("/user", R"({"user":{"email":"","username":"","password":""}})", token)), all);
  EXPECT_EQ(failure(put("/user", R"({"user":{"email":null,"username":null,"password":null}})", token)), all);
  EXPECT_EQ(refused(put("/user", R"({"user":{"password":"1234567"}})", token)), "422 password");
  EXPECT_EQ(failure(put("/user", "{}", token)), "422 user: can't be blank");
}

TEST_F(Conduit, RefusesToRenameIntoSomebodyElse) {
  sign_up("anah");
  const auto token = sign_up("jake");
  EXPECT_EQ(failure(put("/user", R"({"user":{"email":"anah@example.com"}})", token)),
            "409 email: has already been taken");
  EXPECT_EQ(failure(put("/user", R"({"user":{"username":"anah"}})", token)), "409 username: has already been taken");
  EXPECT_EQ(put("/user", R"({"user":{"username":"jake","email":"jake@example.com"}})", token).status, 200);
}

// ---- profiles
// --------------------------------------------------------------------------------------------------------

TEST_F(Conduit, FollowsAndUnfollowsAnyNumberOfTimes) {
  const auto token = sign_up("jake");
  sign_up("anah");
  EXPECT_EQ(get("/profiles/anah").body, R"({"profile":{"username":"anah","bio":null,"image":null,"following":false}})");
  EXPECT_FALSE(profile(get("/profiles/anah", token)).following);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = act("/profiles/anah/follow", token);
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(profile(answer).following);
  }
  EXPECT_TRUE(profile(get("/profiles/anah", token)).following);
  EXPECT_FALSE(profile(get("/profiles/anah")).following);
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(profile(del("/profiles/anah/follow", token)).following);
  EXPECT_FALSE(profile(get("/profiles/anah", token)).following);
}

TEST_F(Conduit, KnowsNoProfileOfNobody) {
  const auto token = sign_up("jake");
  EXPECT_EQ(failure(get("/profiles/nobody")), "404 profile: not found");
  EXPECT_EQ(failure(act("/profiles/nobody/follow", token)), "404 profile: not found");
  EXPECT_EQ(failure(del("/profiles/nobody/follow", token)), "404 profile: not found");
}

TEST_F(Conduit, FindsProfilesByNamesThatNeedEncoding) {
  sign_up("jake o'neill/ü");
  EXPECT_EQ(profile(get("/profiles/jake%20o'neill%2F%C3%BC")).username, "jake o'neill/ü");
}

}  // namespace
}  // namespace conduit
