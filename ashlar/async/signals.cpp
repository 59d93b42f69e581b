#include <ashlar/async/signals.hpp>

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstring>

#include <ashlar/base/error.hpp>

namespace ashlar::async {

Signals::Signals(std::initializer_list<int> signals) {
  static_assert(sizeof saved_mask_ >= sizeof(sigset_t));
  sigset_t set;
  sigset_t old;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, &old);
  std::memcpy(saved_mask_, &old, sizeof old);
  fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd_ < 0) throw Internal("cannot watch for signals (signalfd)");
}

Signals::~Signals() {
  ::close(fd_);
  sigset_t old;
  std::memcpy(&old, saved_mask_, sizeof old);
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

int Signals::read_one() noexcept {
  signalfd_siginfo info{};
  return ::read(fd_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

void Signals::on_io(std::uint32_t) noexcept {
  Next* next = waiting_;
  if (next == nullptr) return;
  next->signal_ = read_one();
  if (next->signal_ == 0) return;
  waiting_ = nullptr;
  Loop::current().remove(fd_, *this);
  next->wake();
}

bool Signals::Next::await_ready() noexcept {
  if (cancelled_already()) {
    mark_cancelled();
    return true;
  }
  signal_ = signals_.read_one();
  return signal_ != 0;
}

void Signals::Next::await_suspend(std::coroutine_handle<> handle) {
  suspend(handle);
  signals_.waiting_ = this;
  Loop::current().add(signals_.fd_, EPOLLIN, signals_);
}

void Signals::Next::on_cancel() noexcept {
  signals_.waiting_ = nullptr;
  Loop::current().remove(signals_.fd_, signals_);
  mark_cancelled();
  wake();
}

}  // namespace ashlar::async
