// A length of a number.
// expect: takes_length<int>': min_length{} and max_length{} count the characters of text .*for numbers write ge{} or le{}
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<int, ge{1}> views;
#else
  Annotated<int, min_length{1}> views;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
