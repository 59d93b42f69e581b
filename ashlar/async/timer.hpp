// Timers in a hierarchical wheel: arming and cancelling cost the same however many there are.
// Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987.
#pragma once

#include <array>
#include <cstdint>

#include <ashlar/async/context.hpp>

namespace ashlar::async {

class Loop;
class TimerWheel;

/// An intrusive timer of one loop, with a resolution of a millisecond. It fires at or after its time, never before.
/// The destructor cancels. Only on the loop's thread.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// (Re)arms it `after` from now.
  void arm(Loop& loop, Nanoseconds after) noexcept;
  void arm_at(Loop& loop, TimePoint when) noexcept;
  void cancel() noexcept;
  [[nodiscard]] bool armed() const noexcept { return wheel_ != nullptr; }

 protected:
  ~Timer() { cancel(); }
  virtual void on_timer() noexcept = 0;

 private:
  friend class TimerWheel;
  TimerWheel* wheel_ = nullptr;
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // the pointer that points to us
  std::uint64_t due_ = 0;   // in ticks of the wheel
  std::uint16_t slot_ = 0;
};

class TimerWheel {
 public:
  explicit TimerWheel(TimePoint start) noexcept : start_(start) {}

  void arm(Timer& timer, TimePoint when) noexcept;
  void cancel(Timer& timer) noexcept;
  /// Fires what is due.
  void advance(TimePoint now) noexcept;
  /// Milliseconds until advance() may have something to do; -1: nothing is armed.
  [[nodiscard]] int next_timeout_ms(TimePoint now) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kSlots = 1U << kBits;  // of a level
  static constexpr unsigned kLevels = 5;  // 1 ms … 12 days; later ones wait in the last level and are sorted again

  void insert(Timer& timer) noexcept;
  void cascade(unsigned level) noexcept;
  /// Before it nothing is due and no level is sorted again. Precondition: something is armed.
  [[nodiscard]] std::uint64_t next_tick() const noexcept;
  [[nodiscard]] std::uint64_t ticks(TimePoint when, bool round_up) const noexcept;

  TimePoint start_;
  std::uint64_t now_ = 0;  // the last tick that was run
  std::size_t size_ = 0;
  std::array<Timer*, kSlots * kLevels> slots_{};
  std::array<std::uint64_t, kLevels> occupied_{};
};

}  // namespace ashlar::async
