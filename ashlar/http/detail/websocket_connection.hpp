// A server's connection that has become a WebSocket: keeps the exchange it came from until the handler has ended.
#pragma once

#include <ashlar/http/detail/connection.hpp>
#include <ashlar/http/detail/websocket_stream.hpp>
#include <ashlar/http/websocket_handshake.hpp>

namespace ashlar::http::detail {

class WebSocketConnection final : public Connection, public ExchangeOwner, private WebSocketStream::Owner {
 public:
  /// Takes the exchange over.
  WebSocketConnection(LoopServer& server, const net::Address& peer, ServerExchange& exchange, WebSocketTerms terms,
                      const WebSocketOptions& options);

  /// What goes out first, and what has come behind the head. Before open().
  void begin_with(OutputQueue first, std::string read) noexcept {
    first_ = std::move(first);
    read_ = std::move(read);
  }
  void take_transport(net::Transport transport) noexcept { transport_ = std::move(transport); }
  [[nodiscard]] WebSocket& socket() noexcept { return stream_; }

  [[nodiscard]] bool open(async::TimePoint deadline) noexcept override;
  void check_time(async::TimePoint) noexcept override {}  // the stream has a timer of its own
  void flush() noexcept override {}                       // nothing of it is ever in the loop's output buffer
  void begin_drain() noexcept override;
  void close_if_idle() noexcept override {}
  void give_up() noexcept override;
  void close_now() noexcept override;
  void on_finished() noexcept override;
  ConnectionValues& connection_values() noexcept override { return values(); }

 private:
  void on_stream_closed() noexcept override;
  void on_peer_lost() noexcept override;

  ServerExchange* exchange_;
  TransportCarrier carrier_;
  WebSocketStream stream_;
  OutputQueue first_;
  std::string read_;
};

}  // namespace ashlar::http::detail
