// A bound of a text.
// expect: takes_bounds<std::.*string.*': ge{}, gt{}, le{} and lt{} are for numbers.*for text write min_length{} or max_length{}
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<std::string, min_length{1}> title;
#else
  Annotated<std::string, ge{1}> title;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
