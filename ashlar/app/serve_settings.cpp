// Settings of serving: defaults < environment < flags.
#include <CLI/CLI.hpp>

#include <map>
#include <string>

#include <ashlar/app/detail/serve.hpp>
#include <ashlar/schema/settings.hpp>

namespace ashlar::detail {

void load_serve_settings(ServeSettings& settings) {
  settings = schema::load_settings<ServeSettings>({.prefix = "ASHLAR"});
}

void add_serve_flags(CLI::App& cli, ServeSettings& settings) {
  auto* group = cli.add_option_group("Serving", "Each also from the environment, for example ASHLAR_PORT");
  group->add_option("--host", settings.host, "Address to listen on; 0.0.0.0 for all")->capture_default_str();
  group->add_option("-p,--port", settings.port, "Port; 0 takes a free one")->capture_default_str();
  group->add_option("--unix-socket", settings.unix_socket, "Listen on this path instead");
  group->add_option("-j,--threads", settings.threads, "Loops; 0: one a core")->capture_default_str();
  const auto seconds = [group](const char* name, ServeSettings::Seconds& time, const char* help) {
    group->add_option(name, time.value, help)->capture_default_str()->check(CLI::Range(0.001, 366.0 * 24 * 3600));
  };
  seconds("--request-timeout", settings.request_timeout_seconds, "Seconds until a request is given up");
  seconds("--header-timeout", settings.header_timeout_seconds, "Seconds for the head of a request to arrive");
  seconds("--body-timeout", settings.body_timeout_seconds, "Seconds for the body of a request, plus one a KiB");
  seconds("--idle-timeout", settings.idle_timeout_seconds, "Seconds a connection may stay without a request");
  seconds("--write-timeout", settings.write_timeout_seconds, "Seconds for a client to go on taking its answer");
  seconds("--drain-timeout", settings.drain_timeout_seconds, "Seconds that running requests get at the end");
  seconds("--drain-grace", settings.drain_grace_seconds, "Seconds that idle connections get at the end for a request");
  group->add_option("--max-body", settings.max_body_bytes, "Largest request body in bytes")->capture_default_str();
  group->add_option("--max-connections", settings.max_connections.value, "Most connections of each loop")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  group
      ->add_option("--max-connections-per-peer", settings.max_connections_per_peer.value,
                   "Most connections of one address other than this machine")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  group->add_option("--http2", settings.http2, "on or off: HTTP/2 to clients that ask for it")
      ->type_name("on|off")
      ->transform(CLI::CheckedTransformer(std::map<std::string, bool>{{"on", true}, {"off", false}}));
  group
      ->add_option("--http2-max-streams", settings.http2_max_streams.value,
                   "Requests that one connection of HTTP/2 may have under way")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  group
      ->add_option("--stall-limit", settings.stall_limit_ms,
                   "Milliseconds a handler may hold its loop before the log names it")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600'000));
  group->add_option("--log-level", settings.log_level, "trace, debug, info, warn, error, off")->capture_default_str();
  group->add_option("--log-format", settings.log_format, "auto, human or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "human", "json"}));
}

}  // namespace ashlar::detail
