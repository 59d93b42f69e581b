// Start and stop: components in order, checks, hooks, background work.
#include <fmt/format.h>

#include <algorithm>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {

std::vector<App*> Core::other_apps() const {
  std::vector<App*> others;
  for (const auto* list : {&mounts, &hosts}) {
    for (const Mounted& one : *list) others.push_back(one.app);
  }
  if (versions != nullptr) {
    for (const ApiVersion& one : versions->all()) others.push_back(&one.app);
  }
  return others;
}

std::vector<Core*> Core::all_cores() {
  std::vector<Core*> all{this};
  for (App* other : other_apps()) {
    for (Core* core : other->core().all_cores()) {
      if (std::ranges::find(all, core) == all.end()) all.push_back(core);
    }
  }
  return all;
}

std::vector<async::Component*> Core::all_components() {
  std::vector<async::Component*> all;
  for (const Core* core : all_cores()) {
    for (auto* component : core->components) {
      if (std::ranges::find(all, component) == all.end()) all.push_back(component);
    }
  }
  return all;
}

void Core::make_all() {
  for (Core* core : all_cores()) {
    for (Provider* provider : core->making_order) core->make(*provider);
  }
}

Task<void> Core::start() {
  prepare();
  make_all();
  const auto all = all_components();
  if (throwaway && std::ranges::count_if(all, [](auto* one) { return one->use_throwaway(); }) == 0)
    throw Invalid("--throwaway: nothing in this program keeps data that can be thrown away");
  for (; started_ < all.size(); ++started_) co_await all[started_]->start();
}

Task<void> Core::start_loop(async::Loop& loop) {
  for (auto* component : all_components()) co_await component->start_loop(loop);
}

Task<void> Core::begin() {
  std::vector<std::string> problems;
  for (Core* core : all_cores()) {
    for (auto& check : core->checks) {
      for (auto& problem : co_await check()) problems.push_back(std::move(problem));
    }
  }
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));
  for (Core* core : all_cores()) {
    for (auto& hook : core->start_hooks) co_await hook(*core, {});
  }
}

Task<void> Core::end() {
  for (Core* core : all_cores()) {
    for (auto& hook : core->stop_hooks) co_await hook(*core, {});
  }
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
  for (Core* core : all_cores()) {
    while (core->background_running.load() > 0) {
      core->background_idle.reset();
      if (core->background_running.load() == 0) break;
      co_await core->background_idle.wait();
    }
  }
}

Task<std::vector<std::string>> Core::run_checks() {
  std::vector<std::string> problems;
  for (auto* component : all_components()) {
    for (auto& problem : co_await component->check()) problems.push_back(std::move(problem));
  }
  for (Core* core : all_cores()) {
    for (auto& check : core->checks) {
      for (auto& problem : co_await check()) problems.push_back(std::move(problem));
    }
  }
  co_return problems;
}

}  // namespace ashlar::detail
