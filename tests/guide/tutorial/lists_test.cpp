// The code of docs/guide/lists.md, on the tutorial's books.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/bulk.hpp>
#include <ashlar/app/list_query.hpp>
#include <ashlar/app/merge_patch.hpp>
#include <ashlar/app/negotiation.hpp>
#include <ashlar/app/pagination.hpp>
#include <ashlar/base/decimal.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/listing.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/database.hpp>

namespace {

using namespace ashlar;
using ::testing::HasSubstr;

// sample: model
struct Book {
  std::int64_t id;
  std::string title;
  Decimal price;
};

struct BookList {
  FilterBy<std::string> title;                            // ?title=Emma, ?title__contains=em, …
  FilterBy<Decimal, FilterOp::gte, FilterOp::lte> price;  // ?price__gte=5&price__lte=10
  SortBy<"title", "price"> sort = "title";                // ?sort=-price,title
  PageLimit<100> limit = 20;
  PageOffset<> offset = 0;
};
// end of sample

// sample: listing
inline const pg::Listing<Book(std::int64_t), BookList, "id"> books{
    "select id, title, price from books where stock >= $1"};
// end of sample

// sample: feed
struct BookFeed {
  FilterBy<Decimal, FilterOp::gte, FilterOp::lte> price;
  SortBy<"price", "title"> sort = "-price";
  PageLimit<100> limit = 20;
  PageCursor cursor;
};
inline const pg::Listing<Book(), BookFeed, "id"> feed{"select id, title, price from books"};
// end of sample

// sample: patch
struct BookPatch {
  Annotated<Patch<std::string>, not_null{}, min_length{1}> title;
  Annotated<Patch<Decimal>, not_null{}, gt{0}> price;
};
inline const pg::Query<Book(std::int64_t)> book_to_change{
    "select id, title, price from books where id = $1 for update"};
inline const pg::Query<Book(std::int64_t, std::string, Decimal)> change_book{
    "update books set title = $2, price = $3 where id = $1 returning id, title, price"};
// end of sample

// sample: many
struct NewBook {
  Annotated<std::string, strip{}, min_length{1}> title;
  Annotated<Decimal, gt{0}, decimal_places{2}> price;
};
inline const pg::Query<Book(std::string, Decimal)> add_book{
    "insert into books (title, price) values ($1, $2) returning id, title, price"};
inline const pg::Query<Book()> all_books{"select id, title, price from books order by id"};
// end of sample

void add_routes(App& app) {
  // sample: pages
  app.get<"/books">([](ListQuery<BookList> query, pg::Db& db) -> Task<Page<Book>> {
    co_return co_await books.page(db, query, 1);  // in stock
  });
  // end of sample

  // sample: cursors
  app.get<"/books/feed">([](ListQuery<BookFeed> query, const Cursors& cursors, pg::Db& db) -> Task<CursorPage<Book>> {
    co_return cursors.seal(co_await feed.after(db, query, cursors.open(query.cursor)));
  });
  // end of sample

  // sample: bulk
  app.post<"/books/bulk">([](Bulk<NewBook, 100> many, pg::Db& db) -> Task<BulkAnswer<Book>> {
    const auto add = [&db](NewBook book) { return db.one(add_book, book.title, book.price); };
    co_return co_await many.each(add, 201);  // the status of each that went well
  });

  using AtMost100 = Annotated<std::vector<NewBook>, min_items{1}, max_items{100}>;
  app.post<"/books/all-or-nothing">([](Body<AtMost100> many, pg::Db& db) -> Task<Created<std::vector<Book>>> {
    co_return co_await db.transaction(pg::read_committed, [&](pg::Tx& tx) -> Task<std::vector<Book>> {
      std::vector<Book> out;
      for (const NewBook& book : many.get()) out.push_back(co_await tx.one(add_book, book.title, book.price));
      co_return out;
    });
  });
  // end of sample

  // sample: forms
  app.get<"/books/export">([](pg::Db& db) -> Task<Negotiated<std::vector<Book>, AsCsv, AsJsonLines>> {
    co_return co_await db.all(all_books);
  });
  // end of sample

  // sample: changes
  app.patch<"/books/{id}">([](Path<"id", std::int64_t> id, MergePatch<BookPatch> patch, pg::Db& db) -> Task<Book> {
    co_return co_await db.transaction(pg::read_committed, [&](pg::Tx& tx) -> Task<Book> {
      Book book = co_await tx.one(book_to_change, id);  // no such book: 404
      patch.apply_to(book);
      co_return co_await tx.one(change_book, id, book.title, book.price);
    });
  });
  // end of sample
}

inline const pg::Query<void()> fill_books{
    "insert into books (title, price) select 'Book ' || i, 5 + i % 3 from generate_series(1, 50) i"};

class Lists : public ::testing::Test {
 protected:
  ashlar::testing::Database database{MIGRATIONS};
  pg::Db db{{.url = database.url()}};
  Cursors cursors{Secret<>("only for this test, 32 bytes or more")};
  App app;
};

TEST_F(Lists, AreFilteredSortedAndPaged) {
  app.provide(db);
  app.provide(cursors);
  add_routes(app);
  ashlar::testing::Client client{app};
  client.run(db.exec(fill_books));
  const auto answer = client.get("/books?title__contains=BOOK%204&price__gte=6&sort=-price,title&limit=3").send();
  const auto page = answer.json<Page<Book>>();
  EXPECT_EQ(page.total, 8);
  ASSERT_EQ(page.items.size(), 3U);
  EXPECT_EQ(page.items[0].title, "Book 41");
  EXPECT_THAT(answer.header("Link").value_or(""),
              HasSubstr("<?title__contains=BOOK%204&price__gte=6&sort=-price,title&limit=3&offset=3>; rel=\"next\""));
  const auto refused = client.get("/books?colour=red&price__lt=3&sort=stock").send();
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.body, HasSubstr(R"({"type":"extra_forbidden","loc":["query","colour"],)"));
}

TEST_F(Lists, AreWalkedByCursor) {
  app.provide(db);
  app.provide(cursors);
  add_routes(app);
  ashlar::testing::Client client{app};
  client.run(db.exec(fill_books));
  std::size_t seen = 0;
  std::string cursor;
  for (int i = 0; i < 20; ++i) {
    const auto page = client.get("/books/feed?limit=7" + cursor).send().json<CursorPage<Book>>();
    seen += page.items.size();
    if (!page.next) break;
    cursor = "&cursor=" + *page.next;
  }
  EXPECT_EQ(seen, 50U);
  EXPECT_EQ(client.get("/books/feed?sort=title" + cursor).send().status, 422) << "a cursor of another order";
}

TEST_F(Lists, ManyBooksAreAddedEachByItselfOrAllTogether) {
  app.provide(db);
  app.provide(cursors);
  add_routes(app);
  ashlar::testing::Client client{app};
  constexpr const char* kTwice =
      R"([{"title":"Emma","price":"9.50"},{"title":"Emma","price":"8"},{"title":"","price":"1"}])";
  const auto answer = client.post("/books/bulk").json(kTwice).send();
  EXPECT_EQ(answer.status, 207);
  const auto outcome = answer.json<BulkAnswer<Book>>();
  EXPECT_EQ(outcome.items[0].status, 201);
  EXPECT_EQ(outcome.items[1].status, 409);
  EXPECT_EQ(outcome.items[2].status, 422);

  constexpr const char* kTaken = R"([{"title":"Persuasion","price":"9.50"},{"title":"Emma","price":"8"}])";
  EXPECT_EQ(client.post("/books/all-or-nothing").json(kTaken).send().status, 409);
  EXPECT_EQ(client.get("/books/export").header("Accept", "text/csv").send().body, "id,title,price\r\n1,Emma,9.50\r\n");
  EXPECT_EQ(client.get("/books/export").header("Accept", "image/png").send().status, 406);
}

TEST_F(Lists, BooksAreChangedInPart) {
  app.provide(db);
  app.provide(cursors);
  add_routes(app);
  ashlar::testing::Client client{app};
  client.run(db.exec(fill_books));
  const auto patch = [&](std::string body) {
    return client.patch("/books/1").header("Content-Type", "application/merge-patch+json").body(std::move(body)).send();
  };
  EXPECT_EQ(patch(R"({"price":"9.50"})").body, R"({"id":1,"title":"Book 1","price":"9.50"})");
  EXPECT_EQ(patch("{}").body, R"({"id":1,"title":"Book 1","price":"9.50"})");
  EXPECT_EQ(patch(R"({"title":null})").status, 422);
  EXPECT_EQ(patch(R"({"price":"-1"})").status, 422);
}

}  // namespace
