#include <ashlar/testing/table_factory.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <ashlar/async/runtime.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/error.hpp>
#include <ashlar/schema/schema.hpp>
#include <ashlar/testing/database.hpp>

namespace ashlar::testing {
namespace {

enum class Role { reader, writer };
struct NewUser {
  Annotated<std::string, min_length{3}, max_length{20}> name;
  Role role;
};
struct User {
  std::int64_t id;
  std::string name;
  Role role;
};
struct NewArticle {
  std::int64_t author_id;
  Annotated<std::string, min_length{1}, max_length{100}> title;
  std::vector<std::string> tags;
  std::optional<std::int64_t> order;  // a word of SQL
};
struct Article {
  std::int64_t id;
  std::int64_t author_id;
  std::string title;
  std::vector<std::string> tags;
};
struct NewRemark {
  std::optional<std::int64_t> parent_id;
};
struct Remark {
  std::int64_t id;
  std::optional<std::int64_t> parent_id;
};

const pg::DynamicQuery<std::int64_t()> kUsers{pg::unsafe_sql("select count(*) from users")};
const pg::DynamicQuery<std::string(std::int64_t)> kAuthor{
    pg::unsafe_sql("select u.name from users u join articles a on a.author_id = u.id where a.id = $1")};

class TableFactories : public ::testing::Test {
 protected:
  TableFactories() {
    Database::server().run_sql(database_.name(),
                               "create type role as enum ('reader', 'writer');"
                               "create table users (id bigint generated always as identity primary key,"
                               " name text not null unique, role role not null);"
                               "create table articles (id bigint generated always as identity primary key,"
                               " author_id bigint not null references users, title text not null,"
                               " tags text[] not null, \"order\" bigint);"
                               "create table remarks (id bigint generated always as identity primary key,"
                               " parent_id bigint references remarks);");
    users.values().sequence(&NewUser::name, [](std::size_t n) { return "user " + std::to_string(n); });
    users.values().trait("writer", [](NewUser& user) { user.role = Role::writer; });
    articles.belongs_to(&NewArticle::author_id, users, &User::id);
  }

  void with_db(const std::function<Task<void>(pg::Db&)>& body) {
    async::run([](std::string url, const std::function<Task<void>(pg::Db&)>& run) -> Task<void> {
      pg::Db db{{.url = std::move(url), .check_queries = false}};
      co_await db.start();
      co_await db.start_loop(async::Loop::current());
      std::exception_ptr error;
      try {
        co_await run(db);
      } catch (...) {
        error = std::current_exception();
      }
      co_await db.stop_loop(async::Loop::current());
      co_await db.stop();
      if (error) std::rethrow_exception(error);
    }(database_.url(), body));
  }

  Database database_;
  TableFactory<NewUser, User> users{"users"};
  TableFactory<NewArticle, Article> articles{"articles"};
  TableFactory<NewRemark, Remark> remarks{"remarks"};
};

TEST_F(TableFactories, InsertWhatTheConstraintsTakeAndGiveTheRow) {
  with_db([&](pg::Db& db) -> Task<void> {
    const User one = co_await users.insert(db, {"writer"});
    EXPECT_EQ(one.id, 1);
    EXPECT_EQ(one.name, "user 1");
    EXPECT_EQ(one.role, Role::writer);
    const User two = co_await users.insert(db, [](NewUser& user) { user.name = "bob"; });
    EXPECT_EQ(two.id, 2);
    EXPECT_EQ(two.name, "bob");
    EXPECT_EQ(co_await db.one(kUsers), 2);
  });
}

TEST_F(TableFactories, InsertWhatARowBelongsTo) {
  with_db([&](pg::Db& db) -> Task<void> {
    const Article article = co_await articles.insert(db);
    EXPECT_EQ(co_await db.one(kAuthor, article.id), "user 1");
    EXPECT_EQ(co_await db.one(kUsers), 1);
  });
}

TEST_F(TableFactories, InsertNothingForAMemberThatIsSet) {
  with_db([&](pg::Db& db) -> Task<void> {
    const User ann = co_await users.insert(db);
    for (const Article& one : co_await articles.insert_many(db, 3, [&](NewArticle& a) { a.author_id = ann.id; }))
      EXPECT_EQ(one.author_id, ann.id);
    articles.values().sequence(&NewArticle::author_id, ann.id);
    EXPECT_EQ((co_await articles.insert(db)).author_id, ann.id);
    EXPECT_EQ(co_await db.one(kUsers), 1);
  });
}

TEST_F(TableFactories, InsertWhatBelongsToARow) {
  users.after_insert([&](pg::Executor& db, const User& user) -> Task<void> {
    static_cast<void>(co_await articles.insert_many(db, 2, [&](NewArticle& a) { a.author_id = user.id; }));
  });
  with_db([&](pg::Db& db) -> Task<void> {
    const User user = co_await users.insert(db);
    EXPECT_EQ(co_await db.one(kAuthor, 1), user.name);
    EXPECT_EQ(co_await db.one(kAuthor, 2), user.name);
  });
}

TEST_F(TableFactories, TakePartInATransaction) {
  with_db([&](pg::Db& db) -> Task<void> {
    try {
      co_await db.transaction([&](pg::Tx& tx) -> Task<void> {
        static_cast<void>(co_await articles.insert(tx));
        throw Conflict("undo it");
      });
    } catch (const Conflict&) {
    }
    EXPECT_EQ(co_await db.one(kUsers), 0);
  });
}

TEST_F(TableFactories, SayThatTheirRelationsGoRound) {
  remarks.belongs_to(&NewRemark::parent_id, remarks, &Remark::id);
  with_db([&](pg::Db& db) -> Task<void> {
    const Remark first = co_await remarks.insert(db, [](NewRemark& remark) { remark.parent_id = std::nullopt; });
    EXPECT_FALSE(first.parent_id);
    std::string why;
    try {
      static_cast<void>(co_await remarks.insert(db));
    } catch (const Invalid& error) {
      why = error.message();
    }
    EXPECT_NE(why.find("remarks go round"), std::string::npos) << why;
  });
}

TEST_F(TableFactories, ThrowWhatTheDatabaseRefuses) {
  EXPECT_THROW(with_db([&](pg::Db& db) -> Task<void> {
                 const User ann = co_await users.insert(db);
                 static_cast<void>(co_await users.insert(db, [&](NewUser& user) { user.name = ann.name; }));
               }),
               Conflict);
}

}  // namespace
}  // namespace ashlar::testing
