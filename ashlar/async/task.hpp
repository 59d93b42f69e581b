// Task<T>: a lazy coroutine that gives one value, or an exception, to whoever awaits it.
#pragma once

#include <cassert>
#include <coroutine>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include <ashlar/async/detail/frame_pool.hpp>

namespace ashlar {

template <class T = void>
class Task;

namespace async {

/// Told once when a launched task has ended. Runs on the task's loop, after its frame is gone.
class Completion {
 public:
  virtual void on_complete(std::exception_ptr error) noexcept = 0;

 protected:
  ~Completion() = default;
};

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> continuation;
  Completion* completion = nullptr;
  std::exception_ptr error;
  bool started = false;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
      PromiseBase& promise = handle.promise();
      if (promise.continuation) [[likely]]
        return promise.continuation;
      if (Completion* whom = promise.completion; whom != nullptr) {
        std::exception_ptr failure = std::move(promise.error);
        handle.destroy();
        whom->on_complete(std::move(failure));
      }
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
};

template <class T>
struct Promise : PromiseBase {
  union {
    T value;
  };
  bool has_value = false;

  Promise() noexcept {}
  ~Promise() {
    if (has_value) std::destroy_at(std::addressof(value));
  }
  Task<T> get_return_object() noexcept;
  template <class U>
    requires std::is_constructible_v<T, U&&>
  void return_value(U&& result) {
    std::construct_at(std::addressof(value), std::forward<U>(result));
    has_value = true;
  }
  T take() {
    if (error) [[unlikely]]
      std::rethrow_exception(std::move(error));
    return std::move(value);
  }
};

template <class T>
  requires std::is_reference_v<T>
struct Promise<T> : PromiseBase {
  std::remove_reference_t<T>* value = nullptr;
  Task<T> get_return_object() noexcept;
  void return_value(T result) noexcept { value = std::addressof(result); }
  T take() {
    if (error) [[unlikely]]
      std::rethrow_exception(std::move(error));
    return static_cast<T>(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() {
    if (error) [[unlikely]]
      std::rethrow_exception(std::move(error));
  }
};

}  // namespace detail
}  // namespace async

/// A lazy coroutine: it runs when it is awaited, once, on the awaiting loop. Exceptions travel to the awaiter.
/// Dropping a task that was never awaited is a mistake: the compiler warns, and debug builds assert.
/// Parameters of a coroutine are taken by value unless the caller awaits it at once.
template <class T>
class [[nodiscard("a Task does nothing until it is awaited")]] Task {
 public:
  using value_type = T;
  using promise_type = async::detail::Promise<T>;

  Task() noexcept = default;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { reset(); }

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

  struct Awaiter {
    std::coroutine_handle<promise_type> handle;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
      handle.promise().continuation = awaiting;
      handle.promise().started = true;
      return handle;
    }
    T await_resume() const { return handle.promise().take(); }
  };
  /// The task must live until it has ended; a temporary in the co_await expression does.
  Awaiter operator co_await() const& noexcept { return Awaiter{handle_}; }
  Awaiter operator co_await() && noexcept { return Awaiter{handle_}; }

  /// Gives up ownership; for the runtime.
  std::coroutine_handle<promise_type> release() noexcept { return std::exchange(handle_, {}); }

 private:
  void reset() noexcept {
    if (!handle_) return;
    assert((handle_.promise().started || std::uncaught_exceptions() > 0) && "a Task was dropped without being awaited");
    std::exchange(handle_, {}).destroy();
  }

  std::coroutine_handle<promise_type> handle_;
};

namespace async {
namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>{std::coroutine_handle<Promise<T>>::from_promise(*this)};
}
template <class T>
  requires std::is_reference_v<T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>{std::coroutine_handle<Promise<T>>::from_promise(*this)};
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>{std::coroutine_handle<Promise<void>>::from_promise(*this)};
}
}  // namespace detail

/// Starts a task on this loop in the current context, without awaiting it. `completion` must live until it is told;
/// that may be before launch returns.
inline void launch(Task<void> task, Completion& completion) {
  auto handle = task.release();
  handle.promise().completion = &completion;
  handle.promise().started = true;
  handle.resume();
}

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

}  // namespace async
}  // namespace ashlar
