#include <ashlar/async/sync.hpp>

namespace ashlar::async {
namespace detail {

void QueuedWaiter::on_cancel() noexcept {
  WaitQueue* queue = queue_;
  if (queue == nullptr) return;
  {
    const std::lock_guard lock(queue->mutex_);
    if (queue_ == nullptr) return;  // another thread has taken us and will wake us
    queue->unlink(*this);
  }
  mark_cancelled();
  wake();
}

void WaitQueue::push(QueuedWaiter& waiter) noexcept {
  waiter.queue_ = this;
  waiter.next_ = nullptr;
  waiter.previous_ = tail_;
  (tail_ != nullptr ? tail_->next_ : head_) = &waiter;
  tail_ = &waiter;
  ++size_;
}

void WaitQueue::unlink(QueuedWaiter& waiter) noexcept {
  (waiter.previous_ != nullptr ? waiter.previous_->next_ : head_) = waiter.next_;
  (waiter.next_ != nullptr ? waiter.next_->previous_ : tail_) = waiter.previous_;
  waiter.queue_ = nullptr;
  --size_;
}

QueuedWaiter* WaitQueue::pop() noexcept {
  QueuedWaiter* waiter = head_;
  if (waiter != nullptr) unlink(*waiter);
  return waiter;
}

}  // namespace detail

Permit::~Permit() {
  if (semaphore_ != nullptr) semaphore_->release();
}

Permit Semaphore::try_acquire() noexcept {
  const std::lock_guard lock(mutex_);
  if (free_ == 0) return {};
  --free_;
  ++stats_.acquired;
  return Permit{*this};
}

bool Semaphore::Acquire::await_ready() noexcept {
  if (cancelled_already()) [[unlikely]] {
    mark_cancelled();
    return true;
  }
  const std::lock_guard lock(semaphore_.mutex_);
  if (semaphore_.free_ == 0) return false;
  --semaphore_.free_;
  ++semaphore_.stats_.acquired;
  return true;
}

bool Semaphore::Acquire::await_suspend(std::coroutine_handle<> handle) noexcept {
  const std::lock_guard lock(semaphore_.mutex_);
  ++semaphore_.stats_.acquired;
  if (semaphore_.free_ > 0) {
    --semaphore_.free_;
    return false;
  }
  ++semaphore_.stats_.waited;
  suspend(handle);
  semaphore_.queue_.push(*this);
  return true;
}

Permit Semaphore::Acquire::await_resume() {
  check_cancelled();
  return Permit{semaphore_};
}

void Semaphore::release() noexcept {
  detail::QueuedWaiter* next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    next = queue_.pop();
    if (next == nullptr) ++free_;
  }
  if (next != nullptr) detail::WaitQueue::wake(*next);
}

SyncStats Semaphore::stats() const noexcept {
  const std::lock_guard lock(mutex_);
  SyncStats stats = stats_;
  stats.waiting = queue_.size();
  return stats;
}

void Event::set() noexcept {
  for (;;) {
    detail::QueuedWaiter* next = nullptr;
    {
      const std::lock_guard lock(mutex_);
      set_ = true;
      next = queue_.pop();
    }
    if (next == nullptr) return;
    detail::WaitQueue::wake(*next);
  }
}

void Event::reset() noexcept {
  const std::lock_guard lock(mutex_);
  set_ = false;
}

bool Event::is_set() const noexcept {
  const std::lock_guard lock(mutex_);
  return set_;
}

bool Event::Wait::await_ready() noexcept {
  if (event_.is_set()) return true;
  if (!cancelled_already()) [[likely]]
    return false;
  mark_cancelled();
  return true;
}

bool Event::Wait::await_suspend(std::coroutine_handle<> handle) noexcept {
  const std::lock_guard lock(event_.mutex_);
  if (event_.set_) return false;
  suspend(handle);
  event_.queue_.push(*this);
  return true;
}

}  // namespace ashlar::async
