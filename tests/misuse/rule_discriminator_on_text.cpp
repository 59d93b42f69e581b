// A discriminator where there is nothing to choose.
// expect: takes_discriminator<std::.*string.*': discriminator{} is for std::variant
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<std::string, alias{"kind"}> kind;
#else
  Annotated<std::string, discriminator{"kind"}> kind;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
