// A connection that speaks HTTP/1.1: reads requests, hands them over, writes answers, keeps the limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/chunked.hpp>
#include <ashlar/http/detail/connection.hpp>
#include <ashlar/http/detail/output_queue.hpp>
#include <ashlar/http/detail/response_writer.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/request_parser.hpp>

namespace ashlar::http::detail {

class Http1Connection final : public Connection,
                              public async::IoHandler,
                              private ExchangeOwner,
                              private async::Completion {
 public:
  Http1Connection(LoopServer& server, net::Transport transport, const net::Address& peer) noexcept;
  ~Http1Connection() override;

  [[nodiscard]] bool open(async::TimePoint deadline) noexcept override;
  /// Begins with an answer to what somebody else has read, and ends.
  void open_to_refuse(const Refusal& refusal, async::TimePoint deadline) noexcept;
  void on_io(std::uint32_t events) noexcept override;
  void check_time(async::TimePoint now) noexcept override;
  void flush() noexcept override { send({}, nullptr); }
  void send_kept(std::string_view output) noexcept override;
  void handle_read() noexcept override;
  void begin_drain() noexcept override;
  void close_if_idle() noexcept override;
  void give_up() noexcept override;
  void close_now() noexcept override;

 private:
  friend class StreamWait;

  class Body;
  class BodyWait;

  enum class Phase : std::uint8_t {
    head,       // between requests, or reading a head
    body,       // reading a body
    handling,   // the handler has the exchange
    streaming,  // the response's generator is being sent
    lingering,  // everything is sent: only waits for the client's end
    closed,     // no descriptor any more; an exchange may still be out
  };

  // Reading.
  void on_readable(std::uint32_t events) noexcept;
  void read() noexcept;
  void read_and_drop() noexcept;
  void make_room(std::size_t least);
  void on_end_of_input() noexcept;
  [[nodiscard]] std::string_view unread() const noexcept { return {block_ + begin_, end_ - begin_}; }
  [[nodiscard]] bool more_input_waits() const noexcept;

  // Progress. run() parses and handles as far as it goes, then flushes and settles.
  void run() noexcept;
  [[nodiscard]] bool try_head();
  [[nodiscard]] bool begins_http2();
  [[nodiscard]] bool try_body();
  [[nodiscard]] bool begin_body(const HeadResult& head);
  void dispatch() noexcept;
  void on_finished() noexcept override;
  WebSocket& on_accept_websocket(WebSocketHandshake handshake, const WebSocketOptions& options) override;
  void on_require_websocket() override;
  ConnectionValues& connection_values() noexcept override { return values(); }
  void keep_head_apart();
  void refuse(const Refusal& refusal);

  // A body that the handler reads while it comes.
  bool begin_stream_of_body();
  [[nodiscard]] std::string_view take_body();
  [[nodiscard]] bool fill_body();
  void prolong_deadline() noexcept;
  void wake_body_reader() noexcept;
  [[nodiscard]] bool body_too_slow(async::TimePoint now) noexcept;

  // Writing.
  [[nodiscard]] Cork& cork() noexcept;
  void respond();
  void begin_stream(bool close);
  void begin_file(FileBody file);
  Task<void> pump(Generator<std::string> generator);
  void on_complete(std::exception_ptr error) noexcept override;
  void send_piece(std::string&& piece);
  /// Sends what is corked, then `body`, which `owner` holds if it is not null, or `shared` does. What the socket does
  /// not take is queued.
  void send(std::string_view body, std::string* owner, const std::shared_ptr<const void>& shared = nullptr) noexcept;
  void send(std::string_view first, std::string_view body, std::string* owner,
            const std::shared_ptr<const void>& shared) noexcept;
  [[nodiscard]] bool write_unsent() noexcept;
  void beat(async::TimePoint now) noexcept;
  void on_writable() noexcept;
  [[nodiscard]] bool over_high_water() const noexcept;

  // Beginning and ending.
  void read_decrypted() noexcept;
  void end_exchange() noexcept;
  void settle() noexcept;
  void watch(std::uint32_t events) noexcept;
  void update_interest() noexcept;
  void client_left() noexcept;
  void close_gently() noexcept;
  void release_block() noexcept;
  /// From now on the client has to take what has been written.
  void wait_for_client(std::uint64_t written) noexcept;
  [[nodiscard]] std::int64_t taken_by_client() const noexcept;

  ServerExchange* exchange_ = nullptr;
  char* block_ = nullptr;
  std::uint32_t capacity_ = 0;
  std::uint32_t begin_ = 0;  // of what is not parsed yet
  std::uint32_t end_ = 0;
  std::uint32_t body_at_ = 0;
  std::uint32_t interest_ = 0;
  Phase phase_ = Phase::head;
  BodyKind body_kind_ = BodyKind::none;
  Framing stream_framing_ = Framing::none;
  bool running_ = false;
  bool in_handle_ = false;
  bool finished_ = false;
  bool head_began_ = false;
  bool waits_for_turn_ = false;  // something has been read (LoopServer::handle_at_tick_end)
  bool turn_is_over_ = false;    // requests wait in the block until others have had their turn
  bool close_after_ = false;     // once everything is sent
  bool linger_ = false;
  bool end_of_input_ = false;
  bool pause_reading_ = false;
  bool write_waits_ = false;
  bool body_open_ = false;       // a streamed body of which not all has come
  bool continue_owed_ = false;   // the client waits for 100 Continue
  bool body_timed_out_ = false;  // its reader is to be told
  bool producing_ = false;       // the stream's generator has been asked for its next piece
  HeadScanner scanner_;
  std::uint64_t requests_ = 0;
  std::uint64_t body_length_ = 0;
  std::uint64_t body_limit_ = 0;
  std::uint64_t body_left_ = 0;      // of a streamed body; chunked: how much of it was taken
  std::uint64_t body_received_ = 0;  // since body_since_
  std::uint64_t stream_left_ = 0;
  std::uint64_t written_ = 0;      // since a client was first waited for
  std::int64_t taken_before_ = 0;  // of that, at write_since_; below zero when more was on its way
  async::TimePoint deadline_;      // of the phases head and lingering
  async::TimePoint body_since_;
  async::TimePoint body_deadline_;  // what a streamed body last made the request's deadline
  async::TimePoint write_since_;
  async::TimePoint last_piece_;  // of a stream
  ChunkedDecoder decoder_;
  OutputQueue unsent_;
  class StreamWait* stream_wait_ = nullptr;
  BodyWait* body_wait_ = nullptr;
  std::unique_ptr<Body> body_;
};

}  // namespace ashlar::http::detail
