// The default order of a list by a field that it is not sorted by.
// expect: call to immediate function .BookList::BookList. is not a constant expression
#include <ashlar/schema/filter.hpp>

using namespace ashlar;

struct BookList {
#ifdef ASHLAR_FIXED
  SortBy<"title", "price"> sort = "-price";
#else
  SortBy<"title", "price"> sort = "-prize";
#endif
};

BookList list;
