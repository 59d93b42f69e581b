// SharedCount: how many shared connections a pool uses while queries queue up on all of them.
//
// One connection is one process of the server. How many of them answer most depends on the server's cores, on what
// else they do, and on the queries, so it is found out: now and then one connection more, or one less, is tried, and
// kept when more is answered.
#pragma once

#include <cstdint>

namespace ashlar::pg::detail {

class SharedCount {
 public:
  /// `least` to begin with, and never more than `most`.
  SharedCount(unsigned least, unsigned most) noexcept;

  [[nodiscard]] unsigned now() const noexcept { return now_; }
  /// As many were answered a second in a window in which queries queued up.
  void window(double answered) noexcept;
  /// Nothing queues up any more: what was being tried is not known to be better.
  void rest() noexcept;
  /// Nothing has queued up for long: back to the least.
  void forget() noexcept;
  /// The server has no connection to spare: back to the least, for some seconds.
  void refused() noexcept;

 private:
  enum class Step : std::uint8_t { measuring, settling, trying };
  // One more must be worth the server's memory, and stand out from the noise; one less is welcome when it costs
  // nothing.
  static constexpr double kWorthOneMore = 1.03;
  static constexpr double kWorthOneLess = 1.0;
  static constexpr unsigned kLongestPause = 64;  // windows between two trials

  void measure() noexcept;
  void try_another() noexcept;

  unsigned least_;
  unsigned most_;
  unsigned kept_;
  unsigned now_;
  unsigned pause_ = 1;
  unsigned left_ = 1;  // windows until the next trial
  double before_ = 0;  // answered a second, with kept_
  bool upwards_ = true;
  Step step_ = Step::measuring;
};

}  // namespace ashlar::pg::detail
