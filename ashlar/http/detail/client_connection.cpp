#include <ashlar/http/detail/client_connection.hpp>

#include <utility>

#include <ashlar/base/error.hpp>

namespace ashlar::http::detail {

ClientConnection::ClientConnection(async::Loop& loop, net::Transport transport)
    : loop_(loop), transport_(std::move(transport)) {
  loop_.add(transport_.fd(), EPOLLIN | EPOLLRDHUP, *this);
  interest_ = EPOLLIN | EPOLLRDHUP;
}

ClientConnection::~ClientConnection() {
  // Elsewhere the loop is gone; closing the descriptor ends the watch.
  if (async::Loop::current_or_null() == &loop_ && transport_) loop_.remove(transport_.fd(), *this);
}

bool ClientConnection::Wait::await_ready() noexcept {
  if (!cancelled_already()) [[likely]]
    return false;
  mark_cancelled();
  return true;
}

void ClientConnection::Wait::await_suspend(std::coroutine_handle<> handle) {
  connection_.watch((events_ & EPOLLIN) != 0 ? events_ | EPOLLRDHUP : events_);
  suspend(handle);
  connection_.waiting_ = this;
}

void ClientConnection::Wait::on_cancel() noexcept {
  if (connection_.waiting_ != this) return;
  connection_.waiting_ = nullptr;
  mark_cancelled();
  wake();
}

void ClientConnection::on_io(std::uint32_t) noexcept {
  if (waiting_ != nullptr) {
    std::exchange(waiting_, nullptr)->wake();
    return;
  }
  if (resting_) dead_ = true;
  try {
    watch(0);  // nobody looks now: not again until somebody does
  } catch (const Error&) {
    dead_ = true;
  }
}

void ClientConnection::watch(std::uint32_t events) {
  if (events == interest_) return;
  loop_.modify(transport_.fd(), events, *this);
  interest_ = events;
}

void ClientConnection::rest(async::TimePoint now) noexcept {
  resting_ = true;
  resting_since_ = now;
  buffer.clear();
  consumed = 0;
  if (buffer.capacity() > 64 * 1024) buffer.shrink_to_fit();
}

bool ClientConnection::wake_up() noexcept {
  if (dead_) return false;
  resting_ = false;
  try {
    // Fails, too, when the loop it belonged to is gone and this is another one at the same place.
    loop_.modify(transport_.fd(), EPOLLIN | EPOLLRDHUP, *this);
  } catch (const Error&) {
    return false;
  }
  interest_ = EPOLLIN | EPOLLRDHUP;
  // What came in this tick, before the loop could say so, or with what was read.
  char byte;
  return transport_.secure() ? !transport_.has_pending()
                             : ::recv(transport_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

}  // namespace ashlar::http::detail
