// What a request carries with it through every task it starts: deadline, cancellation, trace, principal, route.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include <ashlar/base/clock.hpp>

namespace ashlar::async {

using Clock = SteadyClock;
using TimePoint = Clock::time_point;
using Nanoseconds = std::chrono::nanoseconds;

class Waiter;

enum class CancelReason : std::uint8_t { none, cancelled, deadline, shutdown };

/// A set of suspended coroutines, and of scopes inside it, that can be cancelled together. Belongs to one loop.
/// Cancelling resumes every coroutine that waits in it with an exception (Cancelled, or DeadlineExceeded), and every
/// later wait in it throws at once. Clean-up that must wait in spite of it uses `shield`.
class CancelScope {
 public:
  CancelScope() = default;
  explicit CancelScope(CancelScope* parent) noexcept { attach(parent); }
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;
  ~CancelScope();

  void cancel(CancelReason reason = CancelReason::cancelled) noexcept;
  [[nodiscard]] bool cancelled() const noexcept { return reason_ != CancelReason::none; }
  [[nodiscard]] CancelReason reason() const noexcept { return reason_; }
  /// Makes a used scope fresh again. Precondition: nothing waits in it.
  void reset() noexcept { reason_ = CancelReason::none; }

 private:
  friend class Waiter;
  void attach(CancelScope* parent) noexcept;

  Waiter* waiters_ = nullptr;
  CancelScope* parent_ = nullptr;
  CancelScope* children_ = nullptr;
  CancelScope* next_ = nullptr;
  CancelScope* previous_ = nullptr;
  CancelReason reason_ = CancelReason::none;
};

/// W3C trace context ids; all zero when there is no trace.
struct TraceContext {
  std::array<std::uint8_t, 16> trace_id{};
  std::array<std::uint8_t, 8> span_id{};
  std::uint8_t flags = 0;
  [[nodiscard]] bool valid() const noexcept { return trace_id != decltype(trace_id){}; }
};

/// The current request as every part sees it. Owned by whoever started the work (the HTTP exchange, a job, a test), and
/// followed by the runtime across every suspension; children of `timeout`, `all`, `any`, groups get a copy.
struct Context {
  TimePoint deadline = TimePoint::max();
  CancelScope* scope = nullptr;
  TraceContext trace{};
  const char* route = nullptr;  ///< "GET /articles/{slug}", for logs, metrics and the watchdog
  std::string_view request_id{};
  std::shared_ptr<const void> principal{};  ///< set by authentication; read through `app`
  void* overrides = nullptr;                ///< replaced dependencies of a test; null in production
};

namespace detail {
inline constinit thread_local Context* current_context = nullptr;
}

/// The context of the running task; null outside of any.
[[nodiscard]] inline Context* context() noexcept { return detail::current_context; }

/// Makes a context the current one for a scope of code.
class ContextGuard {
 public:
  explicit ContextGuard(Context* context) noexcept : previous_(detail::current_context) {
    detail::current_context = context;
  }
  ~ContextGuard() { detail::current_context = previous_; }
  ContextGuard(const ContextGuard&) = delete;
  ContextGuard& operator=(const ContextGuard&) = delete;

 private:
  Context* previous_;
};

}  // namespace ashlar::async
