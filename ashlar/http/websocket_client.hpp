// The client's end of a WebSocket over a socket: ws:// and wss://.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/websocket.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http {

struct WebSocketClientOptions {
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< Authorization, Cookie, Origin, …
  std::vector<std::string> subprotocols = {};                     ///< in the order of preference
  std::string unix_socket = {};  ///< path of a socket to connect to in place of the url's host
  async::Nanoseconds connect_timeout = std::chrono::seconds{10};  ///< address lookup to the end of the handshake
  std::shared_ptr<net::TlsContext> tls = {};  ///< for wss; null: the system's authorities, everything verified
  WebSocketLimits limits = {};
};

/// The server has answered, but not with a WebSocket.
class WebSocketRefused final : public Error {
 public:
  WebSocketRefused(int status, const std::string& message) : Error(ErrorKind::unavailable, message), status_(status) {}
  [[nodiscard]] int status() const noexcept { return status_; }

 private:
  int status_;
};

/// Belongs to the loop it was made on, and goes before it. Dropping it breaks the connection: close() it to end in
/// order.
class WebSocketClient {
 public:
  /// Connects and shakes hands. Throws Invalid for a url or header that cannot be sent, WebSocketRefused for an answer
  /// other than 101, Unavailable when the server cannot be reached or breaks the protocol, DeadlineExceeded, Cancelled.
  [[nodiscard]] static Task<std::unique_ptr<WebSocketClient>> connect(std::string url,
                                                                      WebSocketClientOptions options = {});
  ~WebSocketClient();
  WebSocketClient(const WebSocketClient&) = delete;
  WebSocketClient& operator=(const WebSocketClient&) = delete;

  [[nodiscard]] WebSocket& operator*() noexcept;
  [[nodiscard]] WebSocket* operator->() noexcept { return &**this; }
  /// Closes, unless that has begun already, and waits until the server has too, or close_timeout has passed.
  [[nodiscard]] Task<void> close(std::uint16_t code = close_code::normal, std::string reason = {});
  /// permessage-deflate was agreed on.
  [[nodiscard]] bool compressed() const noexcept;

 private:
  struct Impl;
  explicit WebSocketClient(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::http
