// Decimal places of a double.
// expect: takes_digits<double>': max_digits{} and decimal_places{} are for Decimal
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<Decimal, decimal_places{2}> price;
#else
  Annotated<double, decimal_places{2}> price;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
