// Loop: one epoll loop of one thread. Everything that waits in Ashlar waits here.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <ashlar/async/context.hpp>
#include <ashlar/async/timer.hpp>
#include <ashlar/async/waiter.hpp>
#include <ashlar/base/stat_number.hpp>

namespace ashlar::async {

/// Told about a descriptor that is ready.
class IoHandler {
 public:
  virtual void on_io(std::uint32_t epoll_events) noexcept = 0;

 protected:
  ~IoHandler() = default;
};

/// Something to do once at the end of the current tick: after the ready descriptors and coroutines, before the loop
/// sleeps. This is where buffered output leaves in one system call.
class TickHook {
 public:
  TickHook() = default;
  TickHook(const TickHook&) = delete;
  TickHook& operator=(const TickHook&) = delete;
  [[nodiscard]] bool queued() const noexcept { return link_ != nullptr; }

 protected:
  ~TickHook() { unlink(); }
  virtual void on_tick_end() noexcept = 0;

 private:
  friend class Loop;
  void unlink() noexcept;
  TickHook* next_ = nullptr;
  TickHook** link_ = nullptr;
};

/// Counts of one loop. Written by its thread, read by any.
struct LoopStats {
  StatNumber ticks;
  StatNumber events;           ///< of descriptors
  StatNumber resumed;          ///< coroutines
  StatNumber busy_ns;          ///< time not spent waiting in epoll
  StatNumber longest_tick_ns;  ///< since the loop began
};

class Loop {
 public:
  /// Events of descriptors taken in one tick. One that took as many may have left some for the next.
  static constexpr int kMostEvents = 256;

  explicit Loop(unsigned index = 0);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// The loop of this thread. Precondition: there is one.
  [[nodiscard]] static Loop& current() noexcept { return *current_; }
  [[nodiscard]] static Loop* current_or_null() noexcept { return current_; }

  /// Watches a descriptor, level-triggered. Throws Internal when the kernel refuses.
  void add(int fd, std::uint32_t events, IoHandler& handler);
  void modify(int fd, std::uint32_t events, IoHandler& handler);
  /// Stops watching; events of the current batch for this handler are dropped. Call it before closing fd.
  void remove(int fd, IoHandler& handler) noexcept;

  void at_tick_end(TickHook& hook) noexcept {
    if (hook.queued()) return;
    hook.link_ = hooks_tail_;
    *hooks_tail_ = &hook;
    hooks_tail_ = &hook.next_;
  }

  /// Runs `function` on the loop soon. From any thread. Must not throw.
  template <class F>
  void post(F&& function) {
    struct Node final : Posted {
      std::decay_t<F> function;
      explicit Node(F&& f) : Posted{nullptr, &Node::run}, function(std::forward<F>(f)) {}
      static void run(Posted* self) {
        auto* node = static_cast<Node*>(self);
        node->function();
        delete node;
      }
    };
    push_posted(new Node(std::forward<F>(function)));
  }

  /// Time at the start of the current tick.
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  /// Number of this loop in its Runtime.
  [[nodiscard]] unsigned index() const noexcept { return index_; }
  [[nodiscard]] TimerWheel& timers() noexcept { return timers_; }
  [[nodiscard]] const LoopStats& stats() const noexcept { return stats_; }

  /// Runs on this thread until stop(). A stop that came before counts.
  void run();
  /// From any thread.
  void stop() noexcept;

  /// For the watchdog, from any thread: when the current tick began (steady clock, ns), 0 while the loop sleeps.
  [[nodiscard]] std::uint64_t busy_since_ns() const noexcept { return busy_since_.load(std::memory_order_relaxed); }
  [[nodiscard]] const char* running_route() const noexcept { return running_.load(std::memory_order_relaxed); }
  /// Names what runs now (a route, static storage), for the watchdog.
  void set_running(const char* what) noexcept { running_.store(what, std::memory_order_relaxed); }
  [[nodiscard]] unsigned long native_thread() const noexcept { return thread_.load(std::memory_order_relaxed); }

 private:
  friend class Waiter;
  friend class TickHook;
  struct Posted {
    Posted* next;
    void (*run)(Posted*);
  };

  void make_ready(Waiter& waiter) noexcept {
    waiter.next_ready_ = nullptr;
    *ready_tail_ = &waiter;
    ready_tail_ = &waiter.next_ready_;
  }
  void post_wake(Waiter& waiter) noexcept;
  void push_posted(Posted* node) noexcept;
  void notify() noexcept;
  void run_posted() noexcept;
  void run_ready() noexcept;
  void run_hooks() noexcept;

  static inline constinit thread_local Loop* current_ = nullptr;

  int epoll_ = -1;
  int wakeup_ = -1;
  unsigned index_;
  TimePoint now_;
  Waiter* ready_ = nullptr;
  Waiter** ready_tail_ = &ready_;
  TickHook* hooks_ = nullptr;
  TickHook** hooks_tail_ = &hooks_;
  TimerWheel timers_;
  epoll_event events_[kMostEvents];
  int event_count_ = 0;
  int event_index_ = 0;
  LoopStats stats_;
  std::atomic<std::uint64_t> busy_since_{0};
  std::atomic<const char*> running_{nullptr};
  std::atomic<unsigned long> thread_{0};
  std::atomic<Posted*> posted_{nullptr};
  std::atomic<Waiter*> remote_wakes_{nullptr};
  std::atomic<bool> notified_{false};
  std::atomic<unsigned> posting_{0};  // threads inside post, wake or stop: the loop must not go before they left
  std::atomic<bool> stop_{false};
};

}  // namespace ashlar::async
