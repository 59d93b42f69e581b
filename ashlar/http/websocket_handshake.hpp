// The opening handshake of a WebSocket (RFC 6455 §4): what a server takes and answers, what a client asks and checks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/http/request.hpp>
#include <ashlar/http/websocket.hpp>

namespace ashlar::http {

/// What a server allows.
struct WebSocketOptions {
  /// Those that the server speaks. The first of the client's list that is among them is chosen.
  std::vector<std::string> subprotocols = {};
  /// Pages of other origins that may connect ("https://app.example.com"); {"*"} for all. A browser sends cookies along
  /// with a WebSocket to anywhere and lets every page read what comes back, so that by default only pages of this very
  /// host may (cross-site WebSocket hijacking). Clients that are no browsers send no Origin, and are not asked for it.
  std::vector<std::string> origins = {};
  /// Take a bearer token out of the list of subprotocols: `new WebSocket(url, ["bearer", token])`, which is all that a
  /// browser's page can set. The answer names "bearer" unless another of the list is spoken here.
  bool bearer_subprotocol = true;
  WebSocketLimits limits = {};
};

/// What the server answers to a good handshake.
struct WebSocketHandshake {
  std::string accept;  ///< Sec-WebSocket-Accept
  std::string subprotocol;
  std::optional<DeflateAgreement> deflate;
};

struct WebSocketRefusal {
  int status = 0;  ///< 0: none
  std::string detail;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Checks a request that wants to become a WebSocket: 426 when it does not (or not version 13), 400 when it breaks the
/// rules, 403 when its origin may not.
[[nodiscard]] WebSocketRefusal check_websocket_request(const Request& request, const WebSocketOptions& options);
/// What to answer. Precondition: the check has passed.
[[nodiscard]] WebSocketHandshake accept_websocket_request(const Request& request, const WebSocketOptions& options);

/// base64(SHA-1(key + GUID)) (RFC 6455 §4.2.2).
[[nodiscard]] std::string websocket_accept(std::string_view key);
/// The token of `Sec-WebSocket-Protocol: bearer, <token>`; empty data: none.
[[nodiscard]] std::string_view bearer_of_subprotocols(const Request& request) noexcept;
/// "https://Example.com:443" is the same origin as the Host "example.com"; the scheme is not compared, because a proxy
/// may have ended TLS.
[[nodiscard]] bool same_origin(std::string_view origin, std::string_view authority) noexcept;

}  // namespace ashlar::http
