// Every SQL statement of the service, typed. All of them are checked against the live schema at start-up and by
// `check`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/pg/query.hpp>
#include <ashlar/pg/sql.hpp>

#include "models.hpp"

// clang-format off: SQL keeps its own layout
namespace conduit::queries {

using ashlar::FixedString;
using ashlar::pg::Query;
using ashlar::pg::sql;
using std::int64_t;
using std::string;
template <class T>
using Maybe = std::optional<T>;  // NULL

// What is shown of a user `u`, an article `a` and a comment `c`. $1 is the one who looks, or NULL.
inline constexpr FixedString kProfile{R"( u.username, u.bio, u.image,
  exists (select from follows where follower_id = $1 and followed_id = u.id) as following )"};
inline constexpr FixedString kAbout{R"( a.created_at, a.updated_at,
  exists (select from favorites where article_id = a.id and user_id = $1) as favorited,
  (select count(*) from favorites where article_id = a.id) as favorites_count, )"};
inline constexpr FixedString kArticle{" a.slug, a.title, a.description, a.body, a.tag_list, "};
inline constexpr FixedString kSummary{" a.slug, a.title, a.description, a.tag_list, "};
inline constexpr FixedString kComment{" c.id, c.created_at, c.updated_at, c.body, "};

// Users
inline const Query<Account(string, string, string)> create_user{
    "insert into users (email, username, password_hash) values ($1, $2, $3) returning id, email, username, bio, image"};

inline const Query<Account(UserId)> user_by_id{"select id, email, username, bio, image from users where id = $1"};

inline const Query<Login(string)> login_by_email{
    "select id, email, username, bio, image, password_hash from users where lower(email) = lower($1)"};

inline const Query<Account(UserId, Maybe<string>, Maybe<string>, Maybe<string>, bool, Maybe<string>, bool, Maybe<string>)>
    update_user{R"(
  update users
  set email = coalesce($2, email), username = coalesce($3, username), password_hash = coalesce($4, password_hash),
      bio = case when $5 then nullif($6, '') else bio end, image = case when $7 then nullif($8, '') else image end
  where id = $1
  returning id, email, username, bio, image)"};

// Profiles
inline const Query<Profile(Viewer, string)> profile_by_username{
    sql<"select ", kProfile, "from users u where u.username = $2">};

inline const Query<void(UserId, string)> follow{R"(
  insert into follows (follower_id, followed_id) select $1, id from users where username = $2 on conflict do nothing)"};
inline const Query<void(UserId, string)> unfollow{
    "delete from follows where follower_id = $1 and followed_id = (select id from users where username = $2)"};

// Articles
inline const Query<Article(Viewer, string)> article_by_slug{
    sql<"select", kArticle, kAbout, kProfile, "from articles a join users u on u.id = a.author_id where a.slug = $2">};

// sample: page
// A page, and the number of all matches. The row that holds the number is there even when the page is empty.
template <FixedString Which>
inline constexpr auto& kPage = sql<R"(
  select matches.total, page.* from (select count(*) as total from articles a where )", Which, R"() matches
  left join (select a.id, )", kSummary, kAbout, kProfile, R"(
             from articles a join users u on u.id = a.author_id where )", Which, R"(
             order by a.created_at desc, a.id desc limit $2 offset $3) page on true
  order by page.created_at desc, page.id desc)">;
// end of sample

// A statement for each way into the table, so that each uses its index: all, by tag, author, favorite, followed author.
inline const Query<ArticleRow(Viewer, int64_t, int64_t)> articles{kPage<"true">};

inline const Query<ArticleRow(Viewer, int64_t, int64_t, string)> articles_with_tag{kPage<"a.tag_list @> array[$4::text]">};

inline const Query<ArticleRow(Viewer, int64_t, int64_t, string, Maybe<string>, Maybe<string>)> articles_of_author{kPage<R"(
      a.author_id = (select id from users where username = $4)
      and ($5::text is null or a.tag_list @> array[$5])
      and ($6::text is null or exists (select from favorites where article_id = a.id
                                       and user_id = (select id from users where username = $6))))">};

inline const Query<ArticleRow(Viewer, int64_t, int64_t, string, Maybe<string>)> articles_favorited_by{kPage<R"(
      a.id in (select article_id from favorites where user_id = (select id from users where username = $4))
      and ($5::text is null or a.tag_list @> array[$5]))">};

inline const Query<ArticleRow(UserId, int64_t, int64_t)> feed{
    kPage<"a.author_id in (select followed_id from follows where follower_id = $1)">};

inline const Query<Article(UserId, string, string, string, std::vector<Tag>)> create_article{sql<R"(
  with a as (insert into articles (author_id, title, description, body, tag_list) values ($1, $2, $3, $4, $5) returning *)
  select )", kArticle, kAbout, kProfile, "from a join users u on u.id = a.author_id">};

// Not there, somebody else's, or done: told apart by one statement.
inline const Query<Outcome<Article>(UserId, string, Maybe<string>, Maybe<string>, Maybe<string>, Maybe<std::vector<Tag>>)>
    update_article{sql<R"(
  with found as (select id, author_id from articles where slug = $2 for update),
       a as (update articles
             set title = coalesce($3, title), description = coalesce($4, description), body = coalesce($5, body),
                 tag_list = coalesce($6, tag_list), updated_at = greatest(now(), updated_at + interval '1 ms')
             where id = (select id from found where author_id = $1)
             returning *)
  select exists (select from found) as found, value.*
  from (values (1)) one left join (
    select )", kArticle, kAbout, kProfile, "from a join users u on u.id = a.author_id) value on true">};

inline const Query<Deletion(UserId, string)> delete_article{R"(
  with found as (select id, author_id from articles where slug = $2 for update),
       gone as (delete from articles where id = (select id from found where author_id = $1) returning id)
  select exists (select from found) as found, exists (select from gone) as deleted)"};

inline const Query<void(UserId, string)> favorite{R"(
  insert into favorites (user_id, article_id) select $1, id from articles where slug = $2 on conflict do nothing)"};
inline const Query<void(UserId, string)> unfavorite{
    "delete from favorites where user_id = $1 and article_id = (select id from articles where slug = $2)"};

// Those that articles have now.
inline const Query<string()> tags{"select distinct unnest(tag_list) as tag from articles order by tag"};

// Comments
// No row: no such article. A row of nothing but NULL: an article without comments.
inline const Query<Maybe<Comment>(Viewer, string)> comments_of_article{sql<R"(
  select comment.* from articles a left join lateral (
    select )", kComment, kProfile, R"(
    from comments c join users u on u.id = c.author_id where c.article_id = a.id) comment on true
  where a.slug = $2
  order by comment.id)">};

inline const Query<Comment(UserId, string, string)> create_comment{sql<R"(
  with c as (insert into comments (article_id, author_id, body) select id, $1, $3 from articles where slug = $2 returning *)
  select )", kComment, kProfile, "from c join users u on u.id = c.author_id">};

inline const Query<CommentDeletion(UserId, string, int64_t)> delete_comment{R"(
  with article as (select id from articles where slug = $2),
       found as (select id, author_id from comments where article_id = (select id from article) and id = $3 for update),
       gone as (delete from comments where id = (select id from found where author_id = $1) returning id)
  select exists (select from article) as article, exists (select from found) as found, exists (select from gone) as deleted)"};

}  // namespace conduit::queries
// clang-format on
