#include <ashlar/http/detail/websocket_carrier.hpp>

#include <linux/sockios.h>
#include <sys/ioctl.h>

namespace ashlar::http::detail {

void TransportCarrier::open(async::IoHandler& handler) {
  loop_.add(transport_.fd(), EPOLLIN | EPOLLRDHUP, handler);
  handler_ = &handler;
}

// A socket buffers megabytes: what we could write says nothing about the peer, what it has acknowledged does.
std::int64_t TransportCarrier::not_taken() const noexcept {
  int waiting = 0;
  return ::ioctl(transport_.fd(), SIOCOUTQ, &waiting) == 0 ? waiting : 0;
}

void TransportCarrier::close() noexcept {
  if (handler_ != nullptr) loop_.remove(transport_.fd(), *handler_);
  transport_.close();
}

}  // namespace ashlar::http::detail
