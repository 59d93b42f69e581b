// A webhook that does not say what comes back.
// expect: Delivery.*: a request that the service sends is written as a function: NoContent\(Delivery\)
#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Delivery {
  int order;
};

void add_webhooks(App& app) {
#ifdef ASHLAR_FIXED
  app.webhook<NoContent(Delivery)>("delivered");
#else
  app.webhook<Delivery>("delivered");
#endif
}
