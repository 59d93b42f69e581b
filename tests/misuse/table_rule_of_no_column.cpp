// A rule of a table that names a column which the struct does not have.
// expect: a rule names a column that is no member of the struct
#include <ashlar/ashlar.hpp>
#include <ashlar/pg/table.hpp>

using namespace ashlar;

struct Product {
  std::int64_t id;
  std::string name;
};

#ifdef ASHLAR_FIXED
inline const pg::Table<Product, "products", pg::primary_key{"id"}, pg::unique{"name"}> products;
#else
inline const pg::Table<Product, "products", pg::primary_key{"id"}, pg::unique{"nmae"}> products;
#endif
