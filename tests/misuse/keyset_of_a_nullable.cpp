// A list by cursors in an order that NULL has no place in.
// expect: this list is read by keyset, but a field of its SortBy may be NULL
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/listing.hpp>

using namespace ashlar;

struct Book {
  std::int64_t id;
  std::string title;
  std::optional<std::string> subtitle;
};
struct BookList {
#ifdef ASHLAR_FIXED
  SortBy<"title"> sort;
#else
  SortBy<"title", "subtitle"> sort;
#endif
  int limit = 20;
  std::optional<std::string> cursor;
};

inline const pg::Listing<Book(), BookList, "id"> books{"select id, title, subtitle from books"};

Task<void> read(pg::Db& db) { (void)co_await books.after(db, BookList{}, {}); }
