// One request and its answer on a connection of HTTP/2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/async/task.hpp>
#include <ashlar/http/detail/connection.hpp>
#include <ashlar/http/detail/piece_buffer.hpp>
#include <ashlar/http/request_body.hpp>
#include <ashlar/http/request_parser.hpp>

namespace ashlar::http::detail {

class Http2Connection;

/// Used again and again: begin(), then release() by its connection. It may outlive the stream of the session, when that
/// is reset while a handler has the exchange.
class Http2Stream final : private ExchangeOwner, private async::Completion {
 public:
  Http2Stream() noexcept;
  ~Http2Stream();

  void begin(Http2Connection& connection, std::int32_t id, ServerExchange* exchange) noexcept;

  // What arrives. Fields come in lower case and well-formed: nghttp2 has seen to that.
  /// False: this head is far beyond any limit.
  [[nodiscard]] bool on_field(std::string_view name, std::string_view value);
  [[nodiscard]] bool on_trailer(std::string_view name, std::string_view value);
  void on_head_end(bool end_of_stream);
  void on_data(std::string_view bytes);
  void on_end();
  /// The session knows this stream no more. It may be released by this.
  void on_close() noexcept;

  // What leaves. An answer in memory and a stream of pieces look the same from here.
  [[nodiscard]] std::string_view unsent() const noexcept { return streamed_ ? pieces_.unsent() : body_; }
  /// No more will come than is unsent now.
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  /// After what is unsent the stream is to be reset.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  void moved(std::size_t bytes) noexcept;
  void wait_for_more() noexcept { deferred_ = true; }
  /// Its end is said, and the client's awaited.
  [[nodiscard]] bool lingers() const noexcept { return phase_ == Phase::websocket; }

  void check_time(async::TimePoint now) noexcept;
  void begin_drain() noexcept;
  void give_up() noexcept;
  void reset(std::uint32_t error_code) noexcept;

 private:
  friend class Http2Connection;
  friend class Http2Session;
  class Body;
  class BodyWait;
  class OutputWait;
  class Socket;

  enum class Phase : std::uint8_t {
    head,       // its fields arrive
    body,       // its body arrives, and is kept until it is complete
    handling,   // the handler has the exchange
    streaming,  // the response's generator is being sent
    sending,    // the exchange is finished, the answer on its way
    websocket,  // its data are a WebSocket's (RFC 8441)
  };

  // The head.
  void on_pseudo_field(std::string_view name, std::string_view value);
  void add_cookie(std::string_view crumb);
  [[nodiscard]] bool check_head();
  [[nodiscard]] bool split_target();
  void refuse_head(Refusal refusal) noexcept;

  // The exchange.
  void begin_body();
  void dispatch() noexcept;
  void on_finished() noexcept override;
  WebSocket& on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options) override;
  void on_require_websocket() override;
  ConnectionValues& connection_values() noexcept override;
  void refuse(const Refusal& refusal);
  void respond();
  void submit(std::optional<std::uint64_t> length, bool data);
  void send_continue() noexcept;

  // A stream of pieces.
  void begin_pieces(bool no_body);
  Task<void> pump(Generator<std::string> generator);
  void beat(async::TimePoint now) noexcept;
  void send_piece(std::string&& piece);
  void on_complete(std::exception_ptr error) noexcept override;
  [[nodiscard]] bool far_ahead() const noexcept;
  void resume() noexcept;

  // A body that the handler reads while it comes.
  [[nodiscard]] std::string_view take_body() noexcept;
  void open_window(std::size_t bytes) noexcept;
  void keep_within_budget(std::size_t bytes) noexcept;
  [[nodiscard]] bool may_keep_more() const noexcept;
  void stop_holding() noexcept;
  [[nodiscard]] bool body_too_slow(async::TimePoint now) noexcept;
  void prolong_deadline() noexcept;
  void wake_body_reader() noexcept;

  Http2Connection* connection_ = nullptr;
  Http2Stream* next_ = nullptr;
  Http2Stream* previous_ = nullptr;
  ServerExchange* exchange_ = nullptr;
  std::int32_t id_ = 0;
  Phase phase_ = Phase::head;
  bool open_ = false;         // the session knows it
  bool remote_open_ = false;  // the client may send more
  bool in_handle_ = false;
  bool finished_ = false;
  bool own_reset_ = false;
  bool complete_ = false;
  bool producing_ = false;  // the generator has been asked for its next piece
  bool broken_ = false;
  bool deferred_ = false;  // the session waits for unsent()
  bool streamed_ = false;
  bool continue_owed_ = false;
  bool body_timed_out_ = false;
  bool connects_ = false;  // asks for a WebSocket
  int body_error_ = 0;     // the status that its reader is to be told
  Refusal refusal_;        // of the head; no detail: none
  std::size_t head_size_ = 0;
  std::size_t trailers_size_ = 0;
  std::optional<std::uint64_t> content_length_;
  std::string_view scheme_;
  std::string_view cookie_;  // the first crumb
  std::string cookies_;      // all of them, when there are several
  std::uint64_t body_limit_ = 0;
  std::uint64_t body_size_ = 0;
  std::uint64_t body_kept_ = 0;      // of a body that is kept until it is complete
  std::uint64_t body_held_ = 0;      // came, and has not opened the window again: see body_budget
  std::uint64_t body_received_ = 0;  // since body_since_
  async::TimePoint body_since_;
  async::TimePoint last_piece_;     // of a streamed answer
  async::TimePoint body_deadline_;  // what a streamed body last made the request's deadline
  std::string arrived_;             // of a streamed body, not read yet
  std::string trailers_;
  std::string piece_;  // that its reader has
  std::unique_ptr<Body> reader_;
  BodyWait* body_wait_ = nullptr;
  std::unique_ptr<Socket> websocket_;

  std::string_view body_;
  PieceBuffer pieces_;
  std::uint64_t moved_ = 0;  // since the connection last looked
  std::uint64_t pieces_left_ = 0;
  bool pieces_counted_ = false;
  OutputWait* output_wait_ = nullptr;
  char status_[3] = {};
  char length_[20] = {};
};

}  // namespace ashlar::http::detail
