// How a program serves: address, threads, limits, logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ashlar/schema/options.hpp>

namespace ashlar {

/// Read from defaults < the configuration file's [server] table < ASHLAR_… variables < flags of `serve`.
struct ServeSettings {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;                    ///< 0: a free one
  std::optional<std::string> unix_socket = {};  ///< a path; in place of host and port
  std::uint32_t threads = 0;                    ///< loops; 0: one a core
  std::uint64_t max_body_bytes = 1024 * 1024;
  std::uint32_t max_connections = 16'384;          ///< of each loop; more are answered 503 and closed
  std::uint32_t max_connections_per_peer = 1'024;  ///< of one address, the loopback interface excepted
  double request_timeout_seconds = 30;             ///< until a handler is cancelled; 504
  double header_timeout_seconds = 10;              ///< for the head of a request to arrive; 408
  double body_timeout_seconds = 10;                ///< for its body, plus a second a KiB; 408
  double idle_timeout_seconds = 75;                ///< between two requests of a connection
  double write_timeout_seconds = 30;               ///< without a client taking 1 KiB a second of its answer
  double drain_timeout_seconds = 30;               ///< that running requests get at the end
  double drain_grace_seconds = 1;                  ///< that idle connections get at the end to bring a last request
  std::uint32_t stall_limit_ms = 200;              ///< a handler that holds its loop for longer is named in the log
  std::string log_level = "info";
  std::string log_format = "auto";  ///< auto, human, json

  void validate(Violations& violations) const;
};

}  // namespace ashlar
