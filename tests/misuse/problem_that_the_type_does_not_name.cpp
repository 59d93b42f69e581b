// A problem that is not among those that the handler's type names, and so OpenAPI.
// expect: no (viable|matching).*Problems<404, 410>
#include <expected>

#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Book {
  std::string title;
};

std::expected<Book, Problems<404, 410>> find(int id) {
#ifdef ASHLAR_FIXED
  if (id == 0) return std::unexpected(ProblemOf<410>{"it is gone"});
#else
  if (id == 0) return std::unexpected(ProblemOf<409>{"it is gone"});
#endif
  return Book{"here"};
}
