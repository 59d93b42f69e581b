// The code of docs/guide/testing.md: compiled and run.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/clock.hpp>
#include <ashlar/testing/database.hpp>
#include <ashlar/testing/snapshot.hpp>
#include <ashlar/testing/statements.hpp>
#include <ashlar/testing/table_factory.hpp>
#include <ashlar/testing/transfer.hpp>

#include <gtest/gtest.h>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

// sample: clock
struct Reading {
  int celsius;
};

TEST(Thermometer, SendsAReadingEveryMinute) {
  App app;
  app.get<"/readings">([]() -> Events<Reading> {
    for (int celsius = 20;; ++celsius) {
      co_yield {.data = Reading{celsius}};
      co_await async::sleep(1min);
    }
  });
  ashlar::testing::Client client{app};
  ashlar::testing::Clock clock{client};

  auto events = client.get("/readings").begin();  // goes on while the test does
  EXPECT_EQ(events.event()->json<Reading>().celsius, 20);
  clock.advance(1min);  // takes no minute
  EXPECT_EQ(events.event()->json<Reading>().celsius, 21);
}
// end of sample

struct NewAuthor {
  std::string name;
};
struct Author {
  std::int64_t id;
  std::string name;
};
struct NewBook {
  std::int64_t author_id;
  std::string title;
};
struct Book {
  std::int64_t id, author_id;
  std::string title;
};

const pg::DynamicQuery<Book()> all_books{pg::unsafe_sql("select id, author_id, title from books order by id")};
const pg::DynamicQuery<std::string(std::int64_t)> name_of_author{
    pg::unsafe_sql("select name from authors where id = $1"), {.name = "name_of_author"}};

void add_routes(App& app) {
  app.get<"/books">([](pg::Db& db) -> Task<std::vector<std::string>> {
    std::vector<std::string> out;
    for (const Book& book : co_await db.all(all_books))
      out.push_back(book.title + " by " + co_await db.one(name_of_author, book.author_id));
    co_return out;
  });
}

void make_tables(const ashlar::testing::Database& database) {
  ashlar::testing::Database::server().run_sql(
      database.name(),
      "create table authors (id bigint generated always as identity primary key, name text not null);"
      "create table books (id bigint generated always as identity primary key,"
      " author_id bigint not null references authors, title text not null);");
}

// sample: tables
TEST(Books, AreListedWithTheirAuthors) {
  ashlar::testing::Database database;  // this test's own
  make_tables(database);
  pg::Db db{{.url = database.url(), .check_queries = false}};
  App app;
  app.provide(db);
  add_routes(app);
  ashlar::testing::Client client{app};

  ashlar::testing::TableFactory<NewAuthor, Author> authors{"authors"};
  ashlar::testing::TableFactory<NewBook, Book> books{"books"};
  books.belongs_to(&NewBook::author_id, authors, &Author::id);  // makes an author for each book that names none
  authors.values().sequence(&NewAuthor::name, [](std::size_t n) { return "Author " + std::to_string(n); });
  books.values().sequence(&NewBook::title, [](std::size_t n) { return "Volume " + std::to_string(n); });

  client.run(books.insert_many(db, 2));

  const ashlar::testing::Statements statements;
  EXPECT_EQ(client.get("/books").send().body, R"(["Volume 1 by Author 1","Volume 2 by Author 2"])");
  EXPECT_EQ(ashlar::testing::text_snapshot("books.sql", statements.text()), "");
}
// end of sample

}  // namespace
