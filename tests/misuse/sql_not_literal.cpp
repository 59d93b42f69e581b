// SQL that is put together at run time, where an injection would begin.
// expect: (not a constant expression|no matching constructor|no matching function)
#include <ashlar/ashlar.hpp>

using namespace ashlar;

void declare(const std::string& table) {
#ifdef ASHLAR_FIXED
  const pg::Query<std::int64_t(std::string)> count{"select count(*) from articles where author = $1"};
  const pg::DynamicQuery<std::int64_t()> dynamic{pg::unsafe_sql("select count(*) from " + table)};
  (void)dynamic;
#else
  const pg::Query<std::int64_t(std::string)> count{"select count(*) from " + table};
#endif
  (void)count;
}
