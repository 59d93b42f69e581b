// Generator<T>: an asynchronous sequence. The producer co_yields and may co_await; the consumer pulls with next().
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <ashlar/async/detail/frame_pool.hpp>

namespace ashlar {

/// `while (auto item = co_await generator.next()) use(*item);` Lazy: the body runs only while somebody pulls.
/// Destroying it while it is suspended at a co_yield ends it and runs its destructors. One consumer at a time.
template <class T>
class [[nodiscard]] Generator {
 public:
  struct promise_type {
    std::coroutine_handle<> consumer;
    std::optional<T> value;
    std::exception_ptr error;

    static void* operator new(std::size_t size) { return async::detail::allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { async::detail::free_frame(frame, size); }

    Generator get_return_object() noexcept {
      return Generator{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    struct Handover {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        return self.promise().consumer;
      }
      void await_resume() const noexcept {}
    };
    std::suspend_always initial_suspend() noexcept { return {}; }
    Handover final_suspend() noexcept { return {}; }
    Handover yield_value(T item) {
      value.emplace(std::move(item));
      return {};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { error = std::current_exception(); }
  };

  Generator() noexcept = default;
  explicit Generator(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  Generator(Generator&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Generator& operator=(Generator&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Generator() {
    if (handle_) handle_.destroy();
  }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

  struct Next {
    std::coroutine_handle<promise_type> handle;
    bool await_ready() const noexcept { return !handle || handle.done(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> consumer) const noexcept {
      handle.promise().consumer = consumer;
      handle.promise().value.reset();
      return handle;
    }
    std::optional<T> await_resume() const {
      if (!handle) return std::nullopt;
      if (handle.promise().error) std::rethrow_exception(std::exchange(handle.promise().error, nullptr));
      if (handle.done()) return std::nullopt;
      return std::move(handle.promise().value);
    }
  };
  /// The next item, or nullopt at the end. Rethrows what the body threw.
  [[nodiscard]] Next next() noexcept { return Next{handle_}; }

 private:
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace ashlar
