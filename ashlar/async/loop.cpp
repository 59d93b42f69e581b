#include <ashlar/async/loop.hpp>

#include <fmt/core.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include <ashlar/base/error.hpp>

namespace ashlar::async {
namespace {

std::uint64_t as_ns(TimePoint when) noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Nanoseconds>(when.time_since_epoch()).count());
}

}  // namespace

void TickHook::unlink() noexcept {
  if (link_ == nullptr) return;
  // The loop's tail pointer may point into us; leave a hole instead of repairing it: see Loop::run_hooks.
  Loop* loop = Loop::current_or_null();
  if (loop != nullptr && loop->hooks_tail_ == &next_) loop->hooks_tail_ = link_;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
  next_ = nullptr;
}

Loop::Loop(unsigned index) : index_(index), now_(Clock::now()), timers_(now_) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wakeup_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_ < 0 || wakeup_ < 0) throw Internal(fmt::format("cannot make an event loop: {}", std::strerror(errno)));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // null: the wake-up descriptor
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event);
}

Loop::~Loop() {
  // What a thread posted may have ended the loop while that thread is still about to notify it.
  while (posting_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  // Posted functions that never ran are run now, so that what they own is given back.
  run_posted();
  ::close(wakeup_);
  ::close(epoll_);
}

void Loop::add(int fd, std::uint32_t events, IoHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw Internal(fmt::format("cannot watch descriptor {}: {}", fd, std::strerror(errno)));
  }
}

void Loop::modify(int fd, std::uint32_t events, IoHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0) {
    throw Internal(fmt::format("cannot watch descriptor {}: {}", fd, std::strerror(errno)));
  }
}

void Loop::remove(int fd, IoHandler& handler) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  for (int i = event_index_; i < event_count_; ++i) {
    if (events_[i].data.ptr == &handler) events_[i].events = 0;
  }
}

void Loop::run() {
  Loop* const outer = std::exchange(current_, this);
  thread_.store(static_cast<unsigned long>(::pthread_self()), std::memory_order_relaxed);
  now_ = Clock::now();
  TimePoint tick_end = now_;
  while (!stop_.load(std::memory_order_acquire)) {
    const bool pending = ready_ != nullptr || hooks_ != nullptr;
    const int timeout = pending ? 0 : timers_.next_timeout_ms(tick_end);
    if (timeout != 0) busy_since_.store(0, std::memory_order_relaxed);
    event_count_ = ::epoll_wait(epoll_, events_, kMostEvents, timeout);
    now_ = Clock::now();
    busy_since_.store(as_ns(now_), std::memory_order_relaxed);

    bool woken = false;
    for (event_index_ = 0; event_index_ < event_count_;) {
      const epoll_event event = events_[event_index_++];
      if (event.data.ptr == nullptr) {
        woken = true;
      } else if (event.events != 0) {
        static_cast<IoHandler*>(event.data.ptr)->on_io(event.events);
      }
    }
    stats_.events.add(static_cast<std::uint64_t>(std::max(event_count_, 0)));
    event_count_ = event_index_ = 0;
    if (woken) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(wakeup_, &count, sizeof count);
      notified_.store(false, std::memory_order_seq_cst);
      run_posted();
    }
    timers_.advance(now_);
    run_ready();
    run_hooks();

    stats_.ticks.add();
    tick_end = Clock::now();
    const auto spent = as_ns(tick_end) - as_ns(now_);
    stats_.busy_ns.add(spent);
    if (spent > stats_.longest_tick_ns.get()) stats_.longest_tick_ns.set(spent);
  }
  busy_since_.store(0, std::memory_order_relaxed);
  stop_.store(false, std::memory_order_relaxed);
  current_ = outer;
}

void Loop::run_ready() noexcept {
  // A coroutine that keeps waking itself must not starve descriptors: only what is ready now runs in this tick.
  Waiter* waiter = std::exchange(ready_, nullptr);
  ready_tail_ = &ready_;
  while (waiter != nullptr) {
    Waiter* next = waiter->next_ready_;
    detail::current_context = waiter->context_;
    set_running(waiter->context_ != nullptr ? waiter->context_->route : nullptr);
    stats_.resumed.add();
    waiter->handle_.resume();
    waiter = next;
  }
  detail::current_context = nullptr;
  set_running(nullptr);
}

void Loop::run_hooks() noexcept {
  while (TickHook* hook = hooks_) {
    hook->unlink();
    hook->on_tick_end();
  }
}

void Loop::notify() noexcept {
  if (notified_.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wakeup_, &one, sizeof one);
}

void Loop::push_posted(Posted* node) noexcept {
  posting_.fetch_add(1, std::memory_order_relaxed);
  node->next = posted_.load(std::memory_order_relaxed);
  while (!posted_.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_relaxed)) {
  }
  notify();
  posting_.fetch_sub(1, std::memory_order_release);
}

void Loop::post_wake(Waiter& waiter) noexcept {
  posting_.fetch_add(1, std::memory_order_relaxed);
  waiter.next_ready_ = remote_wakes_.load(std::memory_order_relaxed);
  while (!remote_wakes_.compare_exchange_weak(waiter.next_ready_, &waiter, std::memory_order_release,
                                              std::memory_order_relaxed)) {
  }
  notify();
  posting_.fetch_sub(1, std::memory_order_release);
}

void Loop::run_posted() noexcept {
  Waiter* wakes = nullptr;
  for (Waiter* waiter = remote_wakes_.exchange(nullptr, std::memory_order_acquire); waiter != nullptr;) {
    Waiter* next = waiter->next_ready_;
    waiter->next_ready_ = wakes;  // the stack is newest first; turn it round
    wakes = waiter;
    waiter = next;
  }
  while (wakes != nullptr) {
    Waiter* next = wakes->next_ready_;
    wakes->wake();
    wakes = next;
  }
  Posted* posted = nullptr;
  for (Posted* node = posted_.exchange(nullptr, std::memory_order_acquire); node != nullptr;) {
    Posted* next = node->next;
    node->next = posted;
    posted = node;
    node = next;
  }
  while (posted != nullptr) {
    Posted* next = posted->next;
    posted->run(posted);
    posted = next;
  }
}

void Loop::stop() noexcept {
  posting_.fetch_add(1, std::memory_order_relaxed);
  stop_.store(true, std::memory_order_release);
  notify();
  posting_.fetch_sub(1, std::memory_order_release);
}

}  // namespace ashlar::async
