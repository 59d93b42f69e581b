#include <ashlar/app/maintenance.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include <ashlar/app/detail/path_list.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/async/context.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/ip.hpp>

namespace ashlar {

struct Maintenance::Switch {
  MaintenanceOptions options;
  std::vector<IpAddress> open_to;
  std::atomic<bool> closed{false};
  std::atomic<async::Clock::rep> expected_end{0};  // 0: nobody knows
};

Maintenance::Maintenance(MaintenanceOptions options) : switch_(std::make_shared<Switch>()) {
  for (const std::string& path : options.open_paths) {
    if (!path.starts_with('/')) throw Invalid(fmt::format("'{}' is no path to keep open", path));
  }
  for (const std::string& text : options.open_to) {
    const auto network = IpAddress::parse(text);
    if (!network) throw Invalid(fmt::format("'{}' is no address and no network, such as 10.0.0.0/8", text));
    switch_->open_to.push_back(*network);
  }
  if (options.retry_after.count() <= 0) throw Invalid("Retry-After of a maintenance is above 0");
  switch_->options = std::move(options);
}

void Maintenance::begin(std::chrono::seconds expected) const noexcept {
  async::Clock::rep end = 0;
  if (expected.count() > 0) {
    const std::chrono::seconds hint = std::min<std::chrono::seconds>(expected, std::chrono::years{1});
    end = (async::Clock::now() + hint).time_since_epoch().count();
  }
  switch_->expected_end.store(end, std::memory_order_relaxed);
  switch_->closed.store(true, std::memory_order_release);
}

void Maintenance::end() const noexcept { switch_->closed.store(false, std::memory_order_release); }

bool Maintenance::closed() const noexcept { return switch_->closed.load(std::memory_order_acquire); }

bool Maintenance::comes_through(const http::Request& request) const noexcept {
  const bool open = detail::is_among(switch_->options.open_paths, request.path);
  if (open || request.peer == nullptr || switch_->open_to.empty()) return open;
  const auto address = net::ip_of(*request.peer);
  return address &&
         std::ranges::any_of(switch_->open_to, [&](const IpAddress& network) { return network.contains(*address); });
}

bool Maintenance::before(http::Exchange& exchange) {
  if (!closed()) [[likely]]
    return true;
  if (comes_through(exchange.request)) return true;
  std::int64_t seconds = switch_->options.retry_after.count();
  if (const auto end = switch_->expected_end.load(std::memory_order_relaxed); end != 0) {
    const async::TimePoint at{async::Clock::duration{end}};
    const auto left = std::chrono::ceil<std::chrono::seconds>(at - async::Clock::now()).count();
    if (left > 0) seconds = left;  // it takes longer than was thought
  }
  Problem problem;
  problem.status = 503;
  problem.detail = switch_->options.detail;
  problem.headers.emplace_back("Retry-After", std::to_string(seconds));
  return refuse(exchange, problem);
}

}  // namespace ashlar
