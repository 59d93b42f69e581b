// What a server counts. One set a loop, written by its loop alone, read by anybody.
#pragma once

#include <ashlar/base/stat_number.hpp>

namespace ashlar::http {

/// Counters, but for `open`.
struct WebSocketStats {
  StatNumber open;  ///< now
  StatNumber opened;
  StatNumber messages_received;
  StatNumber messages_sent;
  StatNumber closed_normally;  ///< by a Close of either side with 1000, 1001 or no code
  StatNumber closed_by_error;  ///< by a Close with another code
  StatNumber broken;           ///< ended without a Close
  // Limits, by what they did.
  StatNumber faults;          ///< 1002, 1007, 1009: the peer broke the protocol, or sent too much at once
  StatNumber rates;           ///< 1008: too many messages
  StatNumber ping_timeouts;   ///< closed: no sign of life
  StatNumber write_timeouts;  ///< closed: too slow a reader
  StatNumber close_timeouts;  ///< closed without waiting any longer for the peer's Close
  StatNumber dropped;         ///< messages of a room that a slow member did not get
  StatNumber slow_closed;     ///< 1008: members closed because they were too slow for a room
  StatNumber paused;          ///< times a peer was held up because its messages were not taken
};
WebSocketStats& operator+=(WebSocketStats& sum, const WebSocketStats& more) noexcept;

/// Counters, but for those that say "now".
struct ServerStats {
  StatNumber connections;         ///< now
  StatNumber requests_running;    ///< now: handed to the handler, not finished
  StatNumber requests_suspended;  ///< now: those of them whose handler waits for something
  StatNumber streams;             ///< now
  StatNumber accepted;
  StatNumber requests;
  StatNumber bytes_received;
  StatNumber bytes_sent;

  // Limits, by what they did.
  StatNumber refused_connections;       ///< 503: max_connections_per_loop
  StatNumber refused_peer_connections;  ///< 503: max_connections_per_peer
  StatNumber accept_failures;           ///< out of descriptors or memory
  StatNumber failed_handshakes;         ///< TLS
  StatNumber malformed;                 ///< 400, 417, 421, 501, 505
  StatNumber heads_too_large;           ///< 431
  StatNumber targets_too_long;          ///< 414
  StatNumber bodies_too_large;          ///< 413
  StatNumber header_timeouts;           ///< 408, or closed before the first byte
  StatNumber body_timeouts;             ///< 408
  StatNumber idle_timeouts;             ///< closed between two requests
  StatNumber write_timeouts;            ///< closed: too slow a reader
  StatNumber request_timeouts;          ///< scope cancelled
  StatNumber request_limits;            ///< closed after max_requests_per_connection
  StatNumber clients_gone;              ///< left before their answer was sent
  StatNumber files_broken_off;          ///< closed: a file became shorter, or could not be read, while it was sent
  StatNumber paused;                    ///< times a connection was not read because of output_high_water

  // HTTP/2.
  StatNumber http2_connections;   ///< now
  StatNumber http2_accepted;      ///< connections that began to speak it
  StatNumber http2_requests;      ///< of `requests`
  StatNumber http2_resets;        ///< streams reset before they were answered
  StatNumber http2_refused;       ///< streams above max_concurrent_streams: REFUSED_STREAM, the client may ask again
  StatNumber http2_rapid_resets;  ///< connections ended: reset_burst, resets_per_second
  StatNumber http2_floods;        ///< connections ended: control_burst, controls_per_second, CONTINUATION, settings
  StatNumber http2_header_bombs;  ///< connections ended: a head many times as large as allowed
  StatNumber http2_bodies_held;   ///< times the body of a request was held up by body_budget

  WebSocketStats websockets;
};

/// Adds up.
ServerStats& operator+=(ServerStats& sum, const ServerStats& more) noexcept;

}  // namespace ashlar::http
