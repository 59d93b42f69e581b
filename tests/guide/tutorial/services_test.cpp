// The code of docs/guide/tutorial/: dependencies, security, database. Each step is run.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <stdlib.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/rate_limit.hpp>
#include <ashlar/auth/jwt.hpp>
#include <ashlar/auth/local_secret.hpp>
#include <ashlar/auth/password.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/query.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/database.hpp>

#include <gtest/gtest.h>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

// ---- dependencies.md

namespace dependencies {

// sample: resource
class Catalogue {
 public:
  [[nodiscard]] std::optional<std::string> title_of(std::int64_t id) const {
    const auto found = titles_.find(id);
    return found == titles_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<std::int64_t, std::string> titles_{{1, "Moby-Dick"}, {2, "Emma"}};
};
// end of sample

// sample: dependency
struct Page {
  Annotated<int, ge{1}> page = 1;
  Annotated<int, ge{1}, le{100}> size = 20;
};
struct Range {
  int from, to;
};
Range range(Query<Page> page) { return {(page.page - 1) * page.size, page.page * page.size}; }
// end of sample

// sample: sub-dependency
struct Book {
  std::int64_t id;
  std::string title;
};
Book book_of_path(Path<"id", std::int64_t> id, Catalogue& catalogue) {
  const auto title = catalogue.title_of(id);
  if (!title) throw NotFound("there is no such book");
  return {id, *title};
}
Checked not_lent(Depends<book_of_path> book) {
  if (book->id == 2) throw Conflict("Emma is lent out");
  return {};
}
// end of sample

TEST(TutorialDependencies, AreBoundBeforeTheHandler) {
  App app;
  // sample: provide
  Catalogue catalogue;
  app.provide(catalogue);
  app.get<"/titles/{id}">([](Catalogue& own, Path<"id", std::int64_t> id) { return own.title_of(id).value_or("?"); });
  // end of sample
  // sample: depends
  app.get<"/books">([](Depends<range> range) { return range->from; });
  app.get<"/films">([](Depends<range> range) { return range->to; });
  // end of sample
  // sample: router
  Router<"/books/{id}"> one{{.tags = {"books"}, .dependencies = {depends<not_lent>}, .errors = {404, 409}}};
  one.get<"/">([](Depends<book_of_path> book) { return Book{*book}; });
  one.get<"/title">([](Depends<book_of_path> book) { return book->title; });
  app.include(std::move(one));
  // end of sample
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/titles/1").send().body, "Moby-Dick");
  EXPECT_EQ(client.get("/books?page=3").send().body, "40");
  EXPECT_EQ(client.get("/films?page=2&size=10").send().body, "20");
  EXPECT_EQ(client.get("/films?page=0").send().status, 422);
  EXPECT_EQ(client.get("/books/1/title").send().body, "Moby-Dick");
  EXPECT_EQ(client.get("/books/2").send().status, 409);
  EXPECT_EQ(client.get("/books/3").send().status, 404);
}

}  // namespace dependencies

// ---- security.md

namespace security {

// sample: users
struct User {
  std::string name;
  std::string password_hash;
  std::vector<std::string> roles;
};
using Users = std::map<std::string, User>;
// end of sample

// sample: claims
struct Session {  // what a token says
  std::string sub;
  std::vector<std::string> roles = {};
};
struct Credentials {  // what a login sends
  std::string username;
  Secret<> password;  // never written, never logged
};
struct Token {
  std::string access_token;
  std::string token_type = "bearer";
};
// end of sample

// sample: login
Task<Token> log_in(Form<Credentials> form, Users& users, auth::Passwords& passwords, auth::Tokens& tokens) {
  const auto found = users.find(form.username);
  std::optional<std::string> hash;
  if (found != users.end()) hash = found->second.password_hash;
  // Somebody who does not exist takes as long as a wrong password.
  if (!co_await passwords.verify(form.password, hash)) throw Unauthenticated("the name or the password is wrong");
  co_return Token{tokens.issue(Session{.sub = found->first, .roles = found->second.roles})};
}
// end of sample

// sample: current-user
Session session(Bearer bearer, auth::Tokens& tokens) {
  return tokens.verify<Session>(bearer.token);  // what is wrong with it is answered with 401
}
Checked librarian(Depends<session> me) {
  if (std::ranges::find(me->roles, "librarian") == me->roles.end()) throw Forbidden("only for librarians");
  return {};
}
// end of sample

TEST(TutorialSecurity, LetsInWhoLoggedIn) {
  std::string folder = "/tmp/ashlar-tutorial-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  ASSERT_EQ(::setenv("ASHLAR_DATA_DIR", folder.c_str(), 1), 0);
  App app;
  auth::Passwords passwords{auth::PasswordOptions::cheap()};
  Users users;
  app.provide(passwords).provide(users);
  // sample: tokens
  app.provide<auth::Tokens>([] {
    return std::make_unique<auth::Tokens>(auth::TokenOptions{
        .keys = {auth::Key::hs256(auth::local_secret("JWT_SECRET"))}, .issuer = "library", .lifetime = 30min});
  });
  // end of sample
  // sample: guarded-routes
  app.post<"/token">(log_in, {.rate_limits = {RateLimit{{.requests = 5, .name = "logins"}}}});
  app.get<"/me">([](Depends<session> me) { return me->sub; });

  Router<"/desk"> desk{{.dependencies = {depends<librarian>}}};
  desk.del<"/books/{id}">([](Path<"id", int>) {});
  app.include(std::move(desk));
  // end of sample
  ashlar::testing::Client client{app};
  users["ada"] = {"ada", client.run(passwords.hash(std::string("correct horse"))), {}};

  EXPECT_EQ(client.get("/me").send().status, 401);
  EXPECT_EQ(client.post("/token").form({{"username", "ada"}, {"password", "wrong"}}).send().status, 401);
  EXPECT_EQ(client.post("/token").form({{"username", "eve"}, {"password", "wrong"}}).send().status, 401);
  const auto token =
      client.post("/token").form({{"username", "ada"}, {"password", "correct horse"}}).send().json<Token>();
  EXPECT_EQ(client.get("/me").bearer(token.access_token).send().body, "ada");
  EXPECT_EQ(client.get("/me").bearer(token.access_token + "x").send().status, 401);
  EXPECT_EQ(client.del("/desk/books/1").bearer(token.access_token).send().status, 403);
  {
    const auto scope = client.acting_as(Session{.sub = "bob", .roles = {"librarian"}});
    EXPECT_EQ(client.del("/desk/books/1").send().status, 204);
  }
  ::unsetenv("ASHLAR_DATA_DIR");
  std::filesystem::remove_all(folder);
}

}  // namespace security

// ---- database.md

namespace database {

// sample: rows
struct Book {
  std::int64_t id;
  std::string title;
  Decimal price;
};
struct NewBook {
  Annotated<std::string, strip{}, min_length{1}> title;
  Annotated<Decimal, gt{0}, decimal_places{2}> price;
};
// end of sample

// sample: queries
inline const pg::Query<Book(std::string, Decimal)> add_book{
    "insert into books (title, price) values ($1, $2) returning id, title, price"};
inline const pg::Query<Book(std::int64_t)> book_by_id{"select id, title, price from books where id = $1"};
inline const pg::Query<Book(std::int64_t, std::int32_t)> books_after{
    "select id, title, price from books where id > $1 order by id limit $2"};
inline const pg::Query<void(std::int64_t, std::int64_t)> record_sale{
    "insert into sales (book_id, copies) values ($1, $2)"};
inline const pg::Query<std::int64_t(std::int64_t, std::int64_t)> take_from_stock{
    "update books set stock = stock - $2 where id = $1 returning stock"};
// end of sample

// sample: page
struct Page {
  std::int64_t after = 0;
  Annotated<std::int32_t, ge{1}, le{100}> limit = 20;
};
// end of sample

// sample: sale
struct Sale {
  Annotated<std::int64_t, ge{1}> copies;
};
Task<std::int64_t> sell(Path<"id", std::int64_t> id, Sale sale, pg::Db& db) {
  co_return co_await db.transaction(pg::read_committed, [&](pg::Tx& tx) -> Task<std::int64_t> {
    const std::int64_t left = co_await tx.one(take_from_stock, id, sale.copies);  // no such book: 404
    co_await tx.exec(record_sale, id, sale.copies);
    co_return left;  // commits; an exception rolls back
  });
}
// end of sample

void add_routes(App& app) {
  // sample: routes
  app.post<"/books">([](NewBook book, pg::Db& db) -> Task<Created<Book>> {
    co_return co_await db.one(add_book, book.title, book.price);  // a title that is taken: 409
  });
  app.get<"/books/{id}">([](Path<"id", std::int64_t> id, pg::Db& db) -> Task<Book> {
    co_return co_await db.one(book_by_id, id);  // no row: 404
  });
  app.get<"/books">([](Query<Page> page, pg::Db& db) -> Task<std::vector<Book>> {
    co_return co_await db.all(books_after, page.after, page.limit);
  });
  app.post<"/books/{id}/sales">(sell);
  // end of sample
}

// sample: test
class Books : public ::testing::Test {
 protected:
  ashlar::testing::Database database{MIGRATIONS};  // this test's own, a copy of a migrated template
  pg::Db db{{.url = database.url()}};
  App app;
};

TEST_F(Books, AreKept) {
  app.provide(db);
  add_routes(app);
  ashlar::testing::Client client{app};
  const Book emma = client.post("/books").json(R"({"title":"Emma","price":"9.50"})").send().json<Book>();

  EXPECT_EQ(client.get("/books/" + std::to_string(emma.id)).send().json<Book>().title, "Emma");
  EXPECT_EQ(client.get("/books/999").send().status, 404);
  EXPECT_EQ(client.post("/books").json(R"({"title":"Emma","price":"9.50"})").send().status, 409);
}
// end of sample

TEST_F(Books, AreSoldWhileThereAreAny) {
  app.provide(db);
  add_routes(app);
  ashlar::testing::Client client{app};
  client.post("/books").json(R"({"title":"Emma","price":"9.50"})").send();
  EXPECT_EQ(client.post("/books/1/sales").json(R"({"copies":4})").send().body, "6");
  EXPECT_EQ(client.post("/books/1/sales").json(R"({"copies":7})").send().status, 422);  // the check of the table
  EXPECT_EQ(client.post("/books/9/sales").json(R"({"copies":1})").send().status, 404);
  EXPECT_EQ(client.get("/books?after=0&limit=1").send().json<std::vector<Book>>().size(), 1U);
}

}  // namespace database

}  // namespace
