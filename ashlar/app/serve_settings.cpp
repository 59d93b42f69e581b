// Settings of serving: defaults < environment < flags.
#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <utility>

#include <ashlar/app/detail/serve.hpp>
#include <ashlar/schema/settings.hpp>

namespace ashlar::detail {

ServeSettingsOrigins load_serve_settings(ServeSettings& settings) {
  ServeSettingsOrigins origins;
  ServeSettings fresh;
  schema::Errors errors;
  if (!schema::read_settings(schema::type_info<ServeSettings>(), &fresh, {.prefix = "ASHLAR"}, errors,
                             &origins.report)) {
    throw schema::ValidationError(std::move(errors));
  }
  settings = std::move(fresh);
  origins.values = schema::describe_settings(settings, "ASHLAR");
  return origins;
}

void add_serve_flags(CLI::App& cli, ServeSettings& settings) {
  auto* group = cli.add_option_group("Serving", "Each also from the environment, for example ASHLAR_PORT");
  group->add_option("--host", settings.host, "Address to listen on; 0.0.0.0 for all")->capture_default_str();
  group->add_option("-p,--port", settings.port, "Port; 0 takes a free one")->capture_default_str();
  group->add_option("--unix-socket", settings.unix_socket, "Listen on this path instead");
  group
      ->add_option("-w,--workers", settings.workers.value,
                   "Processes that serve, under a supervisor: SIGHUP replaces them one by one; 0: this process serves")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  group->add_option("-j,--threads", settings.threads, "Loops; 0: one a core, of each worker one")
      ->capture_default_str();
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
  const auto files = [group](const char* name, std::vector<std::string>& paths, const char* help) {
    group->add_option(name, paths, help)->type_name("FILE")->allow_extra_args(false);
  };
  files("--tls-cert", settings.tls_cert, "Serve https with this certificate (PEM, with its chain); several: by name");
  files("--tls-key", settings.tls_key, "Its key (PEM), for each in the same order; none: it is in the same file");
  files("--tls-ocsp", settings.tls_ocsp, "An OCSP answer about it (DER) to staple");
  group
      ->add_option("--tls-client-ca", settings.tls_client_ca,
                   "Ask clients for a certificate of these authorities (PEM)")
      ->type_name("FILE");
  group->add_option("--tls-client", settings.tls_client, "required or optional: the certificate of a client")
      ->capture_default_str()
      ->check(CLI::IsMember({"required", "optional"}));
  group->add_option("--tls-min-version", settings.tls_min_version, "1.2 or 1.3")
      ->capture_default_str()
      ->check(CLI::IsMember({"1.2", "1.3"}));
  group->add_flag("--tls-dev", settings.tls_dev, "Serve https with a certificate for localhost that it makes itself");
  seconds("--tls-reload", settings.tls_reload_seconds, "Seconds between two looks for changed TLS files");
  group->add_option("--redirect-http", settings.redirect_http,
                    "A port for plain http that sends clients to https (308); 0 takes a free one");
  group->add_option("--redirect-to-port", settings.redirect_to_port,
                    "The port that it sends them to, where it is not the one that is served");
  group->add_option("--redirect-hosts", settings.redirect_hosts,
                    "The hosts that it redirects, with commas, *.example.com for all below one; others get 421");
  group->add_option("--shed-load", settings.shed_load, "Refuse what cannot be answered in time, with 503")
      ->capture_default_str();
  group
      ->add_option("--overload-wait", settings.overload_wait_ms.value,
                   "Milliseconds that requests may wait for their turn before some are refused")
      ->capture_default_str()
      ->check(CLI::Range(1, 60'000));
  group->add_option("--trusted-proxies", settings.trusted_proxies,
                    "Addresses and networks of proxies, with commas, or unix: their headers tell who the client is");
  group->add_option("--proxy-header", settings.proxy_header, "What these send: x-forwarded or forwarded")
      ->capture_default_str()
      ->check(CLI::IsMember({"x-forwarded", "forwarded"}));
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
  group->add_flag("--route-cost", settings.route_cost, "Measure the processor time of each route, for /metrics");
  seconds("--worker-backoff", settings.worker_backoff_seconds,
          "Seconds until a crashed worker is started again, doubled with each crash");
  seconds("--worker-backoff-most", settings.worker_backoff_most_seconds, "… and the most of it");
  seconds("--worker-start", settings.worker_start_seconds, "Seconds that a new worker gets until it serves");
  seconds("--worker-stall", settings.worker_stall_seconds, "Seconds without a sign of life until a worker is reported");
  group->add_option("--worker-kill", settings.worker_kill_seconds, "… and killed and started again; 0: never")
      ->capture_default_str();
  seconds("--settings-reload", settings.settings_reload_seconds, "Seconds between two looks for changed live settings");
  group->add_option("--log-level", settings.log_level, "trace, debug, info, warn, error, off")->capture_default_str();
  group->add_option("--log-format", settings.log_format, "auto, human or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "human", "json"}));
}

}  // namespace ashlar::detail
