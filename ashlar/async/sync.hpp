// Mutex, Semaphore and Event for coroutines. They may be shared between loops: waking crosses threads by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

#include <ashlar/async/waiter.hpp>

namespace ashlar::async {

/// How often a primitive was used and how often somebody had to wait.
struct SyncStats {
  std::uint64_t acquired = 0;
  std::uint64_t waited = 0;
  std::uint64_t waiting = 0;  ///< now
};

namespace detail {

class WaitQueue;

class QueuedWaiter : public Waiter {
 protected:
  ~QueuedWaiter() = default;
  void on_cancel() noexcept override;

 private:
  friend class WaitQueue;
  WaitQueue* queue_ = nullptr;  // set while linked
  QueuedWaiter* next_ = nullptr;
  QueuedWaiter* previous_ = nullptr;
};

/// First in, first out; guarded by `mutex`. Whoever unlinks a waiter under the lock is the one who wakes it.
class WaitQueue {
 public:
  explicit WaitQueue(std::mutex& mutex) noexcept : mutex_(mutex) {}
  void push(QueuedWaiter& waiter) noexcept;
  QueuedWaiter* pop() noexcept;
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  static void wake(QueuedWaiter& waiter) noexcept { waiter.wake_from_any_thread(); }

 private:
  friend class QueuedWaiter;
  void unlink(QueuedWaiter& waiter) noexcept;
  std::mutex& mutex_;
  QueuedWaiter* head_ = nullptr;
  QueuedWaiter* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace detail

class Semaphore;

/// Gives its units back when it goes.
class [[nodiscard]] Permit {
 public:
  Permit() noexcept = default;
  explicit Permit(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
  Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
  Permit& operator=(Permit&& other) noexcept {
    std::swap(semaphore_, other.semaphore_);
    return *this;
  }
  ~Permit();
  [[nodiscard]] explicit operator bool() const noexcept { return semaphore_ != nullptr; }

 private:
  Semaphore* semaphore_ = nullptr;
};

/// At most `units` holders at a time; the others wait in the order they came.
class Semaphore {
 public:
  explicit Semaphore(std::size_t units) noexcept : queue_(mutex_), free_(units) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  class Acquire final : public detail::QueuedWaiter {
   public:
    explicit Acquire(Semaphore& semaphore) noexcept : semaphore_(semaphore) {}
    bool await_ready() noexcept;
    bool await_suspend(std::coroutine_handle<> handle) noexcept;
    Permit await_resume();

   private:
    Semaphore& semaphore_;
  };
  /// `auto permit = co_await semaphore.acquire();` Throws Cancelled or DeadlineExceeded.
  [[nodiscard]] Acquire acquire() noexcept { return Acquire{*this}; }
  /// An empty permit when none is free.
  [[nodiscard]] Permit try_acquire() noexcept;
  [[nodiscard]] SyncStats stats() const noexcept;

 private:
  friend class Permit;
  void release() noexcept;
  mutable std::mutex mutex_;
  detail::WaitQueue queue_;
  std::size_t free_;
  SyncStats stats_;
};

/// Mutual exclusion over suspensions. `auto guard = co_await mutex.lock();` Not recursive.
class Mutex {
 public:
  [[nodiscard]] Semaphore::Acquire lock() noexcept { return semaphore_.acquire(); }
  [[nodiscard]] Permit try_lock() noexcept { return semaphore_.try_acquire(); }
  [[nodiscard]] SyncStats stats() const noexcept { return semaphore_.stats(); }

 private:
  Semaphore semaphore_{1};
};

/// A flag to wait for.
class Event {
 public:
  Event() noexcept : queue_(mutex_) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Lets everybody who waits, or will wait before reset(), through. From any thread.
  void set() noexcept;
  void reset() noexcept;
  [[nodiscard]] bool is_set() const noexcept;

  class Wait final : public detail::QueuedWaiter {
   public:
    explicit Wait(Event& event) noexcept : event_(event) {}
    bool await_ready() noexcept;
    bool await_suspend(std::coroutine_handle<> handle) noexcept;
    void await_resume() const { check_cancelled(); }

   private:
    Event& event_;
  };
  [[nodiscard]] Wait wait() noexcept { return Wait{*this}; }

 private:
  mutable std::mutex mutex_;
  detail::WaitQueue queue_;
  bool set_ = false;
};

}  // namespace ashlar::async
