// A pattern of a number.
// expect: takes_text_rules<long>': pattern{}, strip{}, to_lower{} and to_upper{} are for text
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<std::string, pattern{"^[0-9]+$"}> id;
#else
  Annotated<std::int64_t, pattern{"^[0-9]+$"}> id;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
