// Runtime: one loop a thread; run(): one task on a loop of this thread.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>

namespace ashlar::async {

namespace detail {
void run_on_loop(Loop& loop, Task<void> task);
}

/// Runs a task on this thread until it ends: for main(), command lines and tests. Rethrows what it throws.
/// Precondition: no loop runs on this thread.
template <class T>
T run(Loop& loop, Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    detail::run_on_loop(loop, std::move(task));
  } else {
    std::optional<T> result;
    detail::run_on_loop(loop, detail::store(std::move(task), result));
    return std::move(*result);
  }
}
template <class T>
T run(Task<T> task) {
  Loop loop;
  return run(loop, std::move(task));
}

namespace detail {
/// Carries a task to another loop and wakes the caller on its own.
class CrossLoop final : public Waiter, public Completion {
 public:
  CrossLoop(Loop& target, Task<void> task) : target_(target), task_(std::move(task)) {}
  ~CrossLoop() = default;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    suspend(handle, Cancellable::no);
    target_.post([this] { launch(std::move(task_), *this); });
  }
  void await_resume() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void on_complete(std::exception_ptr error) noexcept override {
    error_ = std::move(error);
    wake_from_any_thread();
  }
  void on_cancel() noexcept override {}
  Loop& target_;
  Task<void> task_;
  std::exception_ptr error_;
};
}  // namespace detail

/// Runs a task on another loop and waits for it here. Not cancellable from here.
template <class T>
Task<T> run_on(Loop& target, Task<T> task) {
  std::optional<detail::Stored<T>> result;
  co_await detail::CrossLoop{target, detail::store(std::move(task), result)};
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

/// Loops 0…N-1: loop 0 on the thread that calls run(), the others on threads of their own.
class Runtime {
 public:
  explicit Runtime(unsigned loops);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  [[nodiscard]] unsigned size() const noexcept { return static_cast<unsigned>(loops_.size()); }
  [[nodiscard]] Loop& loop(unsigned index) noexcept { return *loops_[index]; }
  /// Runs the task on loop 0 until it ends, while the other loops run too.
  void run(Task<void> task);

 private:
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::thread> threads_;
};

/// What the watchdog saw: a handler that held its loop.
struct Stall {
  unsigned loop;
  std::chrono::milliseconds held;
  std::string route;  ///< what ran, when known
  std::string stack;  ///< one frame a line, innermost first
};

/// Watches loops from a thread of its own, and reports each tick that takes longer than `limit` once, with the stack
/// at that moment. `report` runs on the watchdog's thread.
class Watchdog {
 public:
  Watchdog(Runtime& runtime, std::chrono::milliseconds limit, std::function<void(const Stall&)> report);
  ~Watchdog();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::async
