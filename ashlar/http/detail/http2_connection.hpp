// A connection that speaks HTTP/2 (RFC 9113): its socket, its streams, its limits. Frames are nghttp2's business.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <ashlar/async/loop.hpp>
#include <ashlar/http/detail/connection.hpp>
#include <ashlar/http/detail/output_queue.hpp>
#include <ashlar/http/detail/token_bucket.hpp>

struct nghttp2_session;

namespace ashlar::http::detail {

class Http2Loop;
class Http2Stream;

/// What every client begins with (RFC 9113 §3.4).
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class Http2Connection final : public Connection, public async::IoHandler, private async::TickHook {
 public:
  /// `arrived`: bytes already read, the preface among them.
  Http2Connection(LoopServer& server, net::Transport transport, const net::Address& peer, std::string arrived) noexcept;
  ~Http2Connection() override;

  [[nodiscard]] bool open(async::TimePoint deadline) noexcept override;
  void on_io(std::uint32_t events) noexcept override;
  void check_time(async::TimePoint now) noexcept override;
  void flush() noexcept override {}  // nothing is left corked: see write()
  void begin_drain() noexcept override;
  void close_if_idle() noexcept override;
  void give_up() noexcept override;
  void close_now() noexcept override;

 private:
  friend class Http2Session;  // nghttp2's callbacks
  friend class Http2Stream;

  enum class Phase : std::uint8_t {
    open,
    lingering,  // everything is sent: only waits for the client's end
    closed,     // no descriptor any more; exchanges may still be out
  };

  // Reading.
  void read() noexcept;
  void read_and_drop() noexcept;
  /// Gives bytes to nghttp2. False: the connection is ending.
  bool feed(std::string_view bytes) noexcept;
  void fail(int error) noexcept;
  void on_settings() noexcept;
  void on_ping_back() noexcept;

  // Writing. What a read, or a tick, has made ready leaves together.
  void write() noexcept;
  void write_soon() noexcept;
  void on_tick_end() noexcept override { write(); }
  [[nodiscard]] bool collect() noexcept;
  [[nodiscard]] bool send() noexcept;
  void on_writable() noexcept;
  [[nodiscard]] bool socket_is_full() const noexcept { return !unsent_.empty(); }
  [[nodiscard]] bool over_high_water() const noexcept;

  // Streams. An exchange is out while a handler or a generator has it.
  [[nodiscard]] Http2Stream* begin_stream(std::int32_t id);
  void release(Http2Stream& stream) noexcept;
  void abandon_streams() noexcept;
  void exchange_back() noexcept;
  /// Lets the bodies come for which there is room.
  void open_held_bodies() noexcept;
  void on_early_end() noexcept;
  void doom(std::uint32_t error_code) noexcept;

  // Time.
  [[nodiscard]] bool check_output(async::TimePoint now) noexcept;
  [[nodiscard]] bool check_windows(async::TimePoint now) noexcept;
  void check_idle(async::TimePoint now) noexcept;
  [[nodiscard]] std::int64_t taken_by_client() const noexcept;

  // Ending.
  void announce_end() noexcept;
  void refuse_new_streams() noexcept;
  void settle() noexcept;
  void update_interest() noexcept;
  void client_left() noexcept;
  void close_gently() noexcept;

  nghttp2_session* session_ = nullptr;
  Http2Loop* shared_ = nullptr;
  Http2Stream* streams_ = nullptr;
  Http2Stream* head_ = nullptr;  // whose head is arriving
  std::string arrived_;
  OutputQueue unsent_;
  std::uint64_t requests_ = 0;
  std::uint32_t out_ = 0;     // exchanges
  std::uint32_t held_ = 0;    // streams whose body is held up
  std::uint64_t bodies_ = 0;  // bytes of bodies that are kept whole, or are on their way to it
  std::uint32_t interest_ = 0;
  std::uint32_t doom_ = 0;  // why the connection must end now; no error code: it need not
  Phase phase_ = Phase::open;
  bool feeding_ = false;
  bool batch_full_ = false;
  bool write_waits_ = false;
  bool window_waits_ = false;
  bool greeted_ = false;        // the client's SETTINGS have come
  bool end_announced_ = false;  // GOAWAY with room for what is on its way
  bool end_pinged_ = false;     // to hear when the client has seen it
  bool end_final_ = false;      // GOAWAY with the last stream is due
  bool end_submitted_ = false;
  bool client_ends_ = false;  // GOAWAY from the client
  bool end_of_input_ = false;
  TokenBucket resets_;
  TokenBucket controls_;
  std::uint64_t data_moved_ = 0;   // of DATA, since windows_since_
  std::uint64_t written_ = 0;      // since a client was first waited for
  std::int64_t taken_before_ = 0;  // of that, at write_since_; below zero when more was on its way
  async::TimePoint write_since_;
  async::TimePoint windows_since_;
  async::TimePoint deadline_;       // greeting, idling, lingering
  async::TimePoint head_deadline_;  // of head_
};

}  // namespace ashlar::http::detail
