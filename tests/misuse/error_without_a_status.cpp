// An error that would be answered as if it were a success.
// expect: SoldOut.*: the error of a handler's std::expected must say its status, or it would go out with 200
#include <expected>

#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Book {
  std::string title;
};
struct SoldOut {
  std::string until;
};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.get<"/book">([]() -> std::expected<Book, Status<409, SoldOut>> { return std::unexpected(SoldOut{"May"}); });
#else
  app.get<"/book">([]() -> std::expected<Book, SoldOut> { return std::unexpected(SoldOut{"May"}); });
#endif
}
