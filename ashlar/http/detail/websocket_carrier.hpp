// What carries the bytes of a WebSocket: a transport of its own, or a stream of HTTP/2.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include <ashlar/async/loop.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::detail {

/// As a socket that does not block, whose events (EPOLLIN, …) go to one handler.
class WebSocketCarrier {
 public:
  /// From now on `handler` is told when there is something to read. Throws Error when that cannot be.
  virtual void open(async::IoHandler& handler) = 0;
  /// What it is to be told from now on. Throws Error when that cannot be.
  virtual void watch(std::uint32_t events) = 0;
  [[nodiscard]] virtual net::Io read(std::span<char> buffer) noexcept = 0;
  [[nodiscard]] virtual net::Io write(std::span<const iovec> parts) noexcept = 0;
  /// Something can be read of which no event will tell.
  [[nodiscard]] virtual bool has_pending() const noexcept = 0;
  /// Bytes that were written, and that the peer has not acknowledged.
  [[nodiscard]] virtual std::int64_t not_taken() const noexcept = 0;
  virtual void end_writing() noexcept = 0;
  /// Without end_writing() before it the peer sees that the connection breaks. Nobody is told anything afterwards.
  virtual void close() noexcept = 0;

 protected:
  ~WebSocketCarrier() = default;
};

/// Both must outlive it; used on `loop` only.
class TransportCarrier final : public WebSocketCarrier {
 public:
  TransportCarrier(async::Loop& loop, net::Transport& transport) noexcept : loop_(loop), transport_(transport) {}
  void open(async::IoHandler& handler) override;
  void watch(std::uint32_t events) override { loop_.modify(transport_.fd(), events, *handler_); }
  [[nodiscard]] net::Io read(std::span<char> buffer) noexcept override { return transport_.read(buffer); }
  [[nodiscard]] net::Io write(std::span<const iovec> parts) noexcept override { return transport_.write(parts); }
  [[nodiscard]] bool has_pending() const noexcept override { return transport_.has_pending(); }
  [[nodiscard]] std::int64_t not_taken() const noexcept override;
  void end_writing() noexcept override { transport_.end_writing(); }
  void close() noexcept override;

 private:
  async::Loop& loop_;
  net::Transport& transport_;
  async::IoHandler* handler_ = nullptr;
};

}  // namespace ashlar::http::detail
