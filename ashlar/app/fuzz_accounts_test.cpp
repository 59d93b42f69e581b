// fuzz() signs up and logs in by what the service's document says, and finds what is wrong behind that.
#include <ashlar/app/fuzz.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/test_fuzz.hpp>
#include <ashlar/app/response_parts.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar {
namespace {

using test::found;
using test::report_of;
using ::testing::HasSubstr;
using Names = std::set<std::string>;

struct NewAccount {
  Annotated<std::string, min_length{3}, max_length{30}> name;
  Annotated<std::string, min_length{8}, max_length{60}> password;
  std::optional<std::string> city;
};
struct Account {
  std::int64_t id;
  std::string name;
};
struct Login {
  std::string name, password;
};
struct LoginRequest {
  Login login;
};
struct Tokens {
  std::string access_token, refresh_token;
};
struct NewNote {
  Annotated<std::string, min_length{1}, max_length{30}> text;
};
struct Note {
  std::int64_t id, owner;
  std::string text;
};

// A service with accounts, and the bugs that only who is logged in can see.
class Service {
 public:
  bool fails_for_who_may_log_in = false, fails_when_logged_in = false, tells_others_off = false;

  Service() {
    app.provide(*this);
    app.post<"/accounts">(
        [](NewAccount in, Service& own) -> Created<Account> {
          for (const auto& [id, known] : own.accounts_) {
            if (known.name == in.name) throw Conflict("is taken");
          }
          own.accounts_[++own.last_] = {in.name, in.password};
          return {Account{own.last_, in.name}};
        },
        {.errors = {409}});
    app.post<"/login">(
        [](LoginRequest in, Service& own) -> Tokens {
          for (const auto& [id, known] : own.accounts_) {
            if (known.name != in.login.name || known.password != in.login.password) continue;
            if (own.fails_for_who_may_log_in) throw Internal("no keys");
            return {"t" + std::to_string(id), "r"};
          }
          throw Unauthenticated("who are you?");
        },
        {.errors = {401}});
    app.get<"/me">([](Depends<current> me, Service& own) {
      if (own.fails_when_logged_in) throw Internal("no such column");
      return *me;
    });
    app.post<"/notes">([](Depends<current> me, NewNote in, Service& own) -> Created<Note> {
      if (own.notes_.size() > 1000) own.notes_.clear();
      const Note note{++own.last_, me->id, in.text};
      own.notes_[note.id] = note;
      return {note};
    });
    app.get<"/notes/{id}">(
        [](Depends<current> me, Path<"id", std::int64_t> id, Service& own) -> Note {
          const auto at = own.notes_.find(id);
          if (at == own.notes_.end()) throw NotFound("no such note");
          if (at->second.owner != me->id && own.tells_others_off) throw Forbidden("not yours");
          if (at->second.owner != me->id) throw NotFound("no such note");
          return at->second;
        },
        {.errors = {404}});
  }
  // Only where it is asked for: it makes all credentials stale.
  void let_accounts_be_deleted() {
    app.del<"/me">([](Depends<current> me, Service& own) {
      own.accounts_.erase(me->id);
      return NoContent{};
    });
  }

  App app;

 private:
  static Account current(Bearer bearer, Service& own) {
    for (const auto& [id, known] : own.accounts_) {
      if (bearer.token == "t" + std::to_string(id)) return {id, known.name};
    }
    throw Unauthenticated("no such token");
  }

  struct Known {
    std::string name, password;
  };
  std::map<std::int64_t, Known> accounts_;
  std::map<std::int64_t, Note> notes_;
  std::int64_t last_ = 0;
};

std::size_t successes(const FuzzReport& report, std::string_view operation) {
  for (const auto& one : report.operations) {
    if (one.operation == operation) return one.successes;
  }
  return 0;
}

TEST(FuzzAccounts, LogInWithWhatTheySignedUpWith) {
  Service service;
  const FuzzReport report = report_of(service.app);
  for (const auto& one : report.findings) ADD_FAILURE() << one.check << " " << one.message << "\n" << one.curl;
  for (const auto& one : report.operations) EXPECT_GT(one.successes, 10U) << one.operation;
  EXPECT_EQ(report.operations.size(), 5U);
  EXPECT_THAT(report.notes, ::testing::ElementsAre(
                                "POST /login (after POST /accounts) gives the credentials of requests that want them"));
}

TEST(FuzzAccounts, FindAFailureBehindTheLogIn) {
  Service service;
  service.fails_when_logged_in = true;
  const FuzzReport report = report_of(service.app);
  EXPECT_EQ(found(report), Names{"server-error GET /me"});
  const std::string& curl = report.findings.at(0).curl;
  EXPECT_THAT(curl, HasSubstr("# $AUTH: \"Bearer \" and .access_token in the answer to the last of\n"
                              "#   curl -i -X POST 'http://127.0.0.1:8000/accounts' "));
  EXPECT_THAT(curl, HasSubstr("#   curl -i -X POST 'http://127.0.0.1:8000/login' "));
  EXPECT_THAT(curl, ::testing::EndsWith("curl -i 'http://127.0.0.1:8000/me' -H \"Authorization: $AUTH\""));
  EXPECT_THAT(curl, ::testing::Not(HasSubstr("Bearer t"))) << "what the service gave is not shown";
}

TEST(FuzzAccounts, FindALogInThatFailsForWhoSignedUp) {
  Service service;
  service.fails_for_who_may_log_in = true;
  const FuzzReport report = report_of(service.app);
  EXPECT_EQ(found(report), Names{"server-error POST /login"});
  const std::string& curl = report.findings.at(0).curl;
  const auto first = curl.find("{\"name\":"), second = curl.find("{\"login\":{\"name\":");
  ASSERT_NE(first, std::string::npos) << curl;
  ASSERT_NE(second, std::string::npos) << curl;
  const auto name = curl.substr(first + 8, curl.find(',', first) - first - 8);
  EXPECT_THAT(curl.substr(second), ::testing::StartsWith("{\"login\":{\"name\":" + name + ","))
      << "the simplest pair still has one name in both";
}

TEST(FuzzAccounts, MeetWhatOthersHaveMade) {
  Service service;
  service.tells_others_off = true;
  const FuzzReport report = report_of(service.app, {.cases = 600});
  EXPECT_EQ(found(report), Names{"undocumented-status GET /notes/{id}"});
  EXPECT_THAT(report.findings.at(0).message, HasSubstr("403 is not among the documented answers"));
  EXPECT_THAT(report.findings.at(0).curl, HasSubstr("$AUTH2"));
}

TEST(FuzzAccounts, AreMadeAgainWhenTheyAreGone) {
  Service service;
  service.let_accounts_be_deleted();
  const FuzzReport report = report_of(service.app, {.cases = 200});
  EXPECT_EQ(found(report), Names{});
  EXPECT_GT(successes(report, "DELETE /me"), 5U);
}

TEST(FuzzAccounts, AreNotMadeByWhatIsExcluded) {
  Service service;
  const FuzzReport report = report_of(service.app, {.cases = 100, .exclude = {"POST /login"}});
  EXPECT_EQ(successes(report, "GET /me"), 0U);
  EXPECT_THAT(report.notes,
              ::testing::ElementsAre("3 of 4 operations want credentials: with --auth they are tried further"));
}

TEST(FuzzAccounts, AreNotMadeWhereCredentialsAreGiven) {
  Service service;
  const FuzzReport report = report_of(service.app, {.cases = 100, .authorization = "Bearer nobody"});
  EXPECT_EQ(successes(report, "GET /me"), 0U);
}

// ---- credentials of other kinds

struct KeyOfApi {
  std::string api_key;
};

TEST(FuzzAccounts, HaveAKeyThatTheServiceGave) {
  App app;
  app.post<"/keys">([](NewAccount) { return KeyOfApi{"k1"}; });
  app.get<"/data">([](ApiKey<In::header, "X-API-Key"> key) -> NoContent {
    if (key.value != "k1") throw Unauthenticated("no such key");
    throw Internal("broken");
  });
  const FuzzReport report = report_of(app, {.cases = 60});
  EXPECT_EQ(found(report), Names{"server-error GET /data"});
  EXPECT_THAT(report.findings.at(0).curl, HasSubstr("-H \"X-API-Key: $AUTH\""));
}

TEST(FuzzAccounts, HaveACookieThatTheServiceSet) {
  App app;
  app.post<"/session">([](NewAccount) -> With<NoContent, SetCookie<"sid">> { return {NoContent{}, {"s1"}}; });
  app.get<"/data">([](ApiKey<In::cookie, "sid"> key) -> NoContent {
    if (key.value != "s1") throw Unauthenticated("no such session");
    throw Internal("broken");
  });
  const FuzzReport report = report_of(app, {.cases = 60});
  EXPECT_EQ(found(report), Names{"server-error GET /data"});
  EXPECT_THAT(report.findings.at(0).curl, HasSubstr("# $AUTH: the cookie sid in the answer to the last of\n"));
  EXPECT_THAT(report.findings.at(0).curl, HasSubstr("-H \"Cookie: sid=$AUTH\""));
}

TEST(FuzzAccounts, TakeNoOtherTokenForCredentials) {
  struct Pages {
    std::string next_page_token, csrf_token;
  };
  App app;
  app.post<"/search">([](NewNote) { return Pages{"a", "b"}; });
  app.get<"/me">([](Bearer) -> NoContent { throw Unauthenticated("no such token"); });
  const FuzzReport report = report_of(app, {.cases = 60});
  EXPECT_EQ(found(report), Names{});
  EXPECT_THAT(report.notes,
              ::testing::ElementsAre("1 of 2 operations want credentials: with --auth they are tried further"));
}

}  // namespace
}  // namespace ashlar
