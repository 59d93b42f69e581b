// A filter of a list that is no member of its row.
// expect: a FilterBy of the model is named like no member of the row that is one column
#include <ashlar/pg/listing.hpp>

using namespace ashlar;

struct Book {
  std::int64_t id;
  std::string title;
};
struct BookList {
#ifdef ASHLAR_FIXED
  FilterBy<std::string> title;
#else
  FilterBy<std::string> titel;
#endif
  int limit = 20;
  int offset = 0;
};

inline const pg::Listing<Book(), BookList, "id"> books{"select id, title from books"};
