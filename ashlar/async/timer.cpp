#include <ashlar/async/timer.hpp>

#include <algorithm>
#include <bit>
#include <climits>

#include <ashlar/async/loop.hpp>

namespace ashlar::async {

using std::chrono::milliseconds;

void Timer::arm(Loop& loop, Nanoseconds after) noexcept {
  // Not loop.now(): the tick may be old when a handler took its time.
  arm_at(loop, Clock::now() + after);
}

void Timer::arm_at(Loop& loop, TimePoint when) noexcept {
  cancel();
  loop.timers().arm(*this, when);
}

void Timer::cancel() noexcept {
  if (wheel_ != nullptr) wheel_->cancel(*this);
}

std::uint64_t TimerWheel::ticks(TimePoint when, bool round_up) const noexcept {
  if (when <= start_) return 0;
  const auto elapsed = when - start_;
  const auto whole = std::chrono::duration_cast<milliseconds>(elapsed);
  return static_cast<std::uint64_t>(whole.count()) + (round_up && whole < elapsed ? 1 : 0);
}

void TimerWheel::arm(Timer& timer, TimePoint when) noexcept {
  timer.wheel_ = this;
  timer.due_ = std::max(ticks(when, true), now_ + 1);
  ++size_;
  insert(timer);
}

void TimerWheel::insert(Timer& timer) noexcept {
  // The highest bit in which due and now differ names the level; such a slot is always ahead of the current one.
  const std::uint64_t difference = timer.due_ ^ now_;
  unsigned level = difference == 0 ? 0 : (63U - static_cast<unsigned>(std::countl_zero(difference))) / kBits;
  std::uint64_t due = timer.due_;
  if (level >= kLevels) {
    level = kLevels - 1;
    due = now_ | (std::uint64_t{kSlots - 1} << (kBits * level));  // parked in the last slot, sorted again when reached
    if (((now_ >> (kBits * level)) & (kSlots - 1)) == kSlots - 1)
      due = now_ & ~(std::uint64_t{kSlots - 1} << (kBits * level));
  }
  const unsigned slot = static_cast<unsigned>(due >> (kBits * level)) & (kSlots - 1);
  const unsigned index = level * kSlots + slot;
  timer.slot_ = static_cast<std::uint16_t>(index);
  timer.next_ = slots_[index];
  timer.link_ = &slots_[index];
  if (timer.next_ != nullptr) timer.next_->link_ = &timer.next_;
  slots_[index] = &timer;
  occupied_[level] |= std::uint64_t{1} << slot;
}

void TimerWheel::cancel(Timer& timer) noexcept {
  *timer.link_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->link_ = timer.link_;
  if (slots_[timer.slot_] == nullptr) occupied_[timer.slot_ / kSlots] &= ~(std::uint64_t{1} << (timer.slot_ % kSlots));
  timer.wheel_ = nullptr;
  --size_;
}

void TimerWheel::cascade(unsigned level) noexcept {
  const unsigned slot = static_cast<unsigned>(now_ >> (kBits * level)) & (kSlots - 1);
  const unsigned index = level * kSlots + slot;
  Timer* timer = slots_[index];
  slots_[index] = nullptr;
  occupied_[level] &= ~(std::uint64_t{1} << slot);
  while (timer != nullptr) {
    Timer* next = timer->next_;
    insert(*timer);
    timer = next;
  }
}

void TimerWheel::advance(TimePoint now) noexcept {
  const std::uint64_t target = ticks(now, false);
  while (now_ < target) {
    if (size_ == 0) {
      now_ = target;
      return;
    }
    // After a long sleep, or when a test has moved the clock.
    if (target - now_ > kSlots) now_ = std::max(now_, std::min(next_tick(), target) - 1);
    // Skip to the next tick at which a slot of level 0 is due or an upper level must be sorted.
    const unsigned position = static_cast<unsigned>(now_) & (kSlots - 1);
    const std::uint64_t ahead = position == kSlots - 1 ? 0 : occupied_[0] >> (position + 1);
    const std::uint64_t step = ahead != 0 ? static_cast<std::uint64_t>(std::countr_zero(ahead)) + 1 : kSlots - position;
    if (now_ + step > target) {
      now_ = target;
      return;
    }
    now_ += step;
    for (unsigned level = 1; level < kLevels && (now_ & ((std::uint64_t{1} << (kBits * level)) - 1)) == 0; ++level) {
      cascade(level);
    }
    const unsigned slot = static_cast<unsigned>(now_) & (kSlots - 1);
    while (Timer* timer = slots_[slot]) {  // a callback may cancel the others or arm new ones (which are due later)
      cancel(*timer);
      timer->on_timer();
    }
  }
}

std::uint64_t TimerWheel::next_tick() const noexcept {
  std::uint64_t next = now_ + (std::uint64_t{1} << (kBits * (kLevels - 1)));
  for (unsigned level = 0; level < kLevels; ++level) {
    const std::uint64_t occupied = occupied_[level];
    if (occupied == 0) continue;
    const std::uint64_t base = now_ >> (kBits * level);
    const unsigned position = static_cast<unsigned>(base) & (kSlots - 1);
    const std::uint64_t rotated = std::rotr(occupied, static_cast<int>((position + 1) % kSlots));
    const std::uint64_t slot = base + 1 + static_cast<unsigned>(std::countr_zero(rotated));
    next = std::min(next, slot << (kBits * level));
  }
  return next;
}

int TimerWheel::next_timeout_ms(TimePoint now) const noexcept {
  if (size_ == 0) return -1;
  const std::uint64_t next = next_tick();
  const std::uint64_t current = ticks(now, false);
  if (next <= current) return 0;
  return static_cast<int>(std::min<std::uint64_t>(next - current, INT_MAX));
}

}  // namespace ashlar::async
