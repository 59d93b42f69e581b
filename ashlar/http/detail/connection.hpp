// What a server's part of a loop knows of each of its connections, whatever protocol they speak.
#pragma once

#include <cstdint>
#include <string_view>

#include <ashlar/async/context.hpp>
#include <ashlar/http/connection_values.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http {
struct ServerStats;
}

namespace ashlar::http::detail {

class LoopServer;
class ServerExchange;

/// Lives from accept, or from the hand-over by another protocol (LoopServer::replace), until it is retired; LoopServer
/// owns it. Every function may retire it: the object itself stays until the end of the tick.
class Connection {
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  /// Begins, once the connection is in the server's list. False: it cannot; close_now() follows. `deadline`: until then
  /// something must have come.
  [[nodiscard]] virtual bool open(async::TimePoint deadline) noexcept = 0;
  /// Keeps the time limits; called every now and then.
  virtual void check_time(async::TimePoint now) noexcept = 0;
  /// Sends what it left in the loop's output buffer, which another connection needs now.
  virtual void flush() noexcept = 0;
  /// Sends what LoopServer::send_at_tick_end kept for it.
  virtual void send_kept(std::string_view) noexcept {}
  /// Goes on with what it read before LoopServer::handle_at_tick_end.
  virtual void handle_read() noexcept {}
  /// Drain begins: answer what has arrived or is under way, and say that nothing more will be answered.
  virtual void begin_drain() noexcept {}
  /// Drain, the grace is over: ends the connection if it is between two requests and nothing has come.
  virtual void close_if_idle() noexcept = 0;
  /// Drain, out of patience: cancels what runs, or closes.
  virtual void give_up() noexcept = 0;
  /// Closes the descriptor (LoopServer::on_closed), and retires as soon as no exchange is out any more.
  virtual void close_now() noexcept = 0;

  [[nodiscard]] const net::Address& peer() const noexcept { return peer_; }
  [[nodiscard]] ConnectionValues& values() noexcept { return values_; }

 protected:
  Connection(LoopServer& server, net::Transport transport, const net::Address& peer) noexcept
      : server_(server),
        transport_(std::move(transport)),
        peer_(peer),
        client_certificate_(transport_.peer_certificate()) {}

  /// Whether LoopServer keeps output of it.
  [[nodiscard]] bool output_is_kept() const noexcept { return kept_ != 0; }

  LoopServer& server_;
  net::Transport transport_;
  const net::Address peer_;
  const net::PeerIdentity* const client_certificate_;  // of the transport, wherever that is moved to

 private:
  friend class LoopServer;
  Connection* next_ = nullptr;
  Connection* previous_ = nullptr;
  ConnectionValues values_;
  std::uint8_t kept_ = 0;  // its place among those whose output LoopServer keeps, from 1
};

/// Whom a server's exchange belongs to: a connection of HTTP/1.1, a stream of HTTP/2.
class ExchangeOwner {
 public:
  /// The handler has called Exchange::finish().
  virtual void on_finished() noexcept = 0;
  /// The handler has called Exchange::accept_websocket().
  virtual WebSocket& on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options);
  /// Throws when that would.
  virtual void on_require_websocket();
  /// Of the connection.
  virtual ConnectionValues& connection_values() noexcept = 0;

 protected:
  ~ExchangeOwner() = default;
};

class ServerExchange final : public Exchange {
 public:
  ExchangeOwner* owner = nullptr;
  std::string body_storage;  // a body that did not fit into the read buffer behind its head

  void clear() noexcept;

 private:
  void on_finish() noexcept override { owner->on_finished(); }
  WebSocket& on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options) override;
  void on_require_websocket() override { owner->on_require_websocket(); }
  ConnectionValues* on_connection_values() noexcept override { return &owner->connection_values(); }
};

/// Counts a refusal by its status.
void count_refusal(ServerStats& stats, int status) noexcept;

}  // namespace ashlar::http::detail
