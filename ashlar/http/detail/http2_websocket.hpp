// A WebSocket over a stream of HTTP/2 (RFC 8441): DATA carry its bytes, the stream's windows hold each side up.
#pragma once

#include <cstdint>
#include <span>

#include <ashlar/http/detail/http2_stream.hpp>
#include <ashlar/http/detail/websocket_carrier.hpp>
#include <ashlar/http/detail/websocket_stream.hpp>
#include <ashlar/http/websocket_handshake.hpp>

namespace ashlar::http::detail {

/// Lives from the 200 until the session knows the stream no more and the handler has ended.
class Http2Stream::Socket final : public WebSocketCarrier, private WebSocketStream::Owner {
 public:
  Socket(Http2Stream& stream, WebSocketTerms terms, const WebSocketOptions& options);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() = default;

  [[nodiscard]] WebSocket& socket() noexcept { return socket_; }
  void begin() { socket_.open({}, {}); }
  /// Closes in order with this code, if nobody has.
  void say_goodbye(std::uint16_t code, std::string_view reason) noexcept;
  void abort() noexcept { socket_.abort(); }

  /// Bytes have come, or the client's end.
  void on_arrived() noexcept;
  /// The session has sent some of what was written.
  void on_moved() noexcept;
  /// The session knows the stream no more.
  void on_lost() noexcept;
  void check_time(async::TimePoint now) noexcept;

  bool handler_runs = true;

  void open(async::IoHandler& handler) override { handler_ = &handler; }
  void watch(std::uint32_t events) override { interest_ = events; }
  [[nodiscard]] net::Io read(std::span<char> buffer) noexcept override;
  [[nodiscard]] net::Io write(std::span<const iovec> parts) noexcept override;
  [[nodiscard]] bool has_pending() const noexcept override;
  [[nodiscard]] std::int64_t not_taken() const noexcept override;
  void end_writing() noexcept override;
  void close() noexcept override;

 private:
  void on_stream_closed() noexcept override {}
  void on_peer_lost() noexcept override;

  Http2Stream& stream_;
  WebSocketStream socket_;
  async::IoHandler* handler_ = nullptr;  // null: nobody listens any more
  std::uint32_t interest_ = EPOLLIN;
  async::TimePoint reset_at_ = async::TimePoint::max();
};

}  // namespace ashlar::http::detail
