// What travels: the bodies of requests and answers, named as in the contract, and the rows that are not answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/base/time.hpp>
#include <ashlar/schema/schema.hpp>

namespace conduit {

using namespace ashlar;

// Everybody who is logged in is known by this number; who is not, by nothing.
using UserId = std::int64_t;
using Viewer = std::optional<UserId>;

inline constexpr SchemaOptions kCamelCase{.naming = Naming::camel_case};

// Constraints have names of their own where several structs share them.
using Text = Annotated<std::string, pattern{"\\S"}>;  // not blank
using Username = Annotated<std::string, pattern{"\\S"}, max_length{100}, example{"ada"}>;
using EmailText = Annotated<std::string, pattern{"\\S"}, max_length{254}, example{"ada@example.com"}>;
using NewPassword = Annotated<std::string, min_length{8}, max_length{1000}, format{"password"}>;
using Tag = Annotated<std::string, max_length{100}>;
template <class T>
using Change = Annotated<Patch<T>, not_null{}>;  // of an update: may be absent, is never null

// Users
struct LoginUser {
  EmailText email;
  Annotated<std::string, min_length{1}, format{"password"}> password;
};

struct NewUser {
  Username username;
  EmailText email;
  NewPassword password;
};

struct UpdateUser {
  Change<EmailText> email;
  Change<NewPassword> password;
  Change<Username> username;
  Patch<std::string> bio;  // null and "" clear
  Patch<std::string> image;
};

struct User {
  std::string email, token, username;
  std::optional<std::string> bio, image;
};

struct Profile {
  std::string username;
  std::optional<std::string> bio, image;
  bool following;
};

// Articles
struct Page {
  Annotated<std::int64_t, ge{1}, le{1000}> limit = 20;
  Annotated<std::int64_t, ge{0}> offset = 0;
};
struct ArticleFilter {
  std::optional<std::string> tag, author, favorited;
  Annotated<std::int64_t, ge{1}, le{1000}> limit = 20;
  Annotated<std::int64_t, ge{0}> offset = 0;
};

// sample: new-article
struct NewArticle {
  Text title, description, body;
  std::vector<Tag> tag_list = {};
  static constexpr SchemaOptions schema = kCamelCase;
};
// end of sample

struct UpdateArticle {
  Change<Text> title, description, body;
  Change<std::vector<Tag>> tag_list;
  static constexpr SchemaOptions schema = kCamelCase;
};

struct Article {
  std::string slug, title, description, body;
  std::vector<std::string> tag_list;
  DateTime created_at, updated_at;
  bool favorited;
  std::int64_t favorites_count;
  Profile author;
  static constexpr SchemaOptions schema = kCamelCase;
};

// An article in a list: everything but its body.
struct ArticleSummary {
  std::string slug, title, description;
  std::vector<std::string> tag_list;
  DateTime created_at, updated_at;
  bool favorited;
  std::int64_t favorites_count;
  Profile author;
  static constexpr SchemaOptions schema = kCamelCase;
};

// Comments
struct NewComment {
  Text body;
};

struct Comment {
  std::int64_t id;
  DateTime created_at, updated_at;
  std::string body;
  Profile author;
  static constexpr SchemaOptions schema = kCamelCase;
};

// Bodies: one member each, around the things above
// clang-format off
struct LoginUserRequest { LoginUser user; };
struct NewUserRequest { NewUser user; };
struct UpdateUserRequest { Annotated<UpdateUser, required{}> user; };
struct UserResponse { User user; };
struct ProfileResponse { Profile profile; };
struct NewArticleRequest { NewArticle article; };
struct UpdateArticleRequest { Annotated<UpdateArticle, required{}> article; };
struct SingleArticleResponse { Article article; };
struct TagsResponse { std::vector<std::string> tags; };
struct NewCommentRequest { NewComment comment; };
struct SingleCommentResponse { Comment comment; };
struct MultipleCommentsResponse { std::vector<Comment> comments; };
// clang-format on
struct MultipleArticlesResponse {
  std::vector<ArticleSummary> articles;
  std::int64_t articles_count;  // all matches, not those of this page
  static constexpr SchemaOptions schema = kCamelCase;
};

// Rows that are no answers
// clang-format off
struct Account { UserId id; std::string email, username; std::optional<std::string> bio, image; };
struct Login { Account account; std::string password_hash; };
struct ArticleRow { std::int64_t total; std::optional<std::int64_t> id; std::optional<ArticleSummary> article; };
// Of a change to what may not be there, or may be somebody else's.
template <class T>
struct Outcome { bool found; std::optional<T> value; };
struct Deletion { bool found, deleted; };
struct CommentDeletion { bool article, found, deleted; };
// clang-format on

}  // namespace conduit
