#include <ashlar/http/detail/websocket_connection.hpp>

#include <memory>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/http1_connection.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http {

WebSocket& Exchange::accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options) {
  return on_accept_websocket(std::move(handshake), options);
}

void Exchange::on_require_websocket() { throw Unsupported("this connection cannot become a WebSocket"); }

WebSocket& Exchange::on_accept_websocket(WebSocketHandshake, const WebSocketOptions&) {
  throw Unsupported("this connection cannot become a WebSocket");
}

}  // namespace ashlar::http

namespace ashlar::http::detail {

void ExchangeOwner::on_require_websocket() {
  throw Unsupported("this connection cannot become a WebSocket: use HTTP/1.1");
}

WebSocket& ExchangeOwner::on_accept_websocket(WebSocketHandshake, const WebSocketOptions&) {
  throw Unsupported("this connection cannot become a WebSocket: use HTTP/1.1");
}

WebSocket& ServerExchange::on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options) {
  return owner->on_accept_websocket(std::move(handshake), options);
}

// ----------------------------------------------------------------------------------------------------- taking it over

// Before a handler sees a request that may become a WebSocket: what its views point to must not be the block that the
// connection reads into, for that is given back while the WebSocket is idle.
void Http1Connection::keep_head_apart() {
  Request& request = exchange_->request;
  exchange_->scratch.take_little();
  const char* const head = request.method_text.data();
  const std::string_view kept = exchange_->scratch.copy({head, static_cast<std::size_t>(block_ + begin_ - head)});
  request.rebase(kept.data() - head);
  const std::size_t headers = request.headers().size() * sizeof(Header);
  request.keep_headers_in(static_cast<Header*>(exchange_->scratch.allocate(headers, alignof(Header))));
}

void Http1Connection::on_require_websocket() {
  if (phase_ != Phase::handling || end_of_input_) throw Cancelled("the client left before it became a WebSocket");
  if (server_.draining()) throw Unavailable("the service is shutting down");
}

WebSocket& Http1Connection::on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options) {
  on_require_websocket();
  flush();  // answers to the requests before this one
  if (phase_ == Phase::closed) throw Cancelled("the client left before it became a WebSocket");

  const Response& response = exchange_->response;
  std::string head("HTTP/1.1 101 Switching Protocols\r\n");
  head.append(server_.head_start().lines());
  head.append("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ").append(handshake.accept);
  if (!handshake.subprotocol.empty()) head.append("\r\nSec-WebSocket-Protocol: ").append(handshake.subprotocol);
  if (handshake.deflate) head.append("\r\nSec-WebSocket-Extensions: ").append(deflate_answer(*handshake.deflate));
  head.append("\r\n").append(response.header_lines()).append("\r\n");
  OutputQueue first = std::exchange(unsent_, OutputQueue());
  first.push_owned(std::move(head), 0);

  std::string read(unread());
  auto made = std::make_unique<WebSocketConnection>(
      server_, peer_, *exchange_, WebSocketTerms{std::move(handshake.subprotocol), handshake.deflate}, options);
  made->begin_with(std::move(first), std::move(read));
  server_.loop().remove(transport_.fd(), *this);
  made->take_transport(std::move(transport_));
  made->values() = std::move(values());

  ServerStats& stats = server_.stats();
  stats.requests_running.subtract();
  if (!in_handle_) stats.requests_suspended.subtract();
  exchange_->response.status = 101;
  exchange_->context.deadline = async::TimePoint::max();
  exchange_ = nullptr;
  phase_ = Phase::closed;  // of HTTP
  begin_ = end_;
  WebSocketConnection& connection = *made;
  LoopServer& server = server_;
  server.replace(*this, std::move(made));
  static_cast<void>(server.open(connection, server.loop().now()));
  return connection.socket();
}

// --------------------------------------------------------------------------------------------------------- connection

WebSocketConnection::WebSocketConnection(LoopServer& server, const net::Address& peer, ServerExchange& exchange,
                                         WebSocketTerms terms, const WebSocketOptions& options)
    : Connection(server, net::Transport(), peer),
      exchange_(&exchange),
      carrier_(server.loop(), transport_),
      stream_(server.loop(), carrier_, WebSocketSide::server, options.limits, std::move(terms), server.stats(), *this) {
  exchange.owner = this;
  exchange.request.peer = &Connection::peer();
}

bool WebSocketConnection::open(async::TimePoint) noexcept {
  try {
    stream_.open(std::move(first_), std::exchange(read_, {}));
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

void WebSocketConnection::begin_drain() noexcept {
  try {
    stream_.close(close_code::going_away, "the service is shutting down");
  } catch (const std::exception&) {
    stream_.abort();
  }
}

void WebSocketConnection::give_up() noexcept {
  if (exchange_ != nullptr) exchange_->scope.cancel(async::CancelReason::shutdown);
  stream_.abort();
}

void WebSocketConnection::close_now() noexcept { stream_.abort(); }

// The handler has ended.
void WebSocketConnection::on_finished() noexcept {
  const async::ContextGuard guard(nullptr);
  server_.give_exchange(std::exchange(exchange_, nullptr));
  if (stream_.gone()) return server_.retire(*this);
  try {
    stream_.close();
  } catch (const std::exception&) {
    stream_.abort();
  }
}

void WebSocketConnection::on_stream_closed() noexcept {
  server_.on_closed(*this);
  if (exchange_ == nullptr) server_.retire(*this);
}

void WebSocketConnection::on_peer_lost() noexcept {
  if (exchange_ != nullptr) exchange_->scope.cancel();
}

}  // namespace ashlar::http::detail
