// The base of every awaitable that really suspends: where it waits, with which context, and how it is cancelled.
#pragma once

#include <coroutine>
#include <cstdint>

#include <ashlar/async/context.hpp>

namespace ashlar::async {

class Loop;

enum class Cancellable : bool { no, yes };

/// One suspended coroutine. Derive an awaitable from it; keep it in the coroutine's frame (that is where the compiler
/// puts it); call `suspend` from await_suspend, put yourself into your own wait list, and call `wake` when it is time.
class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

 protected:
  ~Waiter() = default;

  /// The scope was cancelled: unlink from the own wait list, then wake(). Do nothing if somebody else has already
  /// unlinked this waiter and is about to wake it. Runs on the waiter's loop.
  virtual void on_cancel() noexcept = 0;

  void suspend(std::coroutine_handle<> handle, Cancellable cancellable = Cancellable::yes) noexcept;
  /// Queues the coroutine on its loop for this tick. Only from the waiter's own loop.
  void wake() noexcept;
  /// The same from any thread. The waiter may be gone when this returns.
  void wake_from_any_thread() noexcept;

  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
  /// For on_cancel: await_resume will throw.
  void mark_cancelled() noexcept { cancelled_ = true; }
  /// For await_ready: the current scope is cancelled, so do not wait.
  [[nodiscard]] static bool cancelled_already() noexcept {
    const Context* context = async::context();
    return context != nullptr && context->scope != nullptr && context->scope->cancelled();
  }
  /// For await_resume. Throws Cancelled or DeadlineExceeded if the wait was cancelled or never began because of it.
  void check_cancelled() const {
    if (cancelled_) [[unlikely]]
      throw_cancelled();
  }
  [[noreturn]] static void throw_cancelled();

  [[nodiscard]] Loop* loop() const noexcept { return loop_; }

 private:
  friend class CancelScope;
  friend class Loop;
  void unlink_from_scope() noexcept;

  std::coroutine_handle<> handle_;
  Context* context_ = nullptr;
  Loop* loop_ = nullptr;
  Waiter* next_ready_ = nullptr;
  CancelScope* scope_ = nullptr;
  Waiter* scope_next_ = nullptr;
  Waiter* scope_previous_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace ashlar::async
