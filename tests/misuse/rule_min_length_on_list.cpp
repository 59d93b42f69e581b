// A length of a list, which has items.
// expect: takes_length<std::vector<int.*': min_length{} .*for lists, sets and maps min_items{} or max_items{}
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<std::vector<int>, min_items{1}> ratings;
#else
  Annotated<std::vector<int>, min_length{1}> ratings;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
