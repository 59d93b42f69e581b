// SQL that is put together at run time, where an injection would begin.
// expect: no matching constructor for initialization of 'const pg::Query<.*>'
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
