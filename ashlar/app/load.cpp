#include <ashlar/app/detail/load.hpp>

#include <cmath>
#include <string>

#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::detail {
namespace {

using async::Nanoseconds;
using async::TimePoint;
using std::chrono::milliseconds;

constexpr Nanoseconds kWindow = milliseconds{50};
constexpr Nanoseconds kLasts = milliseconds{500};        // until a bad time is an overload
constexpr Nanoseconds kQuiet = std::chrono::seconds{2};  // without a refusal until it is over
constexpr Nanoseconds kInVain = std::chrono::seconds{5};
constexpr std::int64_t kWaitsByNature = 1'000'000'000;
constexpr int kIdlePart = 50;            // a loop that idles less than this part of a time never found nothing to do
constexpr double kSheddablePart = 0.75;  // of a limit; the rest is for those before them
constexpr double kNone = std::numeric_limits<double>::infinity();

}  // namespace

LoopLoad::LoopLoad(async::Loop& loop, Nanoseconds wait)
    : loop_(loop), random_(2463534242U + loop.index() * 7919U), wait_(wait), round_limit_(kNone), flight_limit_(kNone) {
  window_.began = loop.now();
}

std::uint32_t LoopLoad::random() noexcept {  // xorshift (Marsaglia 2003)
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  return random_;
}

bool LoopLoad::refuse(Priority priority, OverloadReason reason) noexcept {
  last_shed_ = round_;
  shed_[static_cast<std::size_t>(priority)][static_cast<std::size_t>(reason)].add();
  return false;
}

bool LoopLoad::admits(Priority priority) noexcept {
  ++window_.came[static_cast<std::size_t>(priority)];
  if (priority == Priority::critical) return true;
  const bool sheddable = priority == Priority::sheddable;
  const double part = sheddable ? kSheddablePart : 1.0;
  if (round_admitted_ >= part * round_limit_) {
    window_.hit_round_limit = true;
    return refuse(priority, OverloadReason::loop);
  }
  if (under_way_ >= part * flight_limit_) {
    window_.hit_flight_limit = true;
    return refuse(priority, OverloadReason::latency);
  }
  if (sheddable && static_cast<double>(random()) >= sheddable_share_ * std::numeric_limits<std::uint32_t>::max()) {
    return refuse(priority, round_limit_ != kNone ? OverloadReason::loop : OverloadReason::latency);
  }
  return true;
}

void LoopLoad::begin_tick() noexcept {
  const auto& stats = loop_.stats();
  begin_tick(loop_.now(), stats.ticks.get(), stats.events.get(), stats.busy_ns.get());
}

void LoopLoad::begin_tick(TimePoint now, std::uint64_t ticks, std::uint64_t events, std::uint64_t busy) noexcept {
  const std::uint64_t passed = ticks - ticks_;  // since the last tick in which a request came
  const std::uint64_t length = passed > 1 ? (busy - busy_) / passed : busy - round_busy_;
  const Nanoseconds last{static_cast<std::int64_t>(length)};
  // Where more is always ready than a tick takes, rounds would have no end, and nobody would know how late they are.
  const bool same_round = passed == 1 && events - events_ >= async::Loop::kMostEvents && last < 4 * wait_;
  tick_ = now;
  ticks_ = ticks;
  events_ = events;
  busy_ = busy;
  if (same_round) return;
  round_busy_ = busy;
  begin_round(tick_, last, Nanoseconds(static_cast<std::int64_t>(busy)));
}

void LoopLoad::begin_round(TimePoint now, Nanoseconds last_round, Nanoseconds busy) noexcept {
  round_ = now;
  ++window_.rounds;
  window_.admitted += round_admitted_;
  round_admitted_ = 0;
  window_.shortest_round = std::min(window_.shortest_round, last_round);
  if (now >= window_end_) end_window(now, busy);
}

void LoopLoad::end_window(TimePoint now, Nanoseconds busy) noexcept {
  const Nanoseconds time = now - window_.began;
  const bool slept = (time - (busy - window_.busy_before)) * kIdlePart > time;
  seen_ = {};
  seen_.loop_wait = slept ? Nanoseconds{0} : window_.shortest_round;
  seen_.per_round = static_cast<double>(window_.admitted) / window_.rounds;
  seen_.late = seen_.loop_wait > (limiting_ ? wait_ : 2 * wait_);
  std::uint64_t finished = 0;
  std::uint64_t slow = 0;
  std::int64_t took = 0;
  for (const RouteLoad* route = routes_; route != nullptr; route = route->next) {
    if (route->counts == 0) continue;
    finished += route->finished;
    slow += route->slow;
    took += route->took;
  }
  seen_.finished = finished != 0;
  if (seen_.finished) seen_.took = static_cast<double>(took) / static_cast<double>(finished);
  seen_.slow = slow * 2 > finished;

  if (limiting_) {
    adjust(now);
  } else if (!seen_.late && !seen_.slow) {
    if (seen_.finished || seen_.loop_wait.count() == 0) bad_since_ = TimePoint::max();
  } else if (bad_since_ == TimePoint::max()) {
    bad_since_ = window_.began;
  } else if (now - bad_since_ >= kLasts) {
    begin_limiting(now);
  }
  for (RouteLoad* route = std::exchange(routes_, nullptr); route != nullptr;
       route = std::exchange(route->next, nullptr)) {
    learn(*route);
  }
  window_ = {.began = now, .busy_before = busy};
  window_end_ = now + kWindow;
}

// Down at once, up slowly: what is usual must not follow an overload while it begins.
void LoopLoad::learn(RouteLoad& route) noexcept {
  const std::int64_t mean = route.took / route.finished;
  if (route.usual == 0) {
    route.usual = std::max<std::int64_t>(mean, 1);
  } else if (mean < route.usual) {
    route.usual -= (route.usual - mean) / 8;
  } else {
    route.usual += std::min(mean - route.usual, route.usual) / (limiting_ ? 4096 : 256);
  }
  const bool waits = route.usual > kWaitsByNature;
  if (waits == (route.counts == 1)) {
    under_way_ = waits ? under_way_ - route.under_way : under_way_ + route.under_way;
    route.counts = waits ? 0 : 1;
  }
  route.slow_above =
      waits ? std::numeric_limits<std::int64_t>::max() : 2 * route.usual + (limiting_ ? wait_ : 2 * wait_).count();
  route.took = 0;
  route.finished = route.slow = 0;
}

void LoopLoad::begin_limiting(TimePoint now) noexcept {
  const auto wait = static_cast<double>(wait_.count());
  const bool loop = seen_.late && seen_.per_round > kLeast;
  const bool latency = seen_.slow && under_way_ > kLeast;
  if (!loop && !latency) return;
  if (loop) {
    round_limit_ = std::max<double>(kLeast, seen_.per_round * wait / static_cast<double>(seen_.loop_wait.count()));
  }
  if (latency) {
    flight_limit_ = std::max<double>(kLeast, under_way_ * wait / seen_.took);
    took_before_ = seen_.took;
    gives_up_at_ = now + Nanoseconds(static_cast<std::int64_t>(seen_.took)) + kInVain;
  }
  settles_at_ = TimePoint::max();
  limiting_ = true;
  last_shed_ = now;
  sheddable_share_ = 0;
  show();
  log::warn("overloaded: some requests are refused",
            {{"loop", static_cast<std::uint64_t>(loop_.index())},
             {"reason", std::string_view(loop ? "the loop is late" : "handlers take longer than is usual")},
             {"loop_wait_ms", static_cast<std::int64_t>(seen_.loop_wait / milliseconds{1})},
             {"under_way", static_cast<std::uint64_t>(under_way_)},
             {"took_ms", static_cast<std::int64_t>(seen_.took * 1e-6)}});
}

void LoopLoad::adjust(TimePoint now) noexcept {
  if (now - last_shed_ >= kQuiet) return end_limiting();
  const auto wait = static_cast<double>(wait_.count());
  const Nanoseconds took{static_cast<std::int64_t>(seen_.took)};
  double growth = 1.1;

  const double loop_growth =
      seen_.loop_wait.count() == 0 ? 1.25 : std::clamp(wait / static_cast<double>(seen_.loop_wait.count()), 0.5, 1.25);
  if (window_.hit_round_limit) {
    round_limit_ = std::max<double>(kLeast, round_limit_ * loop_growth);
    growth = loop_growth;
  } else if (seen_.late && seen_.per_round > kLeast) {
    round_limit_ = std::max<double>(kLeast, std::min(round_limit_, seen_.per_round * loop_growth));
    growth = loop_growth;
  }

  if (seen_.slow) {
    growth = std::min(growth, 0.8);
    // There are no more of them than the limit; those that came before it still have to go.
    if (under_way_ <= flight_limit_) settles_at_ = std::min(settles_at_, now + took);
    const bool settled = now >= settles_at_;
    // Fewer requests, each as slow as before: they did not wait for each other. Or there cannot be fewer, because those
    // that are there do not end. This is how it is now.
    const bool in_vain = flight_limit_ != kNone &&
                         (settled ? took_before_ != 0 && seen_.took > 0.7 * took_before_ : now >= gives_up_at_);
    if (in_vain) {
      for (RouteLoad* route = routes_; route != nullptr; route = route->next) {
        route->usual = std::max(route->usual, route->took / route->finished);
      }
      flight_limit_ = kNone;
    } else if (settled && under_way_ > kLeast) {
      flight_limit_ = std::max<double>(kLeast, 0.8 * std::min<double>(flight_limit_, under_way_));
    }
    if (in_vain || settled) {
      took_before_ = 0;
      settles_at_ = TimePoint::max();
      gives_up_at_ = now + took + kInVain;
    }
  } else if (window_.hit_flight_limit && seen_.finished) {
    took_before_ = 0;
    flight_limit_ = flight_limit_ * 1.05 + 1;
  }

  // The sheddable get what the others leave: as much as it took, while it is too much; more and more, while it is not.
  if (window_.came[2] != 0) {
    const double before_them = window_.came[0] + window_.came[1];
    const double left = std::clamp((window_.admitted * growth - before_them) / window_.came[2], 0.0, 1.0);
    const bool room = !seen_.late && !seen_.slow && !window_.hit_round_limit && !window_.hit_flight_limit;
    sheddable_share_ = room ? std::min(1.0, std::max(left, sheddable_share_ * 1.25 + 0.02))
                            : sheddable_share_ + (left - sheddable_share_) / 4;
  }
  show();
}

void LoopLoad::end_limiting() noexcept {
  limiting_ = false;
  round_limit_ = flight_limit_ = kNone;
  bad_since_ = TimePoint::max();
  show();
  log::info("no longer overloaded", {{"loop", static_cast<std::uint64_t>(loop_.index())}});
}

void LoopLoad::show() noexcept {
  const auto shown = [](double limit) { return limit == kNone ? 0 : static_cast<std::uint64_t>(limit); };
  shown_round_limit_.set(shown(round_limit_));
  shown_flight_limit_.set(shown(flight_limit_));
}

Overload::Overload(const std::vector<async::Loop*>& loops, Nanoseconds wait) {
  for (async::Loop* loop : loops) loops_.push_back(std::make_unique<LoopLoad>(*loop, wait));
}

void Overload::collect(metrics::Collector& out) const {
  for (const Priority priority : {Priority::normal, Priority::sheddable}) {
    for (const auto reason : {OverloadReason::loop, OverloadReason::latency}) {
      std::uint64_t sum = 0;
      for (const auto& loop : loops_) sum += loop->shed(priority, reason);
      out.counter({.name = "ashlar.overload.shed", .help = "Requests refused with 503 because of overload."},
                  static_cast<double>(sum),
                  {{"priority", to_string(priority)}, {"reason", reason == OverloadReason::loop ? "loop" : "latency"}});
    }
  }
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    const std::string index = std::to_string(i);
    out.gauge({.name = "ashlar.overload.round_limit", .help = "Requests that the loop takes on in a round; 0: all."},
              static_cast<double>(loops_[i]->shown_round_limit()), {{"loop", index}});
    out.gauge({.name = "ashlar.overload.flight_limit", .help = "Requests that may be under way at once; 0: all."},
              static_cast<double>(loops_[i]->shown_flight_limit()), {{"loop", index}});
  }
}

}  // namespace ashlar::detail
