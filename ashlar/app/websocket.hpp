// WebSockets as handlers see them: messages as text, or as structs in JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/websocket.hpp>
#include <ashlar/http/websocket_handshake.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar {

using http::WebSocket;
using http::WebSocketMessage;

/// A WebSocket whose messages are JSON: In is what the client sends, Out what it is sent.
///
///   app.websocket<"/chat">([](JsonSocket<Said, Heard>& socket) -> Task<void> {
///     while (auto said = co_await socket.receive()) co_await socket.send({.text = said->text});
///   });
template <class In, class Out = In>
class JsonSocket {
 public:
  explicit JsonSocket(WebSocket& socket) noexcept : socket_(&socket) {}

  /// The next message; nullopt as for WebSocket::receive. Throws ValidationError, with every error in it, for JSON that
  /// is malformed or does not fit In, and Unsupported for a binary message; the socket can be used further, and a
  /// handler that does not catch them closes it (1007, 1003).
  [[nodiscard]] Task<std::optional<In>> receive() {
    const auto message = co_await socket_->receive();
    if (!message) co_return std::nullopt;
    if (!message->text) throw Unsupported("this takes JSON: send it as a text message");
    co_return schema::parse_json<In>(message->data);
  }
  /// As WebSocket::send.
  [[nodiscard("await it: a client that reads slowly must hold up its sender")]] WebSocket::Sent send(const Out& value) {
    return socket_->send(schema::to_json(value));
  }
  /// As WebSocket::close.
  void close(std::uint16_t code = http::close_code::normal, std::string_view reason = {}) {
    socket_->close(code, reason);
  }
  /// The socket itself, for rooms and the codes.
  [[nodiscard]] WebSocket& socket() const noexcept { return *socket_; }

 private:
  WebSocket* socket_;
};

/// What the program says about a WebSocket route.
struct WebSocketRouteOptions {
  std::string summary = {};
  std::string description = {};
  std::vector<std::string> tags = {};
  std::string operation_id = {};  ///< default: made from the path, stable
  bool deprecated = false;
  bool hidden = false;           ///< not in OpenAPI
  std::vector<int> errors = {};  ///< statuses that the handshake may answer beside those known from the parameters
  /// Those that the handler speaks; see WebSocket::subprotocol().
  std::vector<std::string> subprotocols = {};
  /// Pages of other origins that may connect: see http::WebSocketOptions::origins.
  std::vector<std::string> origins = {};
  bool bearer_subprotocol = true;  ///< see http::WebSocketOptions
  http::WebSocketLimits limits = {};
};

}  // namespace ashlar
