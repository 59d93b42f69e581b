#include <ashlar/app/live_settings.hpp>

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <iterator>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/errors.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {
namespace {

// Of each thread, by the number of the settings: whoever reads them shares no count with other threads.
struct Replica {
  std::uint64_t version = 0;
  std::shared_ptr<const void> value;
};
thread_local std::vector<Replica> t_replicas;

std::size_t next_number() noexcept {
  static std::atomic<std::size_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed);
}

// The names whose text differs, also those that are in one of the two only.
std::vector<std::string> differences(const schema::SettingsReport& a, const schema::SettingsReport& b) {
  std::vector<std::string> names;
  for (const auto& [name, origin] : a.origins) {
    const auto other = b.origins.find(name);
    if (other == b.origins.end() || other->second.text != origin.text) names.push_back(name);
  }
  for (const auto& [name, origin] : b.origins) {
    if (!a.origins.contains(name)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

std::string live_name(const schema::TypeInfo& type, const std::string& path, std::size_t offset) {
  const std::string_view name = schema::setting_at(type, offset);
  return path.empty() || name.empty() ? path + std::string(name) : fmt::format("{}.{}", path, name);
}

void SettingsPlaces::read(const schema::TypeInfo& type, void* into, schema::SettingsReport& report) const {
  std::vector<schema::Pair> pairs;
  for (const auto& [name, value] : flags) pairs.push_back({name, value});
  schema::Errors errors;
  if (!schema::read_settings(
          type, into,
          {.prefix = prefix, .file = file, .file_must_exist = file_must_exist, .profile = profile, .flags = pairs},
          errors, &report)) {
    throw schema::ValidationError(std::move(errors));
  }
}

LiveSettings::LiveSettings(LiveType type) : type_(std::move(type)), number_(next_number()) {
  auto& registry = metrics::default_registry();
  const metrics::Description reloads{.name = "ashlar.settings.reloads",
                                     .help = "Times that changed settings were read."};
  done_ = registry.counter(reloads, {{"result", "done"}});
  failed_ = registry.counter(reloads, {{"result", "failed"}});
}

std::shared_ptr<const void> LiveSettings::now() const {
  if (number_ >= t_replicas.size()) t_replicas.resize(number_ + 1);
  Replica& mine = t_replicas[number_];
  if (mine.version != version_.load(std::memory_order_acquire)) [[unlikely]] {
    const std::lock_guard lock(mutex_);
    mine.version = version_.load(std::memory_order_relaxed);
    mine.value = std::shared_ptr<const void>(current_.get(), [kept = current_](const void*) {});
  }
  return mine.value;
}

bool LiveSettings::is_live(std::string_view name) const noexcept {
  return std::ranges::any_of(type_.members, [&](const LiveMember& member) {
    return name == member.name || (name.starts_with(member.name) && name[member.name.size()] == '.');
  });
}

void LiveSettings::begin(const void* object, SettingsPlaces places, schema::SettingsReport report) {
  const std::lock_guard lock(mutex_);
  places_ = std::move(places);
  files_ = report.files;
  report_ = std::move(report);
  current_ = type_.copy(object);
  version_.fetch_add(1, std::memory_order_release);
}

LiveSettings::Fresh LiveSettings::read() const {
  Fresh fresh{type_.make(), {}};
  places_.read(*type_.type, fresh.object.get(), fresh.report);
  return fresh;
}

void LiveSettings::take(Fresh fresh) {
  std::shared_ptr<const void> before, now;
  std::vector<std::string> changed, kept;
  {
    const std::lock_guard lock(mutex_);
    for (std::string& name : differences(report_, fresh.report)) {
      (is_live(name) ? changed : kept).push_back(std::move(name));
    }
    if (!changed.empty()) {
      auto next = type_.copy(current_.get());
      for (const LiveMember& member : type_.members) {
        member.move(static_cast<std::byte*>(next.get()) + member.offset,
                    static_cast<std::byte*>(fresh.object.get()) + member.offset);
      }
      schema::Errors errors;
      schema::check_settings(*type_.type, next.get(), errors);
      if (!errors.empty()) throw schema::ValidationError(std::move(errors));
      for (const std::string& name : changed) {
        report_.origins.erase(name);
        if (auto origin = fresh.report.origins.extract(name)) report_.origins.insert(std::move(origin));
      }
      before = std::exchange(current_, std::move(next));
      now = current_;
      version_.fetch_add(1, std::memory_order_release);
    }
  }
  if (!kept.empty()) {
    log::warn("settings have changed that take a restart", {{"settings", fmt::format("{}", fmt::join(kept, ", "))}});
  }
  if (now == nullptr) return;
  log::info("settings have changed", {{"settings", fmt::format("{}", fmt::join(changed, ", "))}});
  for (const Hook& hook : hooks_) {
    try {
      hook(before.get(), now.get());
    } catch (const std::exception& error) {
      log::error("what was to be done about changed settings failed", {{"error", error}});
    }
  }
}

std::string LiveSettings::look() const {
  std::string text;
  for (const std::string& file : files_) {
    struct stat info{};
    if (::stat(file.c_str(), &info) != 0) info = {};
    fmt::format_to(std::back_inserter(text), "{}.{}.{}.{}.{} ", info.st_dev, info.st_ino, info.st_size,
                   info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  return text;
}

std::shared_ptr<LiveSettings> add_live_settings(App& app, LiveType type, std::string prefix, std::string file) {
  auto live = std::make_shared<LiveSettings>(type);
  app.core().add_settings({.type = type.type,
                           .object = type.make(),
                           .prefix = std::move(prefix),
                           .file = std::move(file),
                           .move = type.move,
                           .make = type.make,
                           .problem = {},
                           .profile_file = {},
                           .report = {},
                           .live = live});
  return live;
}

Task<bool> reload_settings(std::shared_ptr<LiveSettings> settings) {
  try {
    settings->take(co_await async::offload([settings] { return settings->read(); }));
    settings->count_reload(true);
    co_return true;
  } catch (const Cancelled&) {
    throw;
  } catch (const DeadlineExceeded&) {
    throw;
  } catch (const std::exception& error) {
    settings->count_reload(false);
    log::error("settings have changed and cannot be used; those that were there stay", {{"error", error}});
    co_return false;
  }
}

Task<void> watch_settings(std::shared_ptr<LiveSettings> settings, async::Nanoseconds every) {
  std::string last, taken;
  for (;;) {
    co_await async::sleep(every);
    std::string now = co_await async::offload([settings] { return settings->look(); });
    // Twice the same: nobody is writing to them.
    const bool settled = now == last;
    last = std::move(now);
    if (!settled || last == taken) continue;
    taken = last;
    co_await reload_settings(settings);
  }
}

bool Core::has_live_settings() {
  return std::ranges::any_of(all_cores(), [](const Core* core) {
    return std::ranges::any_of(core->settings, [](const ProgramSettings& one) { return one.live != nullptr; });
  });
}

Task<void> Core::reload_settings() {
  for (Core* core : all_cores()) {
    for (const auto& one : core->settings) {
      if (one.live) co_await detail::reload_settings(one.live);
    }
  }
}

Task<void> Core::watch_settings(async::Nanoseconds every) {
  std::vector<Task<void>> watches;
  for (Core* core : all_cores()) {
    for (const auto& one : core->settings) {
      if (one.live) watches.push_back(detail::watch_settings(one.live, every));
    }
  }
  co_await async::all(std::move(watches));
}

}  // namespace ashlar::detail
