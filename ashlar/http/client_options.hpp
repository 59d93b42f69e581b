// Everything that can be told an HTTP client once, for all its requests.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <ashlar/async/loop.hpp>
#include <ashlar/http/cookie_jar.hpp>
#include <ashlar/http/destinations.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http {

/// When a request is sent again. Repeated are: any request that never went out (no connection); one that the server may
/// have seen only if its method is idempotent (RFC 9110 §9.2.2) or it has an Idempotency-Key. Between the tries lies a
/// random time up to first_backoff, doubled each time ("full jitter"), or what Retry-After says. Nothing is repeated
/// that could not be sent before the deadline. The answer, or error, of the last try is what the caller gets.
struct RetryPolicy {
  unsigned retries = 0;  ///< of one request
  async::Nanoseconds first_backoff = std::chrono::milliseconds{50};
  async::Nanoseconds max_backoff = std::chrono::seconds{2};
  async::Nanoseconds max_retry_after = std::chrono::seconds{10};  ///< a server that asks for more is not asked again
  std::array<int, 4> statuses{429, 502, 503, 504};
  /// Retries a request that a host (on one loop) may cost in the long run, so that they do not multiply an outage.
  double budget = 0.1;
  double burst = 10;  ///< retries in a row that the budget saves up for; it starts full
};

/// Proxies are asked by http only: "http://user:password@proxy:3128".
struct ProxyOptions {
  std::string http{};    ///< for http://: asked with the whole URL
  std::string https{};   ///< for https://: a tunnel through CONNECT; the proxy sees names, not contents
  std::string bypass{};  ///< hosts asked directly: "localhost,.internal,10.0.0.0/8", or "*"
  /// What is empty above is taken from http_proxy, https_proxy and no_proxy of the environment (upper case, too; but
  /// not HTTP_PROXY under CGI, where the client of the server sets it).
  bool from_environment = false;
};

/// HTTP/2 (RFC 9113): one connection carries many requests to a host at the same time.
struct ClientHttp2Options {
  bool over_tls = true;          ///< offered to https servers; those that do not want it are asked in HTTP/1.1
  bool prior_knowledge = false;  ///< spoken to http servers, too, which must be known to understand it
  /// Requests of one connection at the same time, or as many as the server allows if that is less. Beyond it another
  /// connection is made; where no more are allowed, requests wait.
  std::uint32_t max_concurrent_streams = 100;
  std::uint32_t stream_window = 1024 * 1024;  ///< bytes of an answer that may come before they are read
  std::uint32_t connection_window = 16 * 1024 * 1024;
  /// When a request waits and nothing has come for so long, the server is asked for a sign of life (PING); 0: never.
  async::Nanoseconds ping_after = std::chrono::seconds{15};
  async::Nanoseconds ping_timeout = std::chrono::seconds{10};  ///< without one the connection is given up
};

struct ClientOptions {
  async::Nanoseconds connect_timeout = std::chrono::seconds{5};  ///< address lookup, connection and TLS handshake
  async::Nanoseconds timeout =
      std::chrono::seconds{30};  ///< for the whole exchange; a sooner deadline of the context wins
  async::Nanoseconds idle_timeout = std::chrono::seconds{50};  ///< a kept connection; below what most servers allow
  std::size_t max_connections_per_host = 64;                   ///< a loop; further requests wait
  std::size_t max_connections = 1024;                          ///< a loop, all hosts, kept ones included; likewise
  std::size_t max_waiting = 4096;                              ///< a loop; requests beyond it fail at once
  std::size_t max_idle_per_host = 16;                          ///< a loop
  std::size_t max_head = 64 * 1024;                            ///< bytes of a response's head
  std::uint64_t max_body = 16 * 1024 * 1024;  ///< bytes of a response's body, decoded, that send() collects
  async::Nanoseconds dns_cache = std::chrono::seconds{5};  ///< how long an address is believed; 0: asked each time
  unsigned follow_redirects = 0;                           ///< how many; Authorization and Cookie stay with their host
  bool decompress = true;                  ///< sends Accept-Encoding, and decodes gzip, deflate, br and zstd
  bool propagate_trace = true;             ///< sends traceparent and X-Request-Id of the context
  std::string user_agent = "ashlar";       ///< empty: no User-Agent
  std::shared_ptr<net::TlsContext> tls{};  ///< for https; null: the system's authorities, everything verified
  ClientHttp2Options http2{};
  Destinations destinations = Destinations::standard();
  RetryPolicy retry{};
  ProxyOptions proxy{};
  std::shared_ptr<CookieJar> cookies{};  ///< null: cookies are neither kept nor sent
};

}  // namespace ashlar::http
