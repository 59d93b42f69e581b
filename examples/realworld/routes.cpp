#include "routes.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "services.hpp"

namespace conduit {
namespace {

// Who is asking
struct Me {
  UserId id;
};
struct Someone {
  Viewer id;
};

Me current_user(Credentials<"Token"> credentials, const auth::Tokens& tokens) {
  return {tokens.verify<Session>(credentials.token).user};
}
Someone optional_user(std::optional<Credentials<"Token">> credentials, const auth::Tokens& tokens) {
  if (!credentials) return {};
  return {tokens.verify<Session>(credentials->token).user};
}

using LoggedIn = Depends<current_user>;
using Anyone = Depends<optional_user>;
using Slug = Path<"slug">;

// Operations
void add_users(App& app) {
  Router<"/api"> api{{.tags = {"User and Authentication"}}};

  api.post<"/users/login">([](LoginUserRequest in, Users& users) { return users.log_in(std::move(in.user)); },
                           {.summary = "Existing user login", .operation_id = "Login", .errors = {401}});

  api.post<"/users">([](NewUserRequest in, Users& users) { return users.sign_up(std::move(in.user)); },
                     {.summary = "Register a new user", .operation_id = "CreateUser", .status = 201, .errors = {409}});

  api.get<"/user">([](LoggedIn me, Users& users) { return users.get(me->id); },
                   {.summary = "Get current user", .operation_id = "GetCurrentUser"});

  api.put<"/user">(
      [](LoggedIn me, UpdateUserRequest in, Users& users) { return users.update(me->id, std::move(in.user)); },
      {.summary = "Update current user", .operation_id = "UpdateCurrentUser", .errors = {409}});
  app.include(std::move(api));
}

void add_profiles(App& app) {
  Router<"/api/profiles/{username}"> api{{.tags = {"Profile"}, .errors = {404}}};
  using Username = Path<"username">;

  api.get<"/">([](Anyone viewer, Username username, Users& users) { return users.profile(viewer->id, username); },
               {.summary = "Get a profile", .operation_id = "GetProfileByUsername"});

  api.post<"/follow">([](LoggedIn me, Username username, Users& users) { return users.follow(me->id, username); },
                      {.summary = "Follow a user", .operation_id = "FollowUserByUsername"});

  api.del<"/follow">([](LoggedIn me, Username username, Users& users) { return users.unfollow(me->id, username); },
                     {.summary = "Unfollow a user", .operation_id = "UnfollowUserByUsername"});
  app.include(std::move(api));
}

void add_articles(App& app) {
  Router<"/api/articles"> api{{.tags = {"Articles"}}};

  api.get<"/">(
      [](Anyone viewer, Query<ArticleFilter> filter, Articles& articles) { return articles.list(viewer->id, filter); },
      {.summary = "Get recent articles globally", .operation_id = "GetArticles"});

  api.get<"/feed">([](LoggedIn me, Query<Page> page, Articles& articles) { return articles.feed(me->id, page); },
                   {.summary = "Get recent articles from users you follow", .operation_id = "GetArticlesFeed"});

  // sample: publish
  api.post<"/">([](LoggedIn me, NewArticleRequest in,
                   Articles& articles) { return articles.create(me->id, std::move(in.article)); },
                {.summary = "Create an article", .operation_id = "CreateArticle", .status = 201, .errors = {409}});
  // end of sample

  api.get<"/{slug}">([](Anyone viewer, Slug slug, Articles& articles) { return articles.get(viewer->id, slug); },
                     {.summary = "Get an article", .operation_id = "GetArticle", .errors = {404}});

  api.put<"/{slug}">([](LoggedIn me, Slug slug, UpdateArticleRequest in,
                        Articles& articles) { return articles.update(me->id, slug, std::move(in.article)); },
                     {.summary = "Update an article", .operation_id = "UpdateArticle", .errors = {403, 404}});

  api.del<"/{slug}">([](LoggedIn me, Slug slug, Articles& articles) { return articles.remove(me->id, slug); },
                     {.summary = "Delete an article", .operation_id = "DeleteArticle", .errors = {403, 404}});
  app.include(std::move(api));
}

void add_favorites(App& app) {
  Router<"/api/articles/{slug}/favorite"> api{{.tags = {"Favorites"}, .errors = {404}}};

  api.post<"/">([](LoggedIn me, Slug slug, Articles& articles) { return articles.favorite(me->id, slug); },
                {.summary = "Favorite an article", .operation_id = "CreateArticleFavorite"});

  api.del<"/">([](LoggedIn me, Slug slug, Articles& articles) { return articles.unfavorite(me->id, slug); },
               {.summary = "Unfavorite an article", .operation_id = "DeleteArticleFavorite"});
  app.include(std::move(api));
}

void add_comments(App& app) {
  Router<"/api/articles/{slug}/comments"> api{{.tags = {"Comments"}, .errors = {404}}};

  api.get<"/">([](Anyone viewer, Slug slug, Articles& articles) { return articles.comments(viewer->id, slug); },
               {.summary = "Get comments for an article", .operation_id = "GetArticleComments"});

  api.post<"/">([](LoggedIn me, Slug slug, NewCommentRequest in,
                   Articles& articles) { return articles.comment(me->id, slug, std::move(in.comment)); },
                {.summary = "Create a comment for an article", .operation_id = "CreateArticleComment", .status = 201});

  api.del<"/{id}">(
      [](LoggedIn me, Slug slug, Path<"id", std::int64_t> id, Articles& articles) {
        return articles.remove_comment(me->id, slug, id);
      },
      {.summary = "Delete a comment for an article", .operation_id = "DeleteArticleComment", .errors = {403}});
  app.include(std::move(api));
}

void add_tags(App& app) {
  app.get<"/api/tags">([](Articles& articles) { return articles.tags(); },
                       {.summary = "Get tags", .tags = {"Tags"}, .operation_id = "GetTags"});
}

}  // namespace

void add_conduit(App& app) {
  app.provide<Users>([](pg::Db& db, auth::Passwords& passwords, auth::Tokens& tokens) {
    return std::make_unique<Users>(db, passwords, tokens);
  });
  app.provide<Articles>([](pg::Db& db) { return std::make_unique<Articles>(db); });
  add_error_format(app);
  add_users(app);
  add_profiles(app);
  add_articles(app);
  add_favorites(app);
  add_comments(app);
  add_tags(app);
}

}  // namespace conduit
