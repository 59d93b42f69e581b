// Waiting for POSIX signals as for anything else.
#pragma once

#include <coroutine>
#include <initializer_list>

#include <ashlar/async/loop.hpp>

namespace ashlar::async {

/// Blocks the given signals in this thread, and in threads started after it, and delivers them to whoever awaits
/// next(). Make it in main() before any thread is started. The destructor restores the thread's mask.
class Signals final : private IoHandler {
 public:
  Signals(std::initializer_list<int> signals);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  class Next final : public Waiter {
   public:
    explicit Next(Signals& signals) noexcept : signals_(signals) {}
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle);
    int await_resume() const {
      check_cancelled();
      return signal_;
    }

   private:
    friend class Signals;
    void on_cancel() noexcept override;
    Signals& signals_;
    int signal_ = 0;
  };
  /// The number of the next signal. One waiter at a time.
  [[nodiscard]] Next next() noexcept { return Next{*this}; }

 private:
  void on_io(std::uint32_t events) noexcept override;
  int read_one() noexcept;
  int fd_ = -1;
  Next* waiting_ = nullptr;
  unsigned long saved_mask_[16]{};
};

}  // namespace ashlar::async
