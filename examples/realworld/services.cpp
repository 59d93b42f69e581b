#include "services.hpp"

#include <utility>
#include <vector>

#include "queries.hpp"

namespace conduit {

Problem refusal(int status, std::string field, std::string message) {
  Problem problem{.status = status};
  problem.errors.push_back({.type = "refused", .msg = std::move(message), .loc = {std::move(field)}});
  return problem;
}

// Users
UserResponse Users::with_token(Account account) const {
  return {{.email = std::move(account.email),
           .token = tokens_.issue(Session{account.id}),
           .username = std::move(account.username),
           .bio = std::move(account.bio),
           .image = std::move(account.image)}};
}

// Whether the names are free is not asked first: two at once would both hear yes. The unique indexes decide, and
// errors.cpp tells the loser.
Task<UserResponse> Users::sign_up(NewUser in) {
  std::string hash = co_await passwords_.hash(in.password);
  co_return with_token(co_await db_.one(queries::create_user, in.email, in.username, hash));
}

Task<UserResponse> Users::log_in(LoginUser in) {
  auto login = co_await db_.maybe(queries::login_by_email, in.email);
  std::optional<std::string> hash;
  if (login) hash = std::move(login->password_hash);
  if (!co_await passwords_.verify(in.password, std::move(hash))) throw refusal(401, "credentials", "invalid");
  co_return with_token(std::move(login->account));
}

Task<UserResponse> Users::get(UserId me) {
  auto account = co_await db_.maybe(queries::user_by_id, me);
  if (!account) throw refusal(401, "token", "is invalid");
  co_return with_token(std::move(*account));
}

Task<UserResponse> Users::update(UserId me, UpdateUser in) {
  std::optional<std::string> hash;
  if (in.password.has_value()) hash = co_await passwords_.hash(*in.password);
  auto account =
      co_await db_.maybe(queries::update_user, me, in.email.to_optional(), in.username.to_optional(), hash,
                         !in.bio.is_absent(), in.bio.to_optional(), !in.image.is_absent(), in.image.to_optional());
  if (!account) throw refusal(401, "token", "is invalid");
  co_return with_token(std::move(*account));
}

Task<ProfileResponse> Users::profile(Viewer viewer, std::string username) {
  auto profile = co_await db_.maybe(queries::profile_by_username, viewer, username);
  if (!profile) throw refusal(404, "profile", "not found");
  co_return ProfileResponse{std::move(*profile)};
}

Task<ProfileResponse> Users::follow(UserId me, std::string username) {
  co_await db_.exec(queries::follow, me, username);
  co_return co_await profile(me, std::move(username));
}

Task<ProfileResponse> Users::unfollow(UserId me, std::string username) {
  co_await db_.exec(queries::unfollow, me, username);
  co_return co_await profile(me, std::move(username));
}

// Articles
namespace {

Problem no_article() { return refusal(404, "article", "not found"); }

MultipleArticlesResponse page_of(std::vector<ArticleRow> rows) {
  MultipleArticlesResponse page{.articles = {}, .articles_count = rows.front().total};
  page.articles.reserve(rows.size());
  for (auto& row : rows) {
    if (row.article) page.articles.push_back(std::move(*row.article));
  }
  return page;
}

}  // namespace

Task<MultipleArticlesResponse> Articles::list(Viewer viewer, ArticleFilter filter) {
  const auto& [tag, author, favorited, limit, offset] = filter;
  if (author)
    co_return page_of(co_await db_.all(queries::articles_of_author, viewer, limit, offset, *author, tag, favorited));
  if (favorited)
    co_return page_of(co_await db_.all(queries::articles_favorited_by, viewer, limit, offset, *favorited, tag));
  if (tag) co_return page_of(co_await db_.all(queries::articles_with_tag, viewer, limit, offset, *tag));
  co_return page_of(co_await db_.all(queries::articles, viewer, limit, offset));
}

Task<MultipleArticlesResponse> Articles::feed(UserId me, Page page) {
  co_return page_of(co_await db_.all(queries::feed, me, page.limit, page.offset));
}

Task<TagsResponse> Articles::tags() { co_return TagsResponse{co_await db_.all(queries::tags)}; }

Task<SingleArticleResponse> Articles::get(Viewer viewer, std::string slug) {
  auto article = co_await db_.maybe(queries::article_by_slug, viewer, slug);
  if (!article) throw no_article();
  co_return SingleArticleResponse{std::move(*article)};
}

Task<SingleArticleResponse> Articles::create(UserId me, NewArticle in) {
  co_return SingleArticleResponse{
      co_await db_.one(queries::create_article, me, in.title, in.description, in.body, in.tag_list)};
}

// sample: update
Task<SingleArticleResponse> Articles::update(UserId me, std::string slug, UpdateArticle in) {
  auto [found, article] =
      co_await db_.one(queries::update_article, me, slug, in.title.to_optional(), in.description.to_optional(),
                       in.body.to_optional(), in.tag_list.to_optional());
  if (!found) throw no_article();
  if (!article) throw refusal(403, "article", "forbidden");
  co_return SingleArticleResponse{std::move(*article)};
}
// end of sample

Task<void> Articles::remove(UserId me, std::string slug) {
  const auto [found, deleted] = co_await db_.one(queries::delete_article, me, slug);
  if (!found) throw no_article();
  if (!deleted) throw refusal(403, "article", "forbidden");
}

Task<SingleArticleResponse> Articles::favorite(UserId me, std::string slug) {
  co_await db_.exec(queries::favorite, me, slug);
  co_return co_await get(me, std::move(slug));
}

Task<SingleArticleResponse> Articles::unfavorite(UserId me, std::string slug) {
  co_await db_.exec(queries::unfavorite, me, slug);
  co_return co_await get(me, std::move(slug));
}

Task<MultipleCommentsResponse> Articles::comments(Viewer viewer, std::string slug) {
  auto rows = co_await db_.all(queries::comments_of_article, viewer, slug);
  if (rows.empty()) throw no_article();
  MultipleCommentsResponse out;
  for (auto& comment : rows) {
    if (comment) out.comments.push_back(std::move(*comment));
  }
  co_return out;
}

Task<SingleCommentResponse> Articles::comment(UserId me, std::string slug, NewComment in) {
  auto comment = co_await db_.maybe(queries::create_comment, me, slug, in.body);
  if (!comment) throw no_article();
  co_return SingleCommentResponse{std::move(*comment)};
}

Task<void> Articles::remove_comment(UserId me, std::string slug, std::int64_t id) {
  const auto [article, found, deleted] = co_await db_.one(queries::delete_comment, me, slug, id);
  if (!article) throw no_article();
  if (!found) throw refusal(404, "comment", "not found");
  if (!deleted) throw refusal(403, "comment", "forbidden");
}

}  // namespace conduit
