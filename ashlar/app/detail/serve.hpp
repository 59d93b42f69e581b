// Serving: from a prepared application to a drained one.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/hand_over.hpp>
#include <ashlar/app/serve.hpp>
#include <ashlar/http/server_options.hpp>
#include <ashlar/schema/settings.hpp>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 calls itself so
class App;
}

namespace ashlar::detail {

/// Starts, serves until SIGINT or SIGTERM, drains, stops. Gives the exit code; throws what refuses to start. With a
/// hand-over it is a worker, and its supervisor says when to end.
int serve(Core& core, const ServeSettings& settings, std::optional<HandOver> hand_over = {});

/// Starts the workers, each this program with these arguments, and keeps them until SIGINT or SIGTERM. Gives the exit
/// code; throws what refuses to start.
int supervise(Core& core, const ServeSettings& settings, const std::vector<std::string>& arguments);

/// Of a process that had one: SIGHUP is its end then.
bool terminal_is_gone() noexcept;

http::ServerOptions server_options(const ServeSettings& settings);
/// Of a worker when `workers`, else of this process.
unsigned loop_count(const ServeSettings& settings) noexcept;
std::chrono::nanoseconds duration_of(ServeSettings::Seconds seconds) noexcept;
/// Says that it serves, to people or to a log. `redirect`: where it sends clients to https; null: nowhere.
void announce(const Core& core, const ServeSettings& settings, const net::Address& address,
              const net::Address* redirect, std::chrono::milliseconds took);

/// Where the settings of serving came from before the flags were read.
struct ServeSettingsOrigins {
  schema::SettingsReport report;
  std::vector<schema::Setting> values;
};
/// The environment over the defaults. Throws ValidationError naming the variables.
ServeSettingsOrigins load_serve_settings(ServeSettings& settings);
void add_serve_flags(CLI::App& cli, ServeSettings& settings);

}  // namespace ashlar::detail
