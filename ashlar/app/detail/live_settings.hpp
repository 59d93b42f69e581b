// What Live<S> does whatever its S is.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/context.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/schema/settings.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar {

class App;

namespace detail {

inline constexpr const char* kProfileVariable = "ASHLAR_PROFILE";

/// What settings are read from.
struct SettingsPlaces {
  std::string prefix;
  std::string file;
  std::string profile;
  bool file_must_exist = false;
  std::vector<std::pair<std::string, std::string>> flags;

  /// Throws ValidationError or Invalid.
  void read(const schema::TypeInfo& type, void* into, schema::SettingsReport& report) const;
};

/// A member that may change.
struct LiveMember {
  std::string name;  // "mail.host"
  std::size_t offset;
  void (*move)(void* into, void* from);
};
struct LiveType {
  const schema::TypeInfo* type;
  std::vector<LiveMember> members;
  std::shared_ptr<void> (*make)();
  std::shared_ptr<void> (*copy)(const void*);
  void (*move)(void* into, void* from);
};
/// The name of the member of a struct that begins there, behind `path`.
std::string live_name(const schema::TypeInfo& type, const std::string& path, std::size_t offset);

class LiveSettings {
 public:
  using Hook = std::function<void(const void* before, const void* now)>;
  /// Settings that were read and are not in force yet.
  struct Fresh {
    std::shared_ptr<void> object;
    schema::SettingsReport report;
  };

  explicit LiveSettings(LiveType type);

  /// Each thread has a count of its own of those who keep them.
  [[nodiscard]] std::shared_ptr<const void> now() const;
  [[nodiscard]] bool is_live(std::string_view name) const noexcept;
  void on_change(Hook hook) { hooks_.push_back(std::move(hook)); }

  /// What the program starts with.
  void begin(const void* object, SettingsPlaces places, schema::SettingsReport report);

  /// Blocks. Throws ValidationError or Invalid.
  [[nodiscard]] Fresh read() const;
  /// Takes over what is live in them, and runs the hooks. Throws ValidationError when it does not go together with what
  /// stays.
  void take(Fresh fresh);
  /// How the files look from outside: another text when one has changed. Blocks.
  [[nodiscard]] std::string look() const;

  void count_reload(bool done) { (done ? done_ : failed_).add(); }

 private:
  const LiveType type_;
  const std::size_t number_;  // of all that there ever were
  std::vector<Hook> hooks_;
  SettingsPlaces places_;
  std::vector<std::string> files_;
  std::atomic<std::uint64_t> version_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const void> current_;
  schema::SettingsReport report_;  // of what is in force
  metrics::Counter done_, failed_;
};

/// Registers them with the application, and loads them.
std::shared_ptr<LiveSettings> add_live_settings(App& app, LiveType type, std::string prefix, std::string file);
/// Reads them again, off the loop, and takes them over. False: they cannot be used; logged.
Task<bool> reload_settings(std::shared_ptr<LiveSettings> settings);
/// Reads them again when their files have changed, until it is cancelled.
Task<void> watch_settings(std::shared_ptr<LiveSettings> settings, async::Nanoseconds every);

}  // namespace detail
}  // namespace ashlar
