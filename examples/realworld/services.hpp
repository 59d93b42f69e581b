// The rules of the service: what may happen, and what is refused. Knows nothing of HTTP but the status of a refusal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ashlar/app/responses.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/auth/jwt.hpp>
#include <ashlar/auth/password.hpp>
#include <ashlar/pg/db.hpp>

#include "models.hpp"

namespace conduit {

// What a token says about its bearer.
struct Session {
  UserId user;
};

/// To be thrown: the contract's `{"errors": {field: [message]}}`.
[[nodiscard]] Problem refusal(int status, std::string field, std::string message);

class Users {
 public:
  Users(pg::Db& db, auth::Passwords& passwords, const auth::Tokens& tokens)
      : db_(db), passwords_(passwords), tokens_(tokens) {}

  Task<UserResponse> sign_up(NewUser in);
  Task<UserResponse> log_in(LoginUser in);
  Task<UserResponse> get(UserId me);
  Task<UserResponse> update(UserId me, UpdateUser in);

  Task<ProfileResponse> profile(Viewer viewer, std::string username);
  Task<ProfileResponse> follow(UserId me, std::string username);
  Task<ProfileResponse> unfollow(UserId me, std::string username);

 private:
  [[nodiscard]] UserResponse with_token(Account account) const;

  pg::Db& db_;
  auth::Passwords& passwords_;
  const auth::Tokens& tokens_;
};

class Articles {
 public:
  explicit Articles(pg::Db& db) : db_(db) {}

  Task<MultipleArticlesResponse> list(Viewer viewer, ArticleFilter filter);
  Task<MultipleArticlesResponse> feed(UserId me, Page page);
  Task<TagsResponse> tags();

  Task<SingleArticleResponse> get(Viewer viewer, std::string slug);
  Task<SingleArticleResponse> create(UserId me, NewArticle in);
  Task<SingleArticleResponse> update(UserId me, std::string slug, UpdateArticle in);
  Task<void> remove(UserId me, std::string slug);
  Task<SingleArticleResponse> favorite(UserId me, std::string slug);
  Task<SingleArticleResponse> unfavorite(UserId me, std::string slug);

  Task<MultipleCommentsResponse> comments(Viewer viewer, std::string slug);
  Task<SingleCommentResponse> comment(UserId me, std::string slug, NewComment in);
  Task<void> remove_comment(UserId me, std::string slug, std::int64_t id);

 private:
  pg::Db& db_;
};

/// Adds a few users and articles unless they are there. Passwords are the user names, twice.
Task<void> seed(pg::Db& db, auth::Passwords& passwords);

}  // namespace conduit
