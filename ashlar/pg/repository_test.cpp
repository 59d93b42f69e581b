#include <ashlar/pg/repository.hpp>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/check.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>
#include <ashlar/pg/statement_observer.hpp>

namespace ashlar::pg {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

enum class Kind { paper, cloth };
struct Size {
  int width, height;
  bool operator==(const Size&) const = default;
};

// sample: structs
struct Page {
  std::int64_t book_id;
  int number;
  std::string text;
};
struct Book {
  std::int64_t id;
  std::string isbn;
  std::string title;
  Decimal price;
  Kind kind;
  std::optional<std::string> note;
  Size size;
  std::int64_t version;
  std::optional<DateTime> deleted_at;
  DateTime created_at;
};
struct NewBook {
  std::string isbn, title;
  Decimal price = *Decimal::parse("10");
  Kind kind = Kind::paper;
  std::optional<std::string> note = {};
  Size size = {1, 2};
};
struct Titled {  // what one screen changes
  std::int64_t id;
  std::int64_t version;
  std::string title;
};
// end of sample

// sample: tables
inline const Table<Book, "books", primary_key{"id"}, identity{"id"}, unique{"isbn"}, version{"version"},
                   soft_delete{"deleted_at"}, default_value{"created_at", "now()"}>
    book_table;
inline const Repository books{book_table};

inline const Table<Page, "pages", primary_key{"book_id", "number"}> page_table;
inline const Repository pages{page_table};
// end of sample

struct Word {
  std::string word;
  std::vector<std::string> meanings;
};
inline const Table<Word, "words", primary_key{"word"}> word_table;
inline const Repository words{word_table};

const Query<void()> create_books{R"(
  create table books (id bigint generated always as identity primary key, isbn text not null unique, title text not null,
                      price numeric not null, kind text not null, note text, size jsonb not null,
                      version bigint not null, deleted_at timestamptz, created_at timestamptz not null default now()))"};
const Query<void()> create_pages{
    "create table pages (book_id bigint not null, number int not null, text text not null, primary key (book_id, "
    "number))"};
const Query<void()> create_words{"create table words (word text primary key, meanings text[] not null)"};
const Query<std::int64_t()> all_books{"select count(*) from books"};

template <class F>
void with_books(F body) {
  test::with_db([&body](Db& db) -> Task<void> {
    co_await db.exec(create_books);
    co_await db.exec(create_pages);
    co_await db.exec(create_words);
    co_await body(db);
  });
}
Task<Book> walls(Db& db) { return books.insert(db, NewBook{.isbn = "1", .title = "Walls"}); }

std::vector<std::string> titles(const std::vector<Book>& from) {
  std::vector<std::string> out;
  for (const Book& book : from) out.push_back(book.title);
  return out;
}

TEST(Repository, ReadsAsTheGuideSays) {
  with_books([](Db& db) -> Task<void> {
    // sample: one-row
    Book book = co_await books.insert(db, NewBook{.isbn = "978-1", .title = "Walls"});  // the server gives the rest
    book = co_await books.get(db, book.id);                                             // no row: pg::NoRow, 404
    const std::optional<Book> found = co_await books.find_by<"isbn">(db, "978-1");
    book.note = "dry stone";
    book = co_await books.update(db, book);  // another version: pg::StaleVersion, 409
    book = co_await books.update(db, Titled{.id = book.id, .version = book.version, .title = "Dry walls"});
    book = co_await books.upsert<"isbn">(db, NewBook{.isbn = "978-1", .title = "Walls"});
    co_await books.remove(db, book.id);   // softly: it is gone for all but restore() and purge()
    co_await books.restore(db, book.id);  // and back
    // end of sample
    EXPECT_TRUE(found);
    // sample: many-rows
    const std::vector<NewBook> rows{{.isbn = "978-2", .title = "Arches"}, {.isbn = "978-3", .title = "Roofs"}};
    const std::vector<Book> made = co_await books.insert_all(db, rows);  // one statement, all or nothing
    const std::vector<Book> paper = co_await books.all_by<"kind">(db, Kind::paper);
    const std::vector<Page> of_both = co_await pages.all_in<"book_id">(db, {made[0].id, made[1].id});
    // end of sample
    EXPECT_EQ(paper.size(), 3U);
    EXPECT_THAT(of_both, IsEmpty());
  });
}

TEST(Repository, InsertsWhatAStructNamesAndGivesTheWholeRow) {
  with_books([](Db& db) -> Task<void> {
    const Book book = co_await books.insert(db, NewBook{.isbn = "1", .title = "Walls", .note = "dry", .size = {3, 4}});
    EXPECT_EQ(book.id, 1);
    EXPECT_EQ(book.title, "Walls");
    EXPECT_EQ(book.note, "dry");
    EXPECT_EQ(book.size, (Size{3, 4}));
    EXPECT_EQ(book.version, 1);
    EXPECT_FALSE(book.deleted_at);
    EXPECT_GT(book.created_at, DateTime{});
    const Book again = co_await books.get(db, 1);
    EXPECT_EQ(again.title, "Walls");
    EXPECT_EQ(again.created_at, book.created_at);
  });
}

TEST(Repository, InsertsTheRowItself) {
  with_books([](Db& db) -> Task<void> {
    Book book = co_await walls(db);
    book.isbn = "2";
    book.version = 70;  // a new row begins with 1
    const Book copy = co_await books.insert(db, book);
    EXPECT_EQ(copy.id, 2);
    EXPECT_EQ(copy.version, 1);
    EXPECT_EQ(copy.created_at, book.created_at);
  });
}

TEST(Repository, SaysWhenThereIsNone) {
  with_books([](Db& db) -> Task<void> {
    EXPECT_EQ((co_await test::caught<NoRow>(books.get(db, 7)))->kind(), ErrorKind::not_found);
    EXPECT_FALSE(co_await books.find(db, 7));
    EXPECT_FALSE(co_await books.exists(db, 7));
    EXPECT_FALSE(co_await books.find_by<"isbn">(db, "7"));
    co_await test::caught<NoRow>(books.get_by<"isbn">(db, "7"));
    co_await test::caught<NoRow>(books.remove(db, 7));
    co_await test::caught<NoRow>(books.update(db, Titled{.id = 7, .version = 1, .title = "x"}));
  });
}

TEST(Repository, FindsByOtherColumns) {
  with_books([](Db& db) -> Task<void> {
    co_await walls(db);
    co_await books.insert(db, NewBook{.isbn = "2", .title = "Roofs", .kind = Kind::cloth, .note = "wet"});
    EXPECT_EQ((co_await books.get_by<"isbn">(db, "2")).title, "Roofs");
    EXPECT_THAT(titles(co_await books.all_by<"kind">(db, Kind::paper)), ElementsAre("Walls"));
    EXPECT_THAT(titles(co_await books.all_by<"note", "kind">(db, "wet", Kind::cloth)), ElementsAre("Roofs"));
    co_await test::caught<TooManyRows>(books.find_by<"size">(db, Size{1, 2}));
    EXPECT_EQ(co_await books.count(db), 2);
  });
}

TEST(Repository, ReadsManyKeysByOneStatement) {
  with_books([](Db& db) -> Task<void> {
    for (const char* isbn : {"1", "2", "3"}) co_await books.insert(db, NewBook{.isbn = isbn, .title = isbn});
    EXPECT_THAT(titles(co_await books.all(db, {3, 9, 1, 3})), ElementsAre("1", "3"));
    EXPECT_THAT(co_await books.all(db, {}), IsEmpty());
  });
}

TEST(Repository, AnUpdateCountsTheVersion) {
  with_books([](Db& db) -> Task<void> {
    Book book = co_await walls(db);
    book.title = "High walls";
    book = co_await books.update(db, book);
    EXPECT_EQ(book.version, 2);
    EXPECT_EQ(book.title, "High walls");
    const Book after = co_await books.update(db, Titled{.id = book.id, .version = 2, .title = "Low walls"});
    EXPECT_EQ(after.title, "Low walls");
    EXPECT_EQ(after.isbn, "1") << "it did not name it";
    EXPECT_EQ(after.version, 3);
  });
}

TEST(Repository, AnUpdateOfAnOldVersionIsRefused) {
  with_books([](Db& db) -> Task<void> {
    const Book book = co_await walls(db);
    Book first = book;
    Book second = book;
    first.title = "first";
    second.title = "second";
    co_await books.update(db, first);
    const auto stale = co_await test::caught<StaleVersion>(books.update(db, second));
    EXPECT_EQ(stale->kind(), ErrorKind::conflict);
    EXPECT_EQ(stale->expected(), 1);
    EXPECT_EQ(stale->found(), 2);
    const auto failed = co_await test::caught<StaleVersion>(books.update(db, second, Expected::by_client));
    EXPECT_EQ(failed->kind(), ErrorKind::precondition_failed);
    EXPECT_EQ((co_await books.get(db, book.id)).title, "first");
  });
}

TEST(Repository, OfManyUpdatesOfOneVersionOneWins) {
  with_books([](Db& db) -> Task<void> {
    const Book book = co_await walls(db);
    int won = 0;
    int stale = 0;
    const auto change = [&](std::string title) -> Task<void> {
      try {
        co_await books.update(db, Titled{.id = book.id, .version = book.version, .title = std::move(title)});
        ++won;
      } catch (const StaleVersion&) {
        ++stale;
      }
    };
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(change(std::to_string(i)));
    co_await async::all(std::move(tasks));
    EXPECT_EQ(won, 1);
    EXPECT_EQ(stale, 19);
  });
}

TEST(Repository, DeletesSoftlyAndBringsBack) {
  with_books([](Db& db) -> Task<void> {
    const Book book = co_await walls(db);
    co_await books.remove(db, book.id);
    EXPECT_FALSE(co_await books.find(db, book.id));
    EXPECT_FALSE(co_await books.exists(db, book.id));
    EXPECT_THAT(co_await books.all_by<"kind">(db, Kind::paper), IsEmpty());
    EXPECT_THAT(co_await books.all(db, {book.id}), IsEmpty());
    EXPECT_EQ(co_await books.count(db), 0);
    co_await test::caught<NoRow>(books.update(db, book));
    co_await test::caught<NoRow>(books.remove(db, book.id));
    EXPECT_EQ(co_await db.one(all_books), 1) << "it is still there";

    const Book back = co_await books.restore(db, book.id);
    EXPECT_EQ(back.version, 3);
    EXPECT_FALSE(back.deleted_at);
    EXPECT_TRUE(co_await books.exists(db, book.id));
    co_await test::caught<NoRow>(books.restore(db, book.id));
  });
}

TEST(Repository, DeletesOneVersionOnly) {
  with_books([](Db& db) -> Task<void> {
    const Book book = co_await walls(db);
    Book changed = book;
    changed.title = "other";
    changed = co_await books.update(db, changed);
    co_await test::caught<StaleVersion>(books.remove(db, book));
    EXPECT_EQ((co_await test::caught<StaleVersion>(books.remove(db, book, Expected::by_client)))->kind(),
              ErrorKind::precondition_failed);
    co_await books.remove(db, changed);
    EXPECT_FALSE(co_await books.exists(db, book.id));
  });
}

TEST(Repository, PurgesWhatWasDeletedLongAgo) {
  with_books([](Db& db) -> Task<void> {
    const Book first = co_await walls(db);
    const Book second = co_await books.insert(db, NewBook{.isbn = "2", .title = "Roofs"});
    co_await books.remove(db, first.id);
    EXPECT_EQ(co_await books.purge(db, first.created_at), 0U) << "it was deleted later";
    EXPECT_EQ(co_await books.purge(db, *DateTime::parse("2999-01-01T00:00:00Z")), 1U);
    EXPECT_EQ(co_await db.one(all_books), 1);
    EXPECT_TRUE(co_await books.exists(db, second.id));
  });
}

TEST(Repository, UpsertsByAUniqueColumn) {
  with_books([](Db& db) -> Task<void> {
    const Book book = co_await books.upsert<"isbn">(db, NewBook{.isbn = "1", .title = "Walls"});
    EXPECT_EQ(book.version, 1);
    const Book again = co_await books.upsert<"isbn">(db, NewBook{.isbn = "1", .title = "Other walls"});
    EXPECT_EQ(again.id, book.id);
    EXPECT_EQ(again.title, "Other walls");
    EXPECT_EQ(again.version, 2);
    co_await books.remove(db, book.id);
    EXPECT_FALSE((co_await books.upsert<"isbn">(db, NewBook{.isbn = "1", .title = "back"})).deleted_at);
  });
}

TEST(Repository, UpsertsByAKeyOfTwoColumns) {
  with_books([](Db& db) -> Task<void> {
    co_await pages.upsert(db, Page{1, 1, "one"});
    co_await pages.upsert(db, Page{1, 1, "uno"});
    EXPECT_EQ((co_await pages.get(db, 1, 1)).text, "uno");
    EXPECT_EQ(co_await pages.count(db), 1);
    EXPECT_EQ((co_await pages.update(db, Page{1, 1, "eins"})).text, "eins");
    co_await pages.remove(db, 1, 1);
    EXPECT_FALSE(co_await pages.find(db, 1, 1));
  });
}

TEST(Repository, InsertsManyByOneStatement) {
  with_books([](Db& db) -> Task<void> {
    std::vector<NewBook> rows;
    for (int i = 0; i < 1000; ++i) {
      rows.push_back({.isbn = std::to_string(i),
                      .title = fmt::format("book {}", i),
                      .kind = i % 2 == 0 ? Kind::paper : Kind::cloth,
                      .note = i % 3 == 0 ? std::nullopt : std::optional<std::string>("note"),
                      .size = {i, 2}});
    }
    const auto before = db.stats().queries;
    const std::vector<Book> made = co_await books.insert_all(db, rows);
    EXPECT_EQ(db.stats().queries - before, 1U);
    EXPECT_EQ(made.size(), 1000U);
    EXPECT_EQ(made[7].title, "book 7");
    EXPECT_EQ(made[7].kind, Kind::cloth);
    EXPECT_EQ(made[7].size, (Size{7, 2}));
    EXPECT_EQ(made[7].version, 1);
    EXPECT_FALSE(made[6].note);
    EXPECT_THAT(co_await books.insert_all(db, std::vector<NewBook>{}), IsEmpty());
  });
}

TEST(Repository, InsertsAllOrNothing) {
  with_books([](Db& db) -> Task<void> {
    const std::vector<NewBook> rows{{.isbn = "1", .title = "a"}, {.isbn = "1", .title = "b"}};
    co_await test::caught<UniqueViolation>(books.insert_all(db, rows));
    EXPECT_EQ(co_await books.count(db), 0);
    EXPECT_THROW((void)pages.insert_all(db, std::vector<Page>(100'001)), Invalid);
  });
}

TEST(Repository, UpsertsManyByOneStatement) {
  with_books([](Db& db) -> Task<void> {
    co_await pages.insert(db, Page{1, 1, "one"});
    const auto rows = co_await pages.upsert_all(db, std::vector<Page>{{1, 1, "uno"}, {1, 2, "due"}});
    EXPECT_EQ(rows.size(), 2U);
    EXPECT_EQ((co_await pages.get(db, 1, 1)).text, "uno");
    EXPECT_EQ(co_await pages.count(db), 2);
  });
}

TEST(Repository, KeepsArrays) {
  with_books([](Db& db) -> Task<void> {
    co_await words.insert(db, Word{"wall", {"muro", "mur"}});
    EXPECT_THAT((co_await words.get(db, "wall")).meanings, ElementsAre("muro", "mur"));
  });
}

TEST(Repository, LoadsTheChildrenOfManyParentsByOneStatement) {
  // sample: children
  struct WithPages {
    std::int64_t id;
    std::vector<Page> pages;
  };
  // end of sample
  with_books([](Db& db) -> Task<void> {
    co_await pages.insert_all(db, std::vector<Page>{{1, 2, "b"}, {1, 1, "a"}, {2, 1, "c"}, {9, 1, "z"}});
    std::vector<WithPages> parents{{.id = 2, .pages = {}}, {.id = 1, .pages = {}}, {.id = 3, .pages = {}}};
    const auto before = db.stats().queries;
    // sample: attach
    co_await pages.attach<"book_id">(db, parents, &WithPages::id, &WithPages::pages);
    // end of sample
    EXPECT_EQ(db.stats().queries - before, 1U);
    EXPECT_EQ(parents[0].pages.size(), 1U);
    EXPECT_EQ(parents[1].pages.size(), 2U);
    EXPECT_EQ(parents[1].pages[0].text, "a") << "in the order of their key";
    EXPECT_THAT(parents[2].pages, IsEmpty());
    std::vector<WithPages> twice{{.id = 2, .pages = {}}, {.id = 2, .pages = {}}};
    co_await pages.attach<"book_id">(db, twice, &WithPages::id, &WithPages::pages);
    EXPECT_EQ(twice[0].pages.size(), 1U);
    EXPECT_EQ(twice[1].pages.size(), 1U) << "as when many have one parent";
    std::vector<WithPages> none;
    co_await pages.attach<"book_id">(db, none, &WithPages::id, &WithPages::pages);
  });
}

struct Entry {
  std::int64_t id;
  std::string word;
};
inline const Table<Entry, "order", primary_key{"id"}> entry_table;
inline const Repository entries{entry_table};
struct EntryList {
  SortBy<"word"> sort = "word";
  int limit = 2;
  std::int64_t offset = 0;
};

TEST(Repository, OfATableWhoseNameNeedsQuotes) {
  with_books([](Db& db) -> Task<void> {
    co_await db.exec(Query<void()>{"create table \"order\" (id bigint primary key, word text not null)"});
    co_await entries.insert_all(db, std::vector<Entry>{{1, "a"}, {2, "b"}});
    co_await entries.upsert(db, Entry{2, "c"});
    EXPECT_EQ((co_await entries.get(db, 2)).word, "c");
    EXPECT_EQ((co_await entries.page(db, EntryList{})).total, 2);
    co_await entries.remove(db, 1);
    EXPECT_EQ(co_await entries.count(db), 1);
  });
}

struct BookList {
  FilterBy<Kind> kind;
  SortBy<"title", "price"> sort = "title";
  int limit = 2;
  std::int64_t offset = 0;
};
struct BookFeed {
  FilterBy<Kind> kind;
  SortBy<"title"> sort = "title";
  int limit = 2;
  std::optional<std::string> cursor;
};

TEST(Repository, ListsByPagesAndByKeyset) {
  with_books([](Db& db) -> Task<void> {
    for (const char* title : {"a", "b", "c", "d"}) co_await books.insert(db, NewBook{.isbn = title, .title = title});
    co_await books.remove(db, 2);
    const auto page = co_await books.page(db, BookList{});
    EXPECT_EQ(page.total, 3);
    EXPECT_THAT(titles(page.items), ElementsAre("a", "c"));
    const auto first = co_await books.after(db, BookFeed{}, std::nullopt);
    EXPECT_THAT(titles(first.items), ElementsAre("a", "c"));
    const auto next = co_await books.after(db, BookFeed{}, first.next);
    EXPECT_THAT(titles(next.items), ElementsAre("d"));
  });
}

TEST(Repository, ALockedRowWaitsForTheTransaction) {
  with_books([](Db& db) -> Task<void> {
    const Book book = co_await walls(db);
    co_await db.transaction([&](Tx& tx) -> Task<void> {
      Book mine = co_await books.lock(tx, book.id);
      const TransactionOptions impatient{.max_attempts = 1, .lock_timeout = std::chrono::milliseconds(50)};
      co_await test::caught<LockNotAvailable>(
          db.transaction(impatient, [&](Tx& other) -> Task<void> { (void)co_await books.lock(other, book.id); }));
      mine.title = "mine";
      co_await books.update(tx, mine);
    });
    EXPECT_EQ((co_await books.get(db, book.id)).title, "mine");
  });
}

TEST(Repository, ItsStatementsAreCheckedAgainstTheSchema) {
  with_books([](Db& db) -> Task<void> {
    const auto of_books = [](const std::vector<std::string>& problems) {
      std::string out;
      for (const std::string& problem : problems) {
        for (const char* table : {"books.", "pages.", "words."}) {
          if (problem.find(std::string("query ") + table) != std::string::npos) out += problem + "\n";
        }
      }
      return out;
    };
    EXPECT_EQ(of_books(co_await db.check()), "");
    const DynamicQuery<void()> other{unsafe_sql("alter table books alter column title type int using 0")};
    co_await db.exec(other);
    const std::string problems = of_books(co_await db.check());
    EXPECT_THAT(problems, HasSubstr("books.get"));
    EXPECT_THAT(problems, HasSubstr("`title` is int4 in PostgreSQL, but the member `title` is std::string"));
    EXPECT_THAT(problems, HasSubstr("books.insert_all"));
    EXPECT_THAT(problems, Not(HasSubstr("pages.")));
  });
}

TEST(Repository, OnlyWhatIsUsedIsAStatement) {
  std::vector<std::string> names;
  Statement::for_each([&](const Statement& one) { names.push_back(one.name()); });
  EXPECT_THAT(names, Contains("books.restore"));
  EXPECT_THAT(names, Not(Contains("words.count")));
}

}  // namespace
}  // namespace ashlar::pg
