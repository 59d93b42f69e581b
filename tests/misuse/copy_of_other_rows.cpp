// Rows of another struct than the table's.
// expect: copy_in takes the rows of its table: a vector, a view or a Generator of them, or a function
#include <ashlar/async/generator.hpp>
#include <ashlar/pg/db.hpp>

using namespace ashlar;

struct Reading {
  std::int64_t sensor;
  double value;
};
struct Order {
  std::int64_t id;
};

const pg::CopyInto<Reading> copy_readings{"readings"};

#ifdef ASHLAR_FIXED
Generator<Reading> rows();
#else
Generator<Order> rows();
#endif

Task<void> load(pg::Db& db) { co_await db.copy_in(copy_readings, rows()); }
