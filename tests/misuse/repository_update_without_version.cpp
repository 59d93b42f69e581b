// A row with a version is changed by a struct that does not say which version.
// expect: an update needs the primary key, the version if the table has one, and something else in the struct
#include <ashlar/pg/repository.hpp>

using namespace ashlar;

struct Book {
  std::int64_t id;
  std::string title;
  std::int64_t version;
};
struct Titled {
  std::int64_t id;
#ifdef ASHLAR_FIXED
  std::int64_t version;
#endif
  std::string title;
};

inline const pg::Table<Book, "books", pg::primary_key{"id"}, pg::identity{"id"}, pg::version{"version"}> book_table;
inline const pg::Repository books{book_table};

Task<Book> rename(pg::Executor& db, Titled titled) { return books.update(db, titled); }
