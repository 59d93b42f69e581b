// A check whose function takes another type.
// expect: the function of check{…} must take the annotated type
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<std::string, check{+[](const std::string& s) { return s != "admin"; }, "is reserved"}> name;
#else
  Annotated<int, check{+[](const std::string& s) { return s != "admin"; }, "is reserved"}> name;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
