// How a program serves: address, threads, limits, logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/schema/annotated.hpp>

namespace ashlar {

/// Read from defaults < ASHLAR_… variables < flags of `serve`.
struct ServeSettings {
  using Seconds = Annotated<double, ge{0.001}, le{366 * 24 * 3600}>;

  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;                    ///< 0: a free one
  std::optional<std::string> unix_socket = {};  ///< a path; in place of host and port
  /// Processes that serve, each with `threads` loops, under a supervisor that restarts them; 0: this process serves.
  Annotated<std::uint32_t, le{1024}> workers = 0;
  std::uint32_t threads = 0;  ///< loops; 0: one a core, of each worker one
  std::uint64_t max_body_bytes = 1024 * 1024;
  /// Of each loop, and of one address other than this machine's; more are answered 503 and closed.
  Annotated<std::uint32_t, ge{1}> max_connections = 16'384;
  Annotated<std::uint32_t, ge{1}> max_connections_per_peer = 1'024;
  bool http2 = true;  ///< to clients that ask for it
  /// Requests that one connection of HTTP/2 may have under way.
  Annotated<std::uint32_t, ge{1}, le{10'000}> http2_max_streams = 128;
  Seconds request_timeout_seconds = 30;  ///< until a handler is cancelled; 504
  Seconds header_timeout_seconds = 10;   ///< for the head of a request to arrive; 408
  Seconds body_timeout_seconds = 10;     ///< for its body, plus a second a KiB; 408
  Seconds idle_timeout_seconds = 75;     ///< between two requests of a connection
  Seconds write_timeout_seconds = 30;    ///< without a client taking 1 KiB a second of its answer
  Seconds drain_timeout_seconds = 30;    ///< that running requests get at the end
  Seconds drain_grace_seconds = 1;       ///< that idle connections get at the end to bring a last request
  bool shed_load = true;                 ///< refuse what cannot be answered in time, with 503
  /// How long requests may wait for their turn; shedding begins when they wait twice as long for half a second.
  Annotated<std::uint32_t, ge{1}, le{60'000}> overload_wait_ms = 100;
  /// Addresses and networks, with commas, whose word about their clients is taken: see TrustedProxies.
  std::optional<std::string> trusted_proxies = {};
  std::string proxy_header = "x-forwarded";  ///< which one they send: x-forwarded or forwarded
  std::uint32_t stall_limit_ms = 200;        ///< a handler that holds its loop for longer is named in the log
  bool route_cost = false;                   ///< /metrics tell the processor time of each route: see `routes --cost`
  Seconds worker_backoff_seconds = 0.1;      ///< until a crashed worker is started again; doubles with each crash
  Seconds worker_backoff_most_seconds = 30;  ///< … up to this; a worker that served for longer begins anew
  Seconds worker_start_seconds = 120;        ///< that a worker that replaces another may take until it serves
  Seconds worker_stall_seconds = 10;         ///< without a sign of life until a worker is reported as stalled
  std::uint32_t worker_kill_seconds = 0;     ///< until it is killed and started again; 0: never
  Seconds settings_reload_seconds = 2;       ///< between two looks at whether the files of settings have changed
  std::string log_level = "info";
  std::string log_format = "auto";  ///< auto, human, json

  /// PEM, each with its chain; the first is the default, the others are for the names in them. None: plain http.
  std::vector<std::string> tls_cert = {};
  std::vector<std::string> tls_key = {};   ///< PEM, one for each certificate; none: the certificates' files hold them
  std::vector<std::string> tls_ocsp = {};  ///< DER, stapled to the certificate at the same place
  std::optional<std::string> tls_client_ca =
      {};                               ///< PEM: who signs clients' certificates; without it none is asked for
  std::string tls_client = "required";  ///< a client's certificate: required, optional
  std::string tls_min_version = "1.2";  ///< 1.2, 1.3
  bool tls_dev = false;                 ///< a certificate for localhost, made and kept in ASHLAR_DATA_DIR/tls
  Seconds tls_reload_seconds = 5;       ///< between two looks at whether the TLS files have changed

  std::optional<std::uint16_t> redirect_http =
      {};  ///< a port for plain http that sends clients to https; 0: a free one
  /// The port of https as clients see it, where something in between maps it to another; none: the one that is served.
  std::optional<std::uint16_t> redirect_to_port = {};
  /// Hosts, with commas, that are redirected, "*.example.com" for all below one; others get 421. None: every host.
  std::optional<std::string> redirect_hosts = {};
};

}  // namespace ashlar
