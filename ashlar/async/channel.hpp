// Channel<T>: a bounded queue between coroutines, also of different loops. Full: senders wait. Empty: receivers wait.
#pragma once

#include <deque>
#include <optional>
#include <utility>

#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::async {

template <class T>
class Channel {
 public:
  /// Precondition: capacity ≥ 1.
  explicit Channel(std::size_t capacity) : senders_(mutex_), receivers_(mutex_), capacity_(capacity) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  class Send final : public detail::QueuedWaiter {
   public:
    Send(Channel& channel, T value) : channel_(channel), value_(std::move(value)) {}
    bool await_ready() noexcept {
      if (!this->cancelled_already()) [[likely]]
        return false;
      this->mark_cancelled();
      return true;
    }
    bool await_suspend(std::coroutine_handle<> handle) {
      detail::QueuedWaiter* receiver = nullptr;
      {
        const std::lock_guard lock(channel_.mutex_);
        if (channel_.closed_) return false;
        if (channel_.items_.size() >= channel_.capacity_) {
          this->suspend(handle);
          channel_.senders_.push(*this);
          return true;
        }
        receiver = channel_.put(std::move(value_));
        sent_ = true;
      }
      if (receiver != nullptr) detail::WaitQueue::wake(*receiver);
      return false;
    }
    void await_resume() {
      this->check_cancelled();
      if (!sent_) throw Unavailable("the channel is closed");
    }

   private:
    friend class Channel;
    Channel& channel_;
    T value_;
    bool sent_ = false;
  };

  class Receive final : public detail::QueuedWaiter {
   public:
    explicit Receive(Channel& channel) : channel_(channel) {}
    bool await_ready() noexcept {
      if (!this->cancelled_already()) [[likely]]
        return false;
      this->mark_cancelled();
      return true;
    }
    bool await_suspend(std::coroutine_handle<> handle) {
      detail::QueuedWaiter* sender = nullptr;
      {
        const std::lock_guard lock(channel_.mutex_);
        if (channel_.items_.empty() && !channel_.closed_) {
          this->suspend(handle);
          channel_.receivers_.push(*this);
          return true;
        }
        sender = channel_.take(item_);
      }
      if (sender != nullptr) detail::WaitQueue::wake(*sender);
      return false;
    }
    std::optional<T> await_resume() {
      this->check_cancelled();
      return std::move(item_);
    }

   private:
    friend class Channel;
    Channel& channel_;
    std::optional<T> item_;
  };

  /// Waits for room. Throws Unavailable when the channel is closed, Cancelled, DeadlineExceeded.
  [[nodiscard]] Send send(T value) { return Send{*this, std::move(value)}; }
  /// Waits for an item; nullopt when the channel is closed and empty.
  [[nodiscard]] Receive receive() { return Receive{*this}; }
  /// False when it is full or closed.
  [[nodiscard]] bool try_send(T value) {
    detail::QueuedWaiter* receiver = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      receiver = put(std::move(value));
    }
    if (receiver != nullptr) detail::WaitQueue::wake(*receiver);
    return true;
  }
  std::optional<T> try_receive() {
    std::optional<T> item;
    detail::QueuedWaiter* sender = nullptr;
    {
      const std::lock_guard lock(mutex_);
      sender = take(item);
    }
    if (sender != nullptr) detail::WaitQueue::wake(*sender);
    return item;
  }
  /// Nothing more is sent; what is inside can still be received. Waiting senders get Unavailable.
  void close() noexcept {
    for (;;) {
      detail::QueuedWaiter* next = nullptr;
      {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        next = senders_.pop();
        if (next == nullptr) next = receivers_.pop();
      }
      if (next == nullptr) return;
      detail::WaitQueue::wake(*next);
    }
  }
  [[nodiscard]] bool closed() const noexcept {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  [[nodiscard]] std::size_t size() const noexcept {
    const std::lock_guard lock(mutex_);
    return items_.size();
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  // Both under the lock; they give whom to wake after it.
  detail::QueuedWaiter* put(T value) {
    detail::QueuedWaiter* receiver = receivers_.pop();
    if (receiver != nullptr) {
      static_cast<Receive&>(*receiver).item_.emplace(std::move(value));
    } else {
      items_.push_back(std::move(value));
    }
    return receiver;
  }
  detail::QueuedWaiter* take(std::optional<T>& item) {
    if (items_.empty()) return nullptr;
    item.emplace(std::move(items_.front()));
    items_.pop_front();
    detail::QueuedWaiter* sender = senders_.pop();
    if (sender != nullptr) {
      auto& waiting = static_cast<Send&>(*sender);
      items_.push_back(std::move(waiting.value_));
      waiting.sent_ = true;
    }
    return sender;
  }

  mutable std::mutex mutex_;
  detail::WaitQueue senders_;
  detail::WaitQueue receivers_;
  std::deque<T> items_;
  std::size_t capacity_;
  bool closed_ = false;
};

}  // namespace ashlar::async
