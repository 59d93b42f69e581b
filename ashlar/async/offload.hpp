// offload: the way out of the loop for whatever blocks: files, DNS, password hashing.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <ashlar/async/loop.hpp>

namespace ashlar::async {

struct OffloadStats {
  std::uint64_t threads = 0;  ///< started so far
  std::uint64_t queued = 0;   ///< waiting for a thread now
  std::uint64_t running = 0;  ///< now
  std::uint64_t done = 0;
  std::uint64_t refused = 0;  ///< because the queue was full
};
[[nodiscard]] OffloadStats offload_stats() noexcept;

namespace detail {

struct BlockingJob {
  BlockingJob* next = nullptr;
  void (*run)(BlockingJob*) noexcept = nullptr;
};
/// Threads are started as needed, up to max(4, cores). Throws Unavailable when 1024 jobs wait already.
void submit_blocking(BlockingJob& job);

template <class F>
class Offload final : public Waiter, private BlockingJob {
 public:
  using Result = std::invoke_result_t<F&>;
  explicit Offload(F function) : function_(std::move(function)) {}

  bool await_ready() noexcept {
    if (!cancelled_already()) [[likely]]
      return false;
    mark_cancelled();
    return true;
  }
  void await_suspend(std::coroutine_handle<> handle) {
    this->run = [](BlockingJob* job) noexcept { static_cast<Offload*>(job)->execute(); };
    suspend(handle, Cancellable::no);
    submit_blocking(*this);
  }
  Result await_resume() {
    check_cancelled();
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<Result>) return std::move(*result_);
  }

 private:
  void execute() noexcept {
    try {
      if constexpr (std::is_void_v<Result>) {
        function_();
      } else {
        result_.emplace(function_());
      }
    } catch (...) {
      error_ = std::current_exception();
    }
    wake_from_any_thread();
  }
  void on_cancel() noexcept override {}

  F function_;
  std::optional<std::conditional_t<std::is_void_v<Result>, std::monostate, Result>> result_;
  std::exception_ptr error_;
};

}  // namespace detail

/// `auto text = co_await offload([&] { return read_file(path); });` Runs the function on a pool of threads and gives
/// its result, or exception, back on this loop. A function that runs cannot be cancelled: the caller waits for it, so
/// references into the caller's frame are safe. Throws Unavailable when the pool's queue is full.
template <class F>
[[nodiscard]] detail::Offload<std::decay_t<F>> offload(F&& function) {
  return detail::Offload<std::decay_t<F>>{std::forward<F>(function)};
}

}  // namespace ashlar::async
