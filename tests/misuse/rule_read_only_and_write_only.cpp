// A member that is neither read nor written.
// expect: a member that is read_only{} and write_only{} is never there
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<std::string, write_only{}> secret;
#else
  Annotated<std::string, read_only{}, write_only{}> secret;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
