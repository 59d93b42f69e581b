// How a program serves: address, threads, limits, logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ashlar/schema/annotated.hpp>

namespace ashlar {

/// Read from defaults < the configuration file's [server] table < ASHLAR_… variables < flags of `serve`.
struct ServeSettings {
  using Seconds = Annotated<double, ge{0.001}, le{366 * 24 * 3600}>;

  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;                    ///< 0: a free one
  std::optional<std::string> unix_socket = {};  ///< a path; in place of host and port
  std::uint32_t threads = 0;                    ///< loops; 0: one a core
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
  std::uint32_t stall_limit_ms = 200;    ///< a handler that holds its loop for longer is named in the log
  std::string log_level = "info";
  std::string log_format = "auto";  ///< auto, human, json
};

}  // namespace ashlar
