// What the tests of the service share: the service itself on a database of the test's own, and short words for its
// requests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/auth/jwt.hpp>
#include <ashlar/auth/password.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/sandbox.hpp>

#include "routes.hpp"
#include "services.hpp"

namespace conduit {

using ::testing::ElementsAre;
using Answer = ashlar::testing::Answer;
using Request = ashlar::testing::Request;

class Conduit : public ::testing::Test {
 protected:
  Conduit() {
    app.provide(db).provide(passwords).provide(tokens);
    add_conduit(app);
    client.emplace(app);
  }

  // Requests, as somebody when a token is given.
  Request as(const std::string& token, Request request) {
    if (!token.empty()) request.header("Authorization", "Token " + token);
    return request;
  }
  Answer get(const std::string& path, const std::string& token = {}) { return as(token, client->get("/api" + path)); }
  Answer del(const std::string& path, const std::string& token = {}) { return as(token, client->del("/api" + path)); }
  Answer post(const std::string& path, std::string_view json, const std::string& token = {}) {
    return as(token, client->post("/api" + path).json(json));
  }
  Answer act(const std::string& path, const std::string& token = {}) { return as(token, client->post("/api" + path)); }
  Answer put(const std::string& path, std::string_view json, const std::string& token = {}) {
    return as(token, client->put("/api" + path).json(json));
  }

  // Things that tests begin with.
  std::string sign_up(const std::string& name) {
    const Answer answer = post("/users", R"({"user":{"username":")" + name + R"(","email":")" + name +
                                             R"(@example.com","password":"12345678"}})");
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.json<UserResponse>().user.token;
  }
  Article publish(const std::string& token, const std::string& title, const std::string& tags = "[]") {
    const Answer answer =
        post("/articles",
             R"({"article":{"title":")" + title + R"(","description":"d","body":"b","tagList":)" + tags + "}}", token);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return article(answer);
  }
  std::int64_t comment(const std::string& token, const std::string& slug, const std::string& body) {
    const Answer answer = post("/articles/" + slug + "/comments", R"({"comment":{"body":")" + body + R"("}})", token);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.json<SingleCommentResponse>().comment.id;
  }

  static User user(const Answer& answer) { return answer.json<UserResponse>().user; }
  static Profile profile(const Answer& answer) { return answer.json<ProfileResponse>().profile; }
  static Article article(const Answer& answer) { return answer.json<SingleArticleResponse>().article; }
  static std::vector<std::string> titles(const Answer& answer) {
    std::vector<std::string> out;
    for (const auto& one : answer.json<MultipleArticlesResponse>().articles) out.push_back(one.title);
    return out;
  }
  static std::int64_t count(const Answer& answer) { return answer.json<MultipleArticlesResponse>().articles_count; }

  // "422 title: can't be blank; body: can't be blank", in the order of the fields' names.
  struct ErrorBody {
    std::map<std::string, std::vector<std::string>> errors;
  };
  static std::string failure(const Answer& answer) {
    std::string out = std::to_string(answer.status);
    const char* separator = " ";
    for (const auto& [field, messages] : answer.json<ErrorBody>().errors) {
      for (const auto& message : messages) out += separator + field + ": " + message;
      separator = "; ";
    }
    return out;
  }
  // Status and field, where the contract leaves the words open.
  static std::string refused(const Answer& answer) {
    const std::string all = failure(answer);
    return all.substr(0, all.find(':'));
  }

  ashlar::testing::Sandbox sandbox{CONDUIT_MIGRATIONS};
  ashlar::App app{{.title = "RealWorld Conduit API"}};
  ashlar::pg::Db db{sandbox.options()};
  ashlar::auth::Passwords passwords{ashlar::auth::PasswordOptions::cheap()};
  ashlar::auth::Tokens tokens{
      {.keys = {ashlar::auth::Key::generate(ashlar::auth::Algorithm::hs256)}, .issuer = "conduit"}};
  std::optional<ashlar::testing::Client> client;
};

}  // namespace conduit
