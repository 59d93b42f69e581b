#include <ashlar/pg/detail/shared_count.hpp>

#include <algorithm>

namespace ashlar::pg::detail {

SharedCount::SharedCount(unsigned least, unsigned most) noexcept
    : least_(std::max(1U, least)), most_(std::max(least_, most)), kept_(least_), now_(least_) {}

void SharedCount::measure() noexcept {
  now_ = kept_;
  left_ = pause_;
  step_ = Step::measuring;
}

void SharedCount::try_another() noexcept {
  if (kept_ == most_) upwards_ = false;
  if (kept_ == least_) upwards_ = true;
  now_ = upwards_ ? kept_ + 1 : kept_ - 1;
  step_ = Step::settling;
}

void SharedCount::window(double answered) noexcept {
  if (least_ == most_) return;
  switch (step_) {
    case Step::measuring:
      before_ = answered;
      if (--left_ == 0) try_another();
      return;
    case Step::settling:  // connects, prepares, and what waits is spread
      step_ = Step::trying;
      return;
    case Step::trying:
      break;
  }
  if (answered > before_ * (upwards_ ? kWorthOneMore : kWorthOneLess)) {
    kept_ = now_;
    pause_ = 1;
  } else {
    upwards_ = !upwards_;
    pause_ = std::min(pause_ * 2, kLongestPause);
  }
  measure();
}

void SharedCount::rest() noexcept { measure(); }

void SharedCount::forget() noexcept {
  kept_ = least_;
  pause_ = 1;
  measure();
}

void SharedCount::refused() noexcept {
  kept_ = least_;
  pause_ = kLongestPause;
  measure();
}

}  // namespace ashlar::pg::detail
