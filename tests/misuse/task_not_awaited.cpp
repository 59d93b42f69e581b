// A task that nobody awaits would do nothing. It is a warning, so that it can be seen as one here.
// expect: a Task does nothing until it is awaited
#pragma clang diagnostic error "-Wunused-result"
#include <ashlar/ashlar.hpp>

using namespace ashlar;

Task<void> send_mail(std::string to);

Task<void> register_user(std::string email) {
#ifdef ASHLAR_FIXED
  co_await send_mail(email);
#else
  send_mail(email);
  co_return;
#endif
}
