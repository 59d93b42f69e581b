// Structured concurrency: sleep, all, any, timeout, shield, task_group. Children never outlive the call that started
// them.
#pragma once

#include <algorithm>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::async {
namespace detail {

/// Tasks that run side by side in a scope of their own, below the caller's. Lives in the caller's frame.
class Children final : public Completion, public Waiter {
 public:
  enum class Scope : std::uint8_t { inherit, detached };
  enum class OnError : std::uint8_t { cancel_siblings, keep_going };

  explicit Children(Scope scope = Scope::inherit, OnError on_error = OnError::cancel_siblings);
  ~Children() = default;

  void start(Task<void> task);
  void cancel(CancelReason reason) noexcept { scope_.cancel(reason); }
  [[nodiscard]] Context& child_context() noexcept { return context_; }
  [[nodiscard]] std::exception_ptr first_error() const noexcept { return first_error_; }
  [[nodiscard]] std::size_t running() const noexcept { return running_; }

  /// Awaitable: until all have ended. Not cancellable: the children are cancelled, and then end.
  struct Join {
    Children& children;
    bool await_ready() const noexcept { return children.running_ == 0; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept {
      children.joining_ = true;
      children.suspend(handle, Cancellable::no);
    }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] Join join() noexcept { return Join{*this}; }
  void rethrow() const {
    if (first_error_) std::rethrow_exception(first_error_);
  }

 private:
  void on_complete(std::exception_ptr error) noexcept override;
  void on_cancel() noexcept override {}

  CancelScope scope_;
  Context context_;
  std::exception_ptr first_error_;
  std::size_t running_ = 0;
  OnError on_error_;
  bool joining_ = false;
};

template <class T>
Task<void> store(Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}
inline Task<void> store(Task<void> task, std::optional<std::monostate>& result) {
  co_await std::move(task);
  result.emplace();
}

template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
Task<void> store_first(Task<T> task, std::optional<Stored<T>>& result, Children& children) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    if (!result) result.emplace();
  } else {
    T value = co_await std::move(task);
    if (!result) result.emplace(std::move(value));
  }
  children.cancel(CancelReason::cancelled);
}

class SleepAwaiter final : public Waiter, private Timer {
 public:
  explicit SleepAwaiter(Nanoseconds duration) noexcept : duration_(duration) {}
  bool await_ready() noexcept {
    if (!cancelled_already()) [[likely]]
      return false;
    mark_cancelled();
    return true;
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspend(handle);
    Timer::arm(Loop::current(), duration_);
  }
  void await_resume() const { check_cancelled(); }

 private:
  void on_timer() noexcept override { wake(); }
  void on_cancel() noexcept override {
    Timer::cancel();
    mark_cancelled();
    wake();
  }
  Nanoseconds duration_;
};

class TimeoutTimer final : private Timer {
 public:
  TimeoutTimer(Children& children, Nanoseconds after) : children_(children) { Timer::arm(Loop::current(), after); }
  ~TimeoutTimer() = default;

 private:
  void on_timer() noexcept override { children_.cancel(CancelReason::deadline); }
  Children& children_;
};

}  // namespace detail

/// Waits at least `duration` (resolution: 1 ms). Throws Cancelled or DeadlineExceeded.
[[nodiscard]] inline detail::SleepAwaiter sleep(Nanoseconds duration) noexcept {
  return detail::SleepAwaiter{duration};
}

/// Runs all tasks side by side and gives their values in order. The first error cancels the others, waits for them, and
/// is rethrown.
template <class... T>
  requires(sizeof...(T) > 0)
Task<std::tuple<detail::Stored<T>...>> all(Task<T>... tasks) {
  std::tuple<std::optional<detail::Stored<T>>...> results;
  detail::Children children;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (children.start(detail::store(std::move(tasks), std::get<I>(results))), ...);
  }(std::index_sequence_for<T...>{});
  co_await children.join();
  children.rethrow();
  co_return std::apply([](auto&... result) { return std::tuple<detail::Stored<T>...>(std::move(*result)...); },
                       results);
}

template <class T>
Task<std::vector<detail::Stored<T>>> all(std::vector<Task<T>> tasks) {
  std::vector<std::optional<detail::Stored<T>>> results(tasks.size());
  detail::Children children;
  for (std::size_t i = 0; i < tasks.size(); ++i) children.start(detail::store(std::move(tasks[i]), results[i]));
  co_await children.join();
  children.rethrow();
  std::vector<detail::Stored<T>> values;
  values.reserve(results.size());
  for (auto& result : results) values.push_back(std::move(*result));
  co_return values;
}

/// The value of the first task that succeeds; the others are cancelled and waited for. If all fail: the first error.
template <class T, class... Rest>
  requires(std::is_same_v<T, Rest> && ...)
Task<T> any(Task<T> first, Task<Rest>... rest) {
  std::optional<detail::Stored<T>> result;
  detail::Children children{detail::Children::Scope::inherit, detail::Children::OnError::keep_going};
  children.start(detail::store_first(std::move(first), result, children));
  (children.start(detail::store_first(std::move(rest), result, children)), ...);
  co_await children.join();
  if (!result) children.rethrow();
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

/// The first task to end decides, by its value or its error; the others are cancelled and waited for.
template <class T, class... Rest>
  requires(std::is_same_v<T, Rest> && ...)
Task<T> race(Task<T> first, Task<Rest>... rest) {
  std::optional<detail::Stored<T>> result;
  detail::Children children;  // an error cancels the others, and so does a value: see store_first
  children.start(detail::store_first(std::move(first), result, children));
  (children.start(detail::store_first(std::move(rest), result, children)), ...);
  co_await children.join();
  if (!result) children.rethrow();
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

/// Runs the task with a deadline of `limit` from now (or the current one, if that is sooner). When it passes, what the
/// task waits for throws DeadlineExceeded inside it.
template <class T>
Task<T> timeout(Nanoseconds limit, Task<T> task) {
  std::optional<detail::Stored<T>> result;
  detail::Children children;
  children.child_context().deadline = std::min(children.child_context().deadline, Clock::now() + limit);
  const detail::TimeoutTimer timer{children, limit};
  children.start(detail::store(std::move(task), result));
  co_await children.join();
  children.rethrow();
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

/// Runs the task to its end even when the caller is cancelled or past its deadline: for clean-up that must happen.
template <class T>
Task<T> shield(Task<T> task) {
  std::optional<detail::Stored<T>> result;
  detail::Children children{detail::Children::Scope::detached};
  children.child_context().deadline = TimePoint::max();
  children.start(detail::store(std::move(task), result));
  co_await children.join();
  children.rethrow();
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

/// Tasks started one by one inside `task_group`.
class TaskGroup {
 public:
  /// Starts a task now, beside the others.
  void spawn(Task<void> task) { children_.start(std::move(task)); }
  void cancel() noexcept { children_.cancel(CancelReason::cancelled); }
  [[nodiscard]] std::size_t running() const noexcept { return children_.running(); }

 private:
  template <class F>
  friend auto task_group(F body) -> decltype(body(std::declval<TaskGroup&>()));
  detail::Children children_;
};

/// `co_await task_group([&](TaskGroup& group) -> Task<void> { group.spawn(a()); group.spawn(b()); co_return; });`
/// Ends when the body and everything it spawned have ended; the first error cancels the rest and is rethrown.
template <class F>
auto task_group(F body) -> decltype(body(std::declval<TaskGroup&>())) {
  using T = typename decltype(body(std::declval<TaskGroup&>()))::value_type;
  TaskGroup group;
  std::optional<detail::Stored<T>> result;
  std::exception_ptr error;
  try {
    co_await detail::store(body(group), result);
  } catch (...) {
    error = std::current_exception();
    group.cancel();
  }
  co_await group.children_.join();
  if (error) std::rethrow_exception(error);
  group.children_.rethrow();
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

}  // namespace ashlar::async
