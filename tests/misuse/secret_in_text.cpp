// A secret in a text: a log line, an answer, an error.
// expect: invalid operands to binary expression .*Secret<std::string>
#include <ashlar/ashlar.hpp>

using namespace ashlar;

std::string connect(const Secret<std::string>& password) {
#ifdef ASHLAR_FIXED
  return "password=" + password.reveal();
#else
  return "password=" + password;
#endif
}
