// Start and stop: components in order, checks, hooks, background work.
#include <fmt/format.h>

#include <algorithm>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {

std::vector<async::Component*> Core::all_components() {
  std::vector<async::Component*> all = components;
  for (const auto* list : {&mounts, &hosts}) {
    for (const auto& mounted : *list) {
      for (auto* component : mounted.app->core().all_components()) {
        if (std::ranges::find(all, component) == all.end()) all.push_back(component);
      }
    }
  }
  return all;
}

void Core::make_all() {
  for (Provider* provider : making_order) make(*provider);
  for (const auto* list : {&mounts, &hosts}) {
    for (const auto& mounted : *list) mounted.app->core().make_all();
  }
}

Task<void> Core::start() {
  prepare();
  make_all();
  const auto all = all_components();
  for (; started_ < all.size(); ++started_) co_await all[started_]->start();
}

Task<void> Core::start_loop(async::Loop& loop) {
  for (auto* component : all_components()) co_await component->start_loop(loop);
}

Task<void> Core::begin() {
  std::vector<std::string> problems;
  for (auto& check : checks) {
    for (auto& problem : co_await check()) problems.push_back(std::move(problem));
  }
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));
  for (auto& hook : start_hooks) co_await hook(*this, {});
}

Task<void> Core::stop_loop(async::Loop& loop) {
  auto all = all_components();
  for (auto component = all.rbegin(); component != all.rend(); ++component) {
    try {
      co_await (*component)->stop_loop(loop);
    } catch (const std::exception& error) {
      log::error("a component did not stop on a loop",
                 {{"component", (*component)->name()}, {"error", std::string_view(error.what())}});
    }
  }
}

Task<void> Core::stop() {
  auto all = all_components();
  for (; started_ > 0; --started_) {
    try {
      co_await all[started_ - 1]->stop();
    } catch (const std::exception& error) {
      log::error("a component did not stop",
                 {{"component", all[started_ - 1]->name()}, {"error", std::string_view(error.what())}});
    }
  }
}

Task<void> Core::drain_background() {
  while (background_running.load() > 0) {
    background_idle.reset();
    if (background_running.load() == 0) break;
    co_await background_idle.wait();
  }
}

Task<std::vector<std::string>> Core::run_checks() {
  std::vector<std::string> problems;
  for (auto* component : all_components()) {
    for (auto& problem : co_await component->check()) problems.push_back(std::move(problem));
  }
  for (auto& check : checks) {
    for (auto& problem : co_await check()) problems.push_back(std::move(problem));
  }
  co_return problems;
}

}  // namespace ashlar::detail
