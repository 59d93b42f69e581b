// How a program serves: address, threads, limits, logs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ashlar {

/// Read from defaults < the configuration file's [server] table < ASHLAR_… variables < flags of `serve`.
struct ServeSettings {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;                    ///< 0: a free one
  std::optional<std::string> unix_socket = {};  ///< a path; in place of host and port
  std::uint32_t threads = 0;                    ///< loops; 0: one a core
  std::uint32_t request_timeout_seconds = 30;
  std::uint32_t drain_timeout_seconds = 30;
  std::uint64_t max_body_bytes = 1024 * 1024;
  std::uint32_t stall_limit_ms = 200;  ///< a handler that holds its loop for longer is named in the log
  std::string log_level = "info";
  std::string log_format = "auto";  ///< auto, human, json
};

}  // namespace ashlar
