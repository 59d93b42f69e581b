// The code of docs/guide/postgresql.md.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ranges>
#include <string>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/pg.hpp>

namespace {

using namespace ashlar;

// sample: queries
enum class Mood { calm, busy };

struct Author {
  std::string username;
  std::optional<std::string> bio;
};

struct Article {
  std::int64_t id;
  std::string slug, title;
  std::vector<std::string> tags;
  Author author;
  Mood mood;
  DateTime created_at;
};

inline const pg::Query<Article(std::string)> article_by_slug{
    "select a.id, a.slug, a.title, a.tags, u.username, u.bio, a.mood, a.created_at "
    "from articles a join users u on u.id = a.author_id where a.slug = $1",
    {.name = "article_by_slug"}};
inline const pg::Query<std::int64_t(std::string, std::optional<std::string>)> add_user{
    "insert into users (username, bio) values ($1, $2) returning id"};
inline const pg::Query<void(std::int64_t, std::string, std::string, std::vector<std::string>, Mood)> add_article{
    "insert into articles (author_id, slug, title, tags, mood) values ($1, $2, $3, $4, $5)"};
inline const pg::Query<std::int64_t()> count_articles{"select count(*) from articles"};
inline const pg::Query<std::string(std::int64_t)> titles_of{
    "select title from articles where author_id = $1 order by id"};
// end of sample

// sample: copy
struct NewUser {
  std::string username;
  std::optional<std::string> bio;
};
inline const pg::CopyInto<NewUser> copy_users{"users"};
inline const pg::Query<std::string()> usernames{"select username from users order by username"};
// end of sample

Task<void> write(pg::Db& db);

Task<void> use(pg::Db& db) {
  // sample: verbs
  const std::int64_t ann = co_await db.one(add_user, "ann", std::nullopt);
  co_await db.exec(add_article, ann, "first", "The first", {"a", "b"}, Mood::calm);
  const Article article = co_await db.one(article_by_slug, "first");                 // no row: pg::NoRow, 404
  const std::optional<Article> none = co_await db.maybe(article_by_slug, "second");  // or nullopt
  // end of sample
  EXPECT_EQ(article.author.username, "ann");
  EXPECT_EQ(article.tags.size(), 2U);
  EXPECT_EQ(article.mood, Mood::calm);
  EXPECT_FALSE(none);

  // sample: batch
  const auto [bob, titles, count] =
      co_await db.batch(pg::one(add_user, "bob", "builds walls"), pg::all(titles_of, ann), pg::one(count_articles));

  const std::vector<std::string> slugs = {"first", "second"};
  const std::vector<std::optional<Article>> found = co_await db.batch(
      slugs | std::views::transform([](const std::string& slug) { return pg::maybe(article_by_slug, slug); }));
  // end of sample
  EXPECT_GT(bob, ann);
  EXPECT_EQ(titles, std::vector<std::string>{"The first"});
  EXPECT_EQ(count, 1);
  EXPECT_EQ(found.size(), 2U);
  EXPECT_EQ(found.at(0).value().slug, "first");
  EXPECT_FALSE(found.at(1));
  co_await write(db);
}

Task<void> write(pg::Db& db) {
  // sample: transaction
  co_await db.transaction(pg::serializable, [&](pg::Tx& tx) -> Task<void> {
    const std::int64_t bea = co_await tx.one(add_user, "bea", "builds walls");
    try {
      co_await tx.savepoint(
          [&]() -> Task<void> { co_await tx.exec(add_article, bea, "first", "Taken", {}, Mood::busy); });
    } catch (const pg::UniqueViolation& taken) {  // taken.constraint() == "articles_slug_key"
      EXPECT_EQ(taken.columns(), std::vector<std::string>{"slug"});
    }
    tx.after_commit([&]() -> Task<void> { co_await db.notify("articles", "changed"); });
  });
  // end of sample
  EXPECT_EQ(co_await db.one(count_articles), 1);

  // sample: bulk
  std::vector<NewUser> users = {{"carl", std::nullopt}, {"dora", "likes granite"}};
  co_await db.copy_in(copy_users, std::move(users));
  auto names = db.stream(usernames);
  std::string all;
  while (const auto name = co_await names.next()) all += *name + " ";
  // end of sample
  EXPECT_EQ(all, "ann bea bob carl dora ");

  auto lines = []() -> Generator<std::string> {
    co_yield "emil";
    co_yield "fred";
  }();
  // sample: feed
  const std::uint64_t count = co_await db.copy_in(copy_users, [&](pg::CopyRows<NewUser>& rows) -> Task<void> {
    while (const auto line = co_await lines.next()) co_await rows.add({*line, std::nullopt});
  });
  // end of sample
  EXPECT_EQ(count, 2U);
}

TEST(PostgresqlGuide, Works) {
  std::string pattern = "/tmp/ashlar-guide-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(pattern.data());
  std::ofstream(folder / "0001_blog.sql") << R"(
create type mood as enum ('calm', 'busy');
create table users (id bigint generated always as identity primary key, username text not null unique, bio text);
create table articles (
  id bigint generated always as identity primary key,
  author_id bigint not null references users,
  slug text not null unique,
  title text not null,
  tags text[] not null,
  mood mood not null,
  created_at timestamptz not null default now());
-- migrate:down
drop table articles, users;
drop type mood;
)";
  auto server = pg::PrivateServer::start();
  async::run([](std::string url, std::filesystem::path migrations) -> Task<void> {
    pg::Db db{{.url = url, .migrations = migrations, .check_queries = false}};
    co_await db.start();
    for (const std::string& problem : co_await db.check()) {  // other samples have queries of other tables
      EXPECT_FALSE(problem.contains("postgresql_test.cpp")) << problem;
    }
    co_await db.start_loop(async::Loop::current());
    co_await use(db);
    co_await db.stop_loop(async::Loop::current());
    co_await db.stop();
  }(server->url(), folder));
  std::filesystem::remove_all(folder);
}

}  // namespace
