// A client that OpenAPI Generator made of RealWorld's document, used as a program of another team would: every call is
// typed, answers and errors alike, and is answered as the document says.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "ArticlesApi.h"
#include "HttpClientImpl.h"
#include "UserAndAuthenticationApi.h"

using namespace conduit::api;
using namespace conduit::model;

namespace {

[[noreturn]] void fail(int line, const std::string& what) {
  std::fprintf(stderr, "client.cpp:%d: %s\n", line, what.c_str());
  std::exit(1);
}

#define EXPECT(condition) \
  if (!(condition)) fail(__LINE__, "not so: " #condition)

// The body that the document gives an answer of this status.
template <class T, class Answer>
T body_of(const Answer& answer, unsigned status, int line) {
  const auto found = static_cast<unsigned>(answer.status);
  if (found != status) fail(line, "the status is " + std::to_string(found) + ", not " + std::to_string(status));
  const auto* body = std::get_if<std::shared_ptr<T>>(&answer.body);
  if (body == nullptr || *body == nullptr) fail(line, "the answer has another body");
  return **body;
}
#define BODY(type, answer, status) body_of<type>(answer, status, __LINE__)

using Errors = std::map<std::string, std::vector<std::string>>;

// What a refusal of this status says: the generated functions throw it, and its body is the model that the document
// names.
template <class Exception, class Call>
Errors errors_of(Call call, unsigned status, int line) {
  try {
    call();
  } catch (const Exception& refusal) {
    const auto found = static_cast<unsigned>(refusal.getStatus());
    if (found != status) fail(line, "the status is " + std::to_string(found) + ", not " + std::to_string(status));
    GenericErrorModel model;
    model.fromJsonString(refusal.getResponseBody());
    return model.getErrors();
  }
  fail(line, "it was not refused");
}
#define USER_ERRORS(call, status) errors_of<UserAndAuthenticationApiException>([&] { call; }, status, __LINE__)
#define ARTICLE_ERRORS(call, status) errors_of<ArticlesApiException>([&] { call; }, status, __LINE__)

class Users : public UserAndAuthenticationApi {
 public:
  using UserAndAuthenticationApi::UserAndAuthenticationApi;
  std::string token;

 private:
  void applyOperationSecurity(const std::string&, const std::vector<SecurityRequirementGroup>& requirements,
                              std::string&, std::map<std::string, std::string>& headers) override {
    if (!requirements.empty() && !token.empty()) headers["Authorization"] = "Token " + token;
  }
};

std::shared_ptr<NewUserRequest> registration(const std::string& name, const std::string& password) {
  NewUser user;
  user.setUsername(name);
  user.setEmail(name + "@example.org");
  user.setPassword(password);
  auto request = std::make_shared<NewUserRequest>();
  request->setUser(user);
  return request;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) fail(__LINE__, "usage: client HOST PORT");
  const auto connection = std::make_shared<HttpClientImpl>(arguments[1], arguments[2]);

  // A list: the service starts with a few articles.
  ArticlesApi articles(connection);
  const auto page = BODY(MultipleArticlesResponse, articles.getArticles({}, {}, {}, 1, {}), 200);
  EXPECT(page.getArticles().size() == 1);
  EXPECT(page.getArticlesCount() == 4);
  const auto found = BODY(MultipleArticlesResponse, articles.getArticles(std::string("masonry"), {}, {}, {}, {}), 200);
  EXPECT(found.getArticles().size() == 1);
  const ArticleSummary stones = found.getArticles()[0];
  EXPECT(stones.getTitle() == "Stones without mortar");
  EXPECT(stones.getTagList() == std::vector<std::string>{"masonry"});
  EXPECT(stones.getFavoritesCount() == 1);
  EXPECT(stones.getAuthor().getUsername() == "anah");
  EXPECT(!stones.getAuthor().getBio());
  EXPECT(ARTICLE_ERRORS(articles.getArticles({}, {}, {}, 1001, {}), 422).count("limit") == 1);

  // A creation, and who that is from then on.
  Users users(connection);
  EXPECT(USER_ERRORS(users.getCurrentUser(), 401).count("token") == 1);
  const User made = BODY(UserResponse, users.createUser(registration("ann", "chairs and tables")), 201).getUser();
  EXPECT(made.getUsername() == "ann");
  EXPECT(!made.getImage());
  users.token = made.getToken();
  EXPECT(BODY(UserResponse, users.getCurrentUser(), 200).getUser().getEmail() == "ann@example.org");

  // Refused ones.
  const Errors taken = USER_ERRORS(users.createUser(registration("ann", "chairs and tables")), 409);
  EXPECT((taken == Errors{{"username", {"has already been taken"}}}));
  EXPECT(USER_ERRORS(users.createUser(registration("bob", "short")), 422).count("password") == 1);

  std::puts("every call was typed, and answered as the document says");
}
