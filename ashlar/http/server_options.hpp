// What a server listens on and every limit it keeps. All limits are on by default; docs/guide/http.md has the table.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/async/context.hpp>
#include <ashlar/http/request_parser.hpp>

namespace ashlar::net {
class TlsContext;
}

namespace ashlar::http {

/// HTTP/2 (RFC 9113): how much of it one connection may have under way, and what counts as abuse.
struct Http2Options {
  /// Over TLS when the client asks for it (ALPN "h2"); in the clear when it begins with HTTP/2's preface.
  bool enabled = true;
  std::uint32_t max_concurrent_streams = 128;  ///< requests of one connection at the same time; more are refused
  std::uint32_t stream_window = 256 * 1024;    ///< bytes of a body that may come before its handler has read any
  std::uint32_t connection_window = 1024 * 1024;
  /// Bytes of complete and half-arrived bodies that one connection may have the server keep, beyond what windows have
  /// let in already; above them clients wait, but for the oldest request, as long as those that are handled leave room.
  std::uint64_t body_budget = 8 * 1024 * 1024;
  /// Streams that the client resets, or makes the server reset, before they are answered: so many at once, then so many
  /// a second. More end the connection (ENHANCE_YOUR_CALM).
  std::uint32_t reset_burst = 400;
  std::uint32_t resets_per_second = 40;
  /// The same for frames that bring nothing: PING, SETTINGS, PRIORITY, RST_STREAM, WINDOW_UPDATE, empty DATA. Every
  /// request and every frame of DATA that is sent earns four more.
  std::uint32_t control_burst = 2000;
  std::uint32_t controls_per_second = 500;
};

struct ServerOptions {
  /// "127.0.0.1:8000", "[::]:8000", "unix:/run/app.sock". Port 0 takes a free one, see Server::addresses().
  std::vector<std::string> listen = {"127.0.0.1:8000"};
  /// Set: connections that come over IP are TLS. Those of unix sockets never are. The handshake counts towards
  /// header_timeout.
  std::shared_ptr<net::TlsContext> tls{};
  int backlog = 4096;  ///< the kernel caps it at net.core.somaxconn

  Http2Options http2{};

  HeadLimits head;  ///< 431, 414
  std::uint64_t max_body =
      1024 * 1024;  ///< bytes; 413. A handler may set another limit for a request: Handler::plan_body

  /// From a request's first byte to the end of its head, and from a connection's start to its first byte: 408, or a
  /// silent close when nothing came.
  async::Nanoseconds header_timeout = std::chrono::seconds{10};
  /// For the body: in each stretch of this length at least min_body_rate, or one byte: 408.
  async::Nanoseconds body_timeout = std::chrono::seconds{10};
  std::uint64_t min_body_rate = 1024;  ///< bytes a second
  /// Between two requests of a connection: close.
  async::Nanoseconds idle_timeout = std::chrono::seconds{75};
  /// While something waits to be sent: every so often the client must have acknowledged min_write_rate, else: close.
  async::Nanoseconds write_timeout = std::chrono::seconds{30};
  std::uint64_t min_write_rate = 1024;  ///< bytes a second
  /// Deadline of Exchange::context: its scope is cancelled when it passes. A stream that has begun has none.
  async::Nanoseconds request_timeout = std::chrono::seconds{30};

  std::uint64_t max_requests_per_connection = 1'000'000;  ///< the last is answered with Connection: close, or GOAWAY
  std::uint32_t max_connections_per_loop = 16'384;        ///< 503 and close
  /// 503 and close. Over all loops. Peers on unix sockets and, unless told otherwise, on the loopback interface are not
  /// limited: there sit proxies, which speak for everybody.
  std::uint32_t max_connections_per_peer = 1'024;
  bool limit_loopback_peers = false;

  /// Above this many unsent bytes a connection is not read from, and a stream is not asked for more.
  std::size_t output_high_water = 256 * 1024;

  /// Drain: how long idle connections may still bring a request, which is answered with Connection: close.
  async::Nanoseconds drain_grace = std::chrono::seconds{1};
  /// Drain: requests still running after this are cancelled (CancelReason::shutdown), streams too.
  async::Nanoseconds drain_timeout = std::chrono::seconds{30};
  /// How long to read on, and drop, after the last answer, so that a reset does not destroy it on its way
  /// (RFC 9112 §9.6).
  async::Nanoseconds linger_timeout = std::chrono::seconds{2};

  std::string server_header;  ///< Server header; empty: none, it tells attackers more than clients
};

}  // namespace ashlar::http
