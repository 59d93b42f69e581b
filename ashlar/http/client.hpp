// The HTTP client: connections kept and reused a host, limits and timeouts always on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/client_options.hpp>

namespace ashlar::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  ///< "http://host:8000/path?query", https, IPv6 in brackets
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::string unix_socket{};  ///< path of a socket to connect to in place of the url's host
  std::optional<async::Nanoseconds> timeout{};
  std::vector<std::pair<std::string, std::string>> query{};  ///< added to the url's, percent-encoded

  /// The body piece by piece, in place of `body`: called for each try, so it must begin anew each time. Sent in chunks,
  /// or as Content-Length when `stream_length` says how much comes; another amount throws Invalid.
  std::function<Generator<std::string>()> stream{};
  std::optional<std::uint64_t> stream_length{};
  /// Asks before it sends the body (RFC 9110 §10.1.1), and sends it when the server agrees or says nothing for a
  /// second.
  bool expect_continue = false;
};

/// "Basic …" for the header Authorization (RFC 7617). Throws Invalid for a colon in the user.
[[nodiscard]] std::string basic_authorization(std::string_view user, std::string_view password);

/// Thrown by error_for_status(): of kind unavailable for 429 and 5xx, which are worth another try, else internal.
class StatusError : public Error {
 public:
  StatusError(int status, std::string message);
  [[nodiscard]] int status() const noexcept { return status_; }

 private:
  int status_;
};

class ClientResponse {
 public:
  int status = 0;
  std::string body;  ///< decoded when `decompress` is on; the headers are as they came

  /// The first header with this name, in any case.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;
  /// The first trailer with this name, in any case (RFC 9110 §6.5): there when the body was read to its end, and lives
  /// as long as this.
  [[nodiscard]] std::optional<std::string_view> trailer(std::string_view name) const noexcept;
  /// Calls f(name, value) for each, in the order sent.
  template <class F>
  void for_each_header(F&& f) const {
    for (const Place& place : places_) {
      f(std::string_view(head_).substr(place.name, place.name_size),
        std::string_view(head_).substr(place.value, place.value_size));
    }
  }
  /// Throws StatusError when the status is 400 or more. Gives itself back, for chains.
  const ClientResponse& error_for_status() const;

 private:
  friend class Client;
  struct Place {
    std::uint32_t name, name_size, value, value_size;
  };
  std::string head_;
  std::vector<Place> places_;
  std::shared_ptr<std::string> trailers_;  // also whose body is streamed; null: there are none
};

/// A response whose body comes piece by piece. Dropping it before the end closes the connection, or, of HTTP/2, resets
/// its stream.
struct StreamedResponse {
  ClientResponse response;      ///< without body
  Generator<std::string> body;  ///< throws Unavailable when the body breaks off
};

/// All loops together. The same goes to the metrics http.client.request.duration and ashlar.http.client.*.
struct ClientStats {
  std::uint64_t requests = 0;
  std::uint64_t connects = 0;
  std::uint64_t reused = 0;   ///< requests on a connection that was there
  std::uint64_t retries = 0;  ///< by the policy, and when a kept connection was dead
  std::uint64_t failures = 0;
  std::uint64_t idle = 0;     ///< connections kept now
  std::uint64_t active = 0;   ///< connections in use now
  std::uint64_t waiting = 0;  ///< requests that wait for a connection now
};

namespace detail {
struct ClientState;
struct ClientReply;
}  // namespace detail

/// May be shared by all loops: each has its own connections. Must outlive the requests under way.
class Client {
 public:
  /// Throws Invalid for a proxy that is none, and for one together with Destinations::public_only(): a proxy looks
  /// names up where the guard cannot see it.
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends and collects the answer, whatever its status. Throws Invalid for a url or header that cannot be sent,
  /// DestinationRefused, Unavailable when the server cannot be reached, breaks off, breaks the protocol or sends more
  /// than max_body, DeadlineExceeded, Cancelled. Sent again as ClientOptions::retry says, and once, whatever that says,
  /// when a kept connection turns out dead before any of the answer has come and the method is idempotent (RFC 9110
  /// §9.2.2). What an HTTP/2 server says it has not looked at (RFC 9113 §8.7) is sent again, a few times, whatever the
  /// method.
  Task<ClientResponse> send(ClientRequest request);
  Task<ClientResponse> get(std::string url) { return send({.url = std::move(url)}); }
  Task<ClientResponse> post(std::string url, std::string body, std::string content_type = "application/json");

  /// The same, but ends with the head. The timeout is for the head only.
  Task<StreamedResponse> stream(ClientRequest request);

  [[nodiscard]] ClientStats stats() const;
  /// Closes the kept connections of this loop; outside of a loop there are none.
  void close_idle() noexcept;

 private:
  using Reply = detail::ClientReply;
  Task<Reply> follow(ClientRequest request, bool collect);
  Task<Reply> try_often(const ClientRequest& request, bool from_global, bool collect);
  Task<Reply> try_once(const ClientRequest& request, bool from_global, bool collect, bool& sent);
  static void read_head(Reply& reply);
  static Generator<std::string> pieces(std::unique_ptr<Reply> reply, std::shared_ptr<std::string> trailers);
  std::unique_ptr<detail::ClientState> state_;
};

}  // namespace ashlar::http
