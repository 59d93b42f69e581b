// Bounds that no value fits.
// expect: bounds_are_in_order': no value fits: the lower bound is above the upper one
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Article {
#ifdef ASHLAR_FIXED
  Annotated<int, ge{1}, le{10}> rating;
#else
  Annotated<int, ge{10}, le{1}> rating;
#endif
};

const schema::TypeInfo& article = schema::type_info<Article>();
