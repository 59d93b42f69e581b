#include <ashlar/http/detail/http2_websocket.hpp>

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/http2_body.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kAhead = 64 * 1024;  // what may be written before the client has opened its windows for it
constexpr std::size_t kKeptIdle = 512;     // of buffers while nothing is on its way: most sockets are idle

void keep_little(std::string& buffer) noexcept {
  buffer.clear();
  if (buffer.capacity() > kKeptIdle) buffer.shrink_to_fit();
}

}  // namespace

Http2Stream::Http2Stream() noexcept = default;
Http2Stream::~Http2Stream() = default;

// ----------------------------------------------------------------------------------------------------- taking it over

void Http2Stream::on_require_websocket() {
  if (!connects_) throw Unsupported("this request does not ask for a WebSocket");
  if (phase_ != Phase::handling || !open_) throw Cancelled("the client left before it became a WebSocket");
  if (connection_->server_.draining()) throw Unavailable("the service is shutting down");
}

WebSocket& Http2Stream::on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options) {
  on_require_websocket();
  Response& response = exchange_->response;
  response.status = 200;
  if (!handshake.subprotocol.empty()) response.header("Sec-WebSocket-Protocol", handshake.subprotocol);
  if (handshake.deflate) response.header("Sec-WebSocket-Extensions", deflate_answer(*handshake.deflate));
  websocket_ =
      std::make_unique<Socket>(*this, WebSocketTerms{std::move(handshake.subprotocol), handshake.deflate}, options);
  LoopServer& server = connection_->server_;
  server.head_start().refresh();
  phase_ = Phase::websocket;
  streamed_ = true;
  try {
    submit(std::nullopt, true);
  } catch (...) {
    phase_ = Phase::handling;
    streamed_ = false;
    websocket_.reset();
    throw;
  }
  connection_->write_soon();
  server.stats().requests_running.subtract();
  if (!in_handle_) server.stats().requests_suspended.subtract();
  exchange_->context.deadline = async::TimePoint::max();
  websocket_->begin();
  return websocket_->socket();
}

Http2Stream::Socket::Socket(Http2Stream& stream, WebSocketTerms terms, const WebSocketOptions& options)
    : stream_(stream),
      socket_(stream.connection_->server_.loop(), *this, WebSocketSide::server, options.limits, std::move(terms),
              stream.connection_->server_.stats(), *this) {}

void Http2Stream::Socket::say_goodbye(std::uint16_t code, std::string_view reason) noexcept {
  try {
    socket_.close(code, reason);
  } catch (const std::exception&) {
    socket_.abort();
  }
}

// ---------------------------------------------------------------------------------------------------- what a socket is

net::Io Http2Stream::Socket::read(std::span<char> buffer) noexcept {
  if (!stream_.open_) return {net::Io::State::failed};
  std::string& arrived = stream_.arrived_;
  if (arrived.empty()) return {stream_.remote_open_ ? net::Io::State::would_block : net::Io::State::closed};
  const std::size_t size = std::min(arrived.size(), buffer.size());
  std::memcpy(buffer.data(), arrived.data(), size);
  if (size == arrived.size()) {
    keep_little(arrived);
  } else {
    arrived.erase(0, size);
  }
  stream_.open_window(size);
  return {net::Io::State::done, size};
}

net::Io Http2Stream::Socket::write(std::span<const iovec> parts) noexcept {
  if (!stream_.open_ || stream_.complete_) return {net::Io::State::failed};
  PieceBuffer& pieces = stream_.pieces_;
  std::size_t room = kAhead - std::min(kAhead, pieces.size());
  if (room == 0) return {net::Io::State::would_block};
  std::size_t written = 0;
  try {
    for (const iovec& part : parts) {
      const std::size_t size = std::min(room, part.iov_len);
      pieces.append({static_cast<const char*>(part.iov_base), size});
      room -= size;
      written += size;
      if (room == 0) break;
    }
  } catch (const std::bad_alloc&) {
    if (written == 0) return {net::Io::State::failed};
  }
  stream_.resume();
  return {net::Io::State::done, written};
}

bool Http2Stream::Socket::has_pending() const noexcept {
  return stream_.open_ && (!stream_.arrived_.empty() || !stream_.remote_open_);
}

std::int64_t Http2Stream::Socket::not_taken() const noexcept {
  return static_cast<std::int64_t>(stream_.pieces_.size());
}

void Http2Stream::Socket::end_writing() noexcept {
  if (std::exchange(stream_.complete_, true)) return;
  stream_.resume();
}

// In order the client is to end its side, too. Otherwise it sees what a reset is to TCP (RFC 8441 §5).
void Http2Stream::Socket::close() noexcept {
  handler_ = nullptr;
  if (!stream_.open_) return;
  if (!stream_.complete_) return stream_.reset(NGHTTP2_CANCEL);
  const LoopServer& server = stream_.connection_->server_;
  reset_at_ = server.loop().now() + server.options().linger_timeout;
}

// ---------------------------------------------------------------------------------------------------------- its events

void Http2Stream::Socket::on_arrived() noexcept {
  if (handler_ == nullptr) {
    // It is closed; what still comes is dropped.
    const std::size_t size = stream_.arrived_.size();
    keep_little(stream_.arrived_);
    return stream_.open_window(size);
  }
  if ((interest_ & EPOLLIN) != 0) {
    handler_->on_io(EPOLLIN);
  } else if (!stream_.remote_open_) {
    handler_->on_io(EPOLLRDHUP);
  }
}

void Http2Stream::Socket::on_moved() noexcept {
  if (stream_.pieces_.empty()) stream_.pieces_.clear(kKeptIdle);
  // At the end of the tick: the session is writing now.
  if (handler_ != nullptr && (interest_ & EPOLLOUT) != 0 && stream_.pieces_.size() <= kAhead / 2) {
    socket_.write_soon();
  }
}

void Http2Stream::Socket::on_lost() noexcept {
  if (handler_ != nullptr) handler_->on_io(EPOLLERR);
}

void Http2Stream::Socket::on_peer_lost() noexcept {
  if (handler_runs) stream_.exchange_->scope.cancel();
}

void Http2Stream::Socket::check_time(async::TimePoint now) noexcept {
  if (now < reset_at_) return;
  reset_at_ = async::TimePoint::max();
  stream_.reset(NGHTTP2_NO_ERROR);
}

}  // namespace ashlar::http::detail
