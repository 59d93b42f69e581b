// A connection of HTTP/2 as a client has it (RFC 9113): many exchanges at a time. Frames are nghttp2's business.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/loop.hpp>
#include <ashlar/http/client_options.hpp>
#include <ashlar/http/detail/client_pool.hpp>
#include <ashlar/http/detail/token_bucket.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::detail {

class Http2Exchange;

/// Belongs to one loop, which watches it all its life. Its host's list and the places on it own it; while somebody has
/// a place it is in use and holds the lease of a connection, otherwise it rests.
class ClientHttp2 final : public std::enable_shared_from_this<ClientHttp2>,
                          public async::IoHandler,
                          private async::TickHook,
                          private async::Timer {
 public:
  ClientHttp2(ClientPool& pool, ClientHost& host, ClientConnected connected, const ClientOptions& options);
  ~ClientHttp2();
  ClientHttp2(const ClientHttp2&) = delete;
  ClientHttp2& operator=(const ClientHttp2&) = delete;

  /// Greets the server. Throws std::bad_alloc, and Internal when the loop cannot watch it.
  void open();

  // For the pool.
  void occupy(ClientLease lease) { lease_.emplace(std::move(lease)); }
  [[nodiscard]] bool resting() const noexcept { return !lease_.has_value(); }
  [[nodiscard]] async::TimePoint resting_since() const noexcept { return resting_since_; }
  /// The server has said how many requests it takes.
  [[nodiscard]] bool greeted() const noexcept { return greeted_; }
  [[nodiscard]] bool takes_requests() const noexcept;
  /// How many more it takes now.
  [[nodiscard]] std::uint32_t room() const noexcept;
  /// False: the loop that it belonged to is gone, and this is another one at the same place.
  [[nodiscard]] bool watched() noexcept;
  [[nodiscard]] bool global_peer() const noexcept { return global_peer_; }
  /// Says good-bye and closes.
  void end() noexcept;

  // For places.
  void enter() noexcept { ++places_; }
  void leave() noexcept;

  // For exchanges.
  [[nodiscard]] const ClientOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool secure() const noexcept { return transport_.secure(); }
  [[nodiscard]] nghttp2_session* session() noexcept { return session_; }
  /// False: the session takes no more.
  [[nodiscard]] bool submit(Http2Exchange& exchange, std::span<const nghttp2_nv> fields, bool with_body);
  /// Forgets the exchange, and resets its stream if that is still open.
  void drop(Http2Exchange& exchange) noexcept;
  void begin_wait() noexcept;
  void end_wait() noexcept;
  void write_soon() noexcept;
  /// Why it has ended; empty while it has not.
  [[nodiscard]] const std::string& lost_by() const noexcept { return lost_by_; }
  /// Another try would end the same way.
  [[nodiscard]] bool lost_for_good() const noexcept { return lost_for_good_; }

 private:
  friend class ClientHttp2Session;  // nghttp2's callbacks

  void on_io(std::uint32_t events) noexcept override;
  void on_tick_end() noexcept override;
  void on_timer() noexcept override;

  void read() noexcept;
  [[nodiscard]] bool feed(std::string_view bytes) noexcept;
  void write() noexcept;
  [[nodiscard]] bool collect() noexcept;
  void settle() noexcept;
  void update_interest() noexcept;
  void lost(std::string why, bool for_good = false) noexcept;
  void lost_to_server() noexcept;
  void close() noexcept;
  void say_good_bye() noexcept;
  void ping() noexcept;
  void ping_for_resets() noexcept;
  void arm() noexcept;
  [[nodiscard]] bool on_its_loop() const noexcept { return async::Loop::current_or_null() == &loop_; }

  ClientPool& pool_;
  ClientHost& host_;
  async::Loop& loop_;
  net::Transport transport_;
  const ClientOptions& options_;
  std::optional<ClientLease> lease_;
  nghttp2_session* session_ = nullptr;
  Http2Exchange* exchanges_ = nullptr;
  std::string out_;
  std::size_t out_sent_ = 0;
  std::string lost_by_;
  std::string broken_rule_;  // that our GOAWAY names
  TokenBucket controls_;
  std::uint32_t places_ = 0;
  std::uint32_t resets_ = 0;         // streams reset that the server may not know of yet, ...
  std::uint32_t resets_pinged_ = 0;  // ... and those that the PING under way asks about
  std::uint32_t waiting_ = 0;        // exchanges that do
  std::uint32_t interest_ = 0;
  std::uint32_t goaway_ = NGHTTP2_NO_ERROR;  // the server's code
  bool global_peer_;
  bool closed_ = false;
  bool feeding_ = false;
  bool greeted_ = false;
  bool flooded_ = false;
  bool read_wants_write_ = false;  // TLS may
  bool room_changed_ = false;
  bool ping_out_ = false;
  bool lost_for_good_ = false;
  async::TimePoint opened_;
  async::TimePoint heard_;
  async::TimePoint waiting_since_;
  async::TimePoint ping_since_;
  async::TimePoint resting_since_;
};

/// A place among the streams of a connection.
class [[nodiscard]] Http2Place {
 public:
  Http2Place() noexcept = default;
  explicit Http2Place(std::shared_ptr<ClientHttp2> connection) noexcept : connection_(std::move(connection)) {
    connection_->enter();
  }
  Http2Place(Http2Place&& other) noexcept = default;
  Http2Place& operator=(Http2Place&& other) noexcept {
    std::swap(connection_, other.connection_);
    return *this;
  }
  ~Http2Place() {
    if (connection_ != nullptr) connection_->leave();
  }
  [[nodiscard]] explicit operator bool() const noexcept { return connection_ != nullptr; }
  [[nodiscard]] ClientHttp2& operator*() const noexcept { return *connection_; }
  [[nodiscard]] ClientHttp2* operator->() const noexcept { return connection_.get(); }

 private:
  std::shared_ptr<ClientHttp2> connection_;
};

/// How nghttp2 reads and writes a client's connection, in client_http2_session.cpp. Throws std::bad_alloc.
[[nodiscard]] nghttp2_session* make_client_session(ClientHttp2& connection);

}  // namespace ashlar::http::detail
