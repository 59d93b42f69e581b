// LoopLoad: how much one loop has to do, and which requests it takes on when that is too much.
//
// Two signs, each of which must last, because a burst or one slow request is no overload:
// - the loop's rounds are long: requests wait in their sockets until the loop gets to them, and it never sleeps. As in
//   CoDel (Nichols, Jacobson 2012) the shortest wait of a window counts, and a loop that slept has no queue;
// - most requests take much longer than is usual for their routes: they wait for something behind the handlers. A route
//   is only compared with itself, so routes that are slow by nature do not count as overloaded.
// While the first lasts, so many requests are taken on in a round as the loop can do in time; while the second does, so
// many are under way at once. Both limits follow what is measured, and the second is given up if it does not help.
// docs/guide/overload.md has the whole story.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <ashlar/app/overload.hpp>
#include <ashlar/async/loop.hpp>
#include <ashlar/base/stat_number.hpp>

namespace ashlar::metrics {
class Collector;
}

namespace ashlar::detail {

/// What one loop knows of one route.
struct alignas(64) RouteLoad {
  std::int64_t usual = 0;                                              // ns; 0: not known yet
  std::int64_t slow_above = std::numeric_limits<std::int64_t>::max();  // ns
  std::int64_t took = 0;                                               // ns, all of this window together
  std::uint32_t finished = 0;                                          // in this window
  std::uint32_t slow = 0;                                              // of them
  std::uint32_t under_way = 0;
  std::uint32_t counts = 1;   // 0: it waits by nature, for events or other services, and uses nothing meanwhile
  RouteLoad* next = nullptr;  // of those with requests in this window
};

enum class OverloadReason : std::uint8_t { loop, latency };

class LoopLoad {
 public:
  /// So few requests are never too many.
  static constexpr std::uint32_t kLeast = 32;

  /// `wait`: how long requests may wait for their turn. Shedding begins at twice that, and holds it there.
  LoopLoad(async::Loop& loop, async::Nanoseconds wait);

  /// A request has come.
  void arrive() noexcept {
    if (loop_.now() != tick_) [[likely]]
      begin_tick();
  }
  [[nodiscard]] bool limiting() const noexcept { return limiting_; }
  /// While limiting: whether to take this one on. Counts it if not.
  [[nodiscard]] bool admits(Priority priority) noexcept;
  /// It is taken on.
  void take_on() noexcept { ++round_admitted_; }
  /// From here to leave() it counts as under way.
  void enter(RouteLoad& route) noexcept {
    ++route.under_way;
    under_way_ += route.counts;
  }
  /// Its answer is there.
  void leave(RouteLoad& route, async::Nanoseconds took) noexcept {
    --route.under_way;
    under_way_ -= route.counts;
    if (route.finished++ == 0) {
      route.next = routes_;
      routes_ = &route;
    }
    route.took += took.count();
    route.slow += static_cast<std::uint32_t>(took.count() > route.slow_above);
  }

  /// Seconds, from 1 to 3, so that those who were refused together do not come back together.
  [[nodiscard]] unsigned retry_after() noexcept { return 1 + random() % 3; }

  // For metrics; any thread.
  [[nodiscard]] std::uint64_t shed(Priority priority, OverloadReason reason) const noexcept {
    return shed_[static_cast<std::size_t>(priority)][static_cast<std::size_t>(reason)].get();
  }
  /// Requests a round and under way; 0: not limited.
  [[nodiscard]] std::uint64_t shown_round_limit() const noexcept { return shown_round_limit_.get(); }
  [[nodiscard]] std::uint64_t shown_flight_limit() const noexcept { return shown_flight_limit_.get(); }

  /// What arrive() leads to; tests call it with times of their own. A round is one or more ticks of the loop: it ends
  /// when nothing is left that was ready when the last tick began. So what is handled now has waited no longer than for
  /// the last round and for what has passed of this one.
  void begin_round(async::TimePoint now, async::Nanoseconds last_round, async::Nanoseconds busy) noexcept;
  /// A tick in which requests come begins; the loop's counters so far. A round is as many ticks as it takes until
  /// nothing is left that was ready when it began.
  void begin_tick(async::TimePoint now, std::uint64_t ticks, std::uint64_t events, std::uint64_t busy) noexcept;

 private:
  struct Window {
    async::TimePoint began{};
    async::Nanoseconds shortest_round = async::Nanoseconds::max();
    async::Nanoseconds busy_before{0};
    std::uint32_t rounds = 0;
    std::uint32_t admitted = 0;
    std::array<std::uint32_t, 3> came{};  // by priority, while limiting
    bool hit_round_limit = false;
    bool hit_flight_limit = false;
  };
  struct Seen {  // what the last window showed
    async::Nanoseconds loop_wait{0};
    double per_round = 0;
    double took = 0;  // ns
    bool finished = false;
    bool late = false;
    bool slow = false;
  };

  void begin_tick() noexcept;
  void end_window(async::TimePoint now, async::Nanoseconds busy) noexcept;
  void learn(RouteLoad& route) noexcept;
  void begin_limiting(async::TimePoint now) noexcept;
  void adjust(async::TimePoint now) noexcept;
  void end_limiting() noexcept;
  void show() noexcept;
  bool refuse(Priority priority, OverloadReason reason) noexcept;
  [[nodiscard]] std::uint32_t random() noexcept;

  async::Loop& loop_;
  async::TimePoint tick_;
  async::TimePoint round_;
  async::TimePoint window_end_;
  std::uint64_t ticks_ = 0;   // of the loop, before this one
  std::uint64_t events_ = 0;  // likewise
  std::uint64_t busy_ = 0;    // ns, likewise
  std::uint64_t round_busy_ = 0;
  std::uint32_t under_way_ = 0;
  std::uint32_t round_admitted_ = 0;
  bool limiting_ = false;
  RouteLoad* routes_ = nullptr;
  std::uint32_t random_;

  const async::Nanoseconds wait_;
  Window window_;
  Seen seen_;
  async::TimePoint bad_since_ = async::TimePoint::max();
  async::TimePoint last_shed_;
  async::TimePoint settles_at_ = async::TimePoint::max();  // when a new limit of those under way shows in their times
  async::TimePoint gives_up_at_;                           // if it never does
  double round_limit_;                                     // infinite: none
  double flight_limit_;
  double took_before_ = 0;  // the limit of those under way, or 0 when it has proved to help
  double sheddable_share_ = 1;
  StatNumber shown_round_limit_;
  StatNumber shown_flight_limit_;
  std::array<std::array<StatNumber, 2>, 3> shed_;
};

/// The loops of one server.
class Overload {
 public:
  Overload(const std::vector<async::Loop*>& loops, async::Nanoseconds wait);
  [[nodiscard]] LoopLoad& loop(unsigned index) noexcept { return *loops_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return loops_.size(); }
  void collect(metrics::Collector& out) const;

 private:
  std::vector<std::unique_ptr<LoopLoad>> loops_;
};

}  // namespace ashlar::detail
