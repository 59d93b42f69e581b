// Live: settings of which some change while the program runs.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/live_settings.hpp>
#include <ashlar/app/live.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/schema/annotated.hpp>
#include <ashlar/schema/reflect.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar {

namespace detail {

// Structs in structs; a live one is one member.
template <class S>
void add_live_members(const std::string& path, std::size_t base, std::vector<LiveMember>& out) {
  S probe{};
  schema::for_each_member(probe, [&](std::string_view, auto& member) {
    using M = std::remove_cvref_t<decltype(member)>;
    using Plain = schema::unannotated_t<M>;
    const auto offset = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&member) -
                                                 reinterpret_cast<const std::byte*>(&probe));
    if constexpr (kIsLive<M>) {
      out.push_back({live_name(schema::type_info<S>(), path, offset), base + offset,
                     [](void* into, void* from) { *static_cast<M*>(into) = std::move(*static_cast<M*>(from)); }});
    } else if constexpr (schema::Reflected<Plain>) {
      add_live_members<Plain>(live_name(schema::type_info<S>(), path, offset), base + offset, out);
    }
  });
}

template <class S>
LiveType live_type() {
  LiveType type{
      .type = &schema::type_info<S>(),
      .members = {},
      .make = [] { return std::shared_ptr<void>(std::make_shared<S>()); },
      .copy = [](const void* from) { return std::shared_ptr<void>(std::make_shared<S>(*static_cast<const S*>(from))); },
      .move = [](void* into, void* from) { *static_cast<S*>(into) = std::move(*static_cast<S*>(from)); }};
  add_live_members<S>("", 0, type.members);
  return type;
}

}  // namespace detail

/// The program's settings, loaded as by App::settings, of which those that are marked live{} may change:
///
///   struct Settings {
///     std::string database_url;                        // takes a restart
///     Annotated<int, ge{1}, le{100}, live{}> page_size = 20;
///   };
///   Live<Settings> settings{app, "BLOG", "blog.toml"};
///   app.get<"/books">([](const Live<Settings>& settings) { const auto now = settings.now(); … now->page_size … });
///
/// While it serves, the files are looked at every two seconds (`--settings-reload`): the TOML files, and those that
/// …_FILE names. They are read again when they have changed and nobody has written to them since the last look, and at
/// SIGHUP, which with several workers replaces these. Everything is checked as at the start; when anything is wrong, a
/// line in the log says what, and nothing changes. What has changed and is not live is named in the log.
template <class S>
class Live {
  static_assert(detail::contains_live<S>(),
                "no setting of this struct is marked live{}: mark those that may change, or use app.settings");
  static_assert(std::is_copy_constructible_v<S>, "settings that change are copied: a member of them cannot be");

 public:
  /// What is missing or wrong is told by run(), which then does not serve. Lives as long as the application.
  Live(App& app, std::string prefix, std::string file = {})
      : state_(detail::add_live_settings(app, detail::live_type<S>(), std::move(prefix), std::move(file))) {
    app.provide(*this);
  }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  /// The settings as they are now; they stay so for whoever keeps them. Any thread, without a lock.
  [[nodiscard]] std::shared_ptr<const S> now() const {
    auto settings = state_->now();
    const S* const object = static_cast<const S*>(settings.get());
    return {std::move(settings), object};
  }

  /// Runs after each change, on the loop that has read it. What it throws is logged. Add it before run().
  void on_change(std::function<void(const S& before, const S& now)> hook) {
    state_->on_change([hook = std::move(hook)](const void* before, const void* now) {
      hook(*static_cast<const S*>(before), *static_cast<const S*>(now));
    });
  }

  /// Reads them again now. False: they cannot be used, which is in the log, and those that were there stay.
  Task<bool> reload() { return detail::reload_settings(state_); }

 private:
  std::shared_ptr<detail::LiveSettings> state_;
};

}  // namespace ashlar
