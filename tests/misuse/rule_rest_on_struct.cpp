// Unknown members into what is no map.
// expect: takes_rest<std::.*string.*': rest{} is for a map from text
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<std::map<std::string, Json>, rest{}> more;
#else
  Annotated<std::string, rest{}> more;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
