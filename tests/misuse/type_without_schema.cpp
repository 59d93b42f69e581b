// A member of a type that the library cannot read.
// expect: no schema for this type: give it .static parse
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  std::string file;
#else
  std::FILE* file;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
