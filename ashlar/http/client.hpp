// The HTTP/1.1 client: connections kept and reused a host, limits and timeouts always on.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/server_stats.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http {

struct ClientOptions {
  async::Nanoseconds connect_timeout = std::chrono::seconds{5};  ///< address lookup, connection and TLS handshake
  async::Nanoseconds timeout =
      std::chrono::seconds{30};  ///< for the whole exchange; a sooner deadline of the context wins
  async::Nanoseconds idle_timeout = std::chrono::seconds{50};  ///< a kept connection; below what most servers allow
  std::size_t max_connections_per_host = 64;                   ///< a loop; further requests wait
  std::size_t max_idle_per_host = 16;                          ///< a loop
  std::size_t max_head = 64 * 1024;                            ///< bytes of a response's head
  std::uint64_t max_body = 16 * 1024 * 1024;                   ///< bytes of a response's body that send() collects
  unsigned follow_redirects = 0;           ///< how many; Authorization and Cookie stay with their host
  bool propagate_trace = true;             ///< sends traceparent and X-Request-Id of the context
  std::string user_agent = "ashlar";       ///< empty: no User-Agent
  std::shared_ptr<net::TlsContext> tls{};  ///< for https; null: the system's authorities, everything verified
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;  ///< "http://host:8000/path?query", https, IPv6 in brackets
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::string unix_socket{};  ///< path of a socket to connect to in place of the url's host
  std::optional<async::Nanoseconds> timeout{};
};

class ClientResponse {
 public:
  int status = 0;
  std::string body;

  /// The first header with this name, in any case.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;
  /// Calls f(name, value) for each, in the order sent.
  template <class F>
  void for_each_header(F&& f) const {
    for (const Place& place : places_) {
      f(std::string_view(head_).substr(place.name, place.name_size),
        std::string_view(head_).substr(place.value, place.value_size));
    }
  }

 private:
  friend class Client;
  struct Place {
    std::uint32_t name, name_size, value, value_size;
  };
  std::string head_;
  std::vector<Place> places_;
};

/// A response whose body comes piece by piece. Dropping it before the end closes the connection.
struct StreamedResponse {
  ClientResponse response;      ///< without body
  Generator<std::string> body;  ///< throws Unavailable when the body breaks off
};

/// All loops together.
struct ClientStats {
  std::uint64_t requests = 0;
  std::uint64_t connects = 0;
  std::uint64_t reused = 0;   ///< requests on a kept connection
  std::uint64_t retries = 0;  ///< the kept connection was dead
  std::uint64_t failures = 0;
  std::uint64_t idle = 0;  ///< connections kept now
};

/// May be shared by all loops: each has its own connections. Must outlive the requests under way.
class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends and collects the answer, whatever its status. Throws Invalid for a url or header that cannot be sent,
  /// Unavailable when the server cannot be reached, breaks off, breaks the protocol or sends more than max_body,
  /// DeadlineExceeded, Cancelled. Sent again, once, only when a kept connection turns out dead before any of the answer
  /// has come, and only if the method is idempotent (RFC 9110 §9.2.2).
  Task<ClientResponse> send(ClientRequest request);

  /// The same, but ends with the head. The timeout is for the head only.
  Task<StreamedResponse> stream(ClientRequest request);

  [[nodiscard]] ClientStats stats() const;
  /// Closes the kept connections of this loop.
  void close_idle() noexcept;

 private:
  struct Impl;
  struct Call;
  Task<ClientResponse> send_once(ClientRequest request);
  Task<std::unique_ptr<Call>> begin(ClientRequest request);
  static Task<void> exchange(Call& call, const ClientRequest& request, const std::string& head);
  static Generator<std::string> pieces(std::unique_ptr<Call> call);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::http
