// A request that the service sends, written as if it were a handler.
// expect: kCanBeSent<ashlar::NoContent \(Delivery, Mailer &\)>': a request that the service sends consists of at most one body .*: other parameters are for handlers
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Order {
  std::string notify;
};
struct Delivery {
  int order;
};
struct Mailer {};

void add_routes(App& app) {
#ifdef ASHLAR_FIXED
  app.post<"/orders">([](Order) { return NoContent{}; },
                      {.callbacks = {callback<NoContent(Delivery)>("delivered", "{$request.body#/notify}")}});
#else
  app.post<"/orders">([](Order) { return NoContent{}; },
                      {.callbacks = {callback<NoContent(Delivery, Mailer&)>("delivered", "{$request.body#/notify}")}});
#endif
}
