// One connection of a server: reads requests, hands them over, writes answers, keeps the limits.
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
#include <ashlar/http/detail/output_queue.hpp>
#include <ashlar/http/detail/response_writer.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/request_parser.hpp>
#include <ashlar/net/address.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::detail {

class Connection;
class LoopServer;

class ServerExchange final : public Exchange {
 public:
  Connection* connection = nullptr;
  std::string body_storage;  // a body that did not fit into the read buffer behind its head

  void clear() noexcept;

 private:
  void on_finish() noexcept override;
};

/// Lives from accept until its descriptor is closed and its last exchange is finished; LoopServer owns it.
class Connection final : public async::IoHandler, private async::Completion {
 public:
  Connection(LoopServer& server, net::Transport transport, const net::Address& peer) noexcept;
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins. False: the loop cannot watch the descriptor.
  [[nodiscard]] bool open() noexcept;
  void on_io(std::uint32_t events) noexcept override;

  /// Keeps the time limits; called every now and then.
  void check_time(async::TimePoint now) noexcept;
  /// Drain: ends the connection if it is between two requests and nothing has come.
  void close_if_idle() noexcept;
  /// Drain, out of patience: cancels the request, or closes.
  void give_up() noexcept;

  [[nodiscard]] const net::Address& peer() const noexcept { return peer_; }

 private:
  friend class ServerExchange;
  friend class LoopServer;
  friend class StreamWait;

  class Handshake;

  enum class Phase : std::uint8_t {
    handshake,  // TLS; the descriptor is the transport's
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
  [[nodiscard]] bool try_body();
  [[nodiscard]] bool begin_body(const HeadResult& head);
  void dispatch() noexcept;
  void on_finished() noexcept;
  void refuse(const Refusal& refusal);
  void count(int status) noexcept;

  // Writing.
  [[nodiscard]] Cork& cork() noexcept;
  void respond();
  void begin_stream(bool close);
  Task<void> pump(Generator<std::string> generator);
  void on_complete(std::exception_ptr error) noexcept override;
  void send_piece(std::string&& piece);
  void flush() noexcept { send({}, nullptr); }
  /// Sends what is corked, then `body`, which `owner` holds if it is not null. What the socket does not take is queued.
  void send(std::string_view body, std::string* owner) noexcept;
  void on_writable() noexcept;
  [[nodiscard]] bool over_high_water() const noexcept;

  // Beginning and ending.
  void begin_handshake();
  void on_handshake(bool succeeded) noexcept;
  [[nodiscard]] bool begin_reading() noexcept;
  void read_decrypted() noexcept;
  void end_exchange() noexcept;
  void settle() noexcept;
  void watch(std::uint32_t events) noexcept;
  void update_interest() noexcept;
  void client_left() noexcept;
  void close_gently() noexcept;
  void close_now() noexcept;
  void release_block() noexcept;
  [[nodiscard]] std::int64_t taken_by_client() const noexcept;

  LoopServer& server_;
  net::Transport transport_;
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
  bool close_after_ = false;  // once everything is sent
  bool linger_ = false;
  bool end_of_input_ = false;
  bool pause_reading_ = false;
  bool write_waits_ = false;
  HeadScanner scanner_;
  std::uint64_t requests_ = 0;
  std::uint64_t body_length_ = 0;
  std::uint64_t body_limit_ = 0;
  std::uint64_t body_received_ = 0;  // since body_since_
  std::uint64_t stream_left_ = 0;
  std::uint64_t written_ = 0;      // since a client was first waited for
  std::int64_t taken_before_ = 0;  // of that, at write_since_; below zero when more was on its way
  async::TimePoint deadline_;      // of the phases head and lingering
  async::TimePoint body_since_;
  async::TimePoint write_since_;
  ChunkedDecoder decoder_;
  OutputQueue unsent_;
  class StreamWait* stream_wait_ = nullptr;
  std::unique_ptr<Handshake> handshake_;
  net::Address peer_;
  Connection* next_ = nullptr;
  Connection* previous_ = nullptr;
};

}  // namespace ashlar::http::detail
