// WebSocket (RFC 6455): one end of a connection that carries messages both ways. The same for a server's handler, a
// client, and both ends of a pair without a socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/context.hpp>
#include <ashlar/async/waiter.hpp>
#include <ashlar/http/websocket_deflate.hpp>
#include <ashlar/http/websocket_frame.hpp>

namespace ashlar::http {

/// Limits and times of one connection; all on from the start.
struct WebSocketLimits {
  std::uint64_t max_message = 1024 * 1024;  ///< bytes, decompressed; 1009
  /// Messages and control frames of the peer in each stretch of ten seconds; 1008. 0: any number.
  std::uint32_t max_messages = 10'000;
  /// Unread messages above which the peer is held up (TCP).
  std::size_t input_high_water = 256 * 1024;
  std::size_t max_unread = 256;  ///< the same as a count of messages
  /// Unsent bytes above which send() waits.
  std::size_t output_high_water = 256 * 1024;
  /// Unsent bytes that a message of a room may not push a member beyond: see SlowMember.
  std::size_t max_unsent = 1024 * 1024;
  /// How often a peer that is silent is asked for a sign of life, and how long it may take to answer. 0: never asked.
  async::Nanoseconds ping_interval = std::chrono::seconds{30};
  async::Nanoseconds ping_timeout = std::chrono::seconds{20};
  /// How long to wait for the peer's Close after ours, and how long a handler may go on after the peer's Close before
  /// it is cancelled.
  async::Nanoseconds close_timeout = std::chrono::seconds{5};
  /// While something waits to be sent: every so often the peer must have acknowledged min_write_rate, else: close.
  async::Nanoseconds write_timeout = std::chrono::seconds{30};
  std::uint64_t min_write_rate = 1024;  ///< bytes a second
  WebSocketCompression compression;
};

struct WebSocketMessage {
  std::string data;
  bool text = true;  ///< well-formed UTF-8 then
};

/// A message framed once, to be sent to many. Thread-safe; share it as std::shared_ptr<const SharedMessage>.
class SharedMessage {
 public:
  /// Throws Invalid for text that is no UTF-8.
  explicit SharedMessage(std::string data, bool text = true, const WebSocketCompression& compression = {});
  [[nodiscard]] std::string_view data() const noexcept { return std::string_view(plain_).substr(head_); }
  [[nodiscard]] bool text() const noexcept { return text_; }
  /// The whole frame of a server.
  [[nodiscard]] const std::string& plain() const noexcept { return plain_; }
  /// Compressed, made when it is asked for first; plain() when that would not be smaller.
  [[nodiscard]] const std::string& compressed() const;

 private:
  std::string plain_;
  std::size_t head_ = 0;  // bytes of the frame's head
  bool text_;
  WebSocketCompression compression_;
  mutable std::once_flag once_;
  mutable std::string compressed_;
};

/// What happens to a message for somebody who does not take what is sent fast enough.
enum class SlowMember : std::uint8_t {
  close,  ///< with 1008: it comes back and asks for what it missed
  drop,   ///< it misses this message
};

/// One end. Belongs to one loop: everything but reading constants happens there. One receiver at a time.
class WebSocket {
 public:
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  class Receive final : public async::Waiter {
   public:
    explicit Receive(WebSocket& socket) noexcept : socket_(socket) {}
    ~Receive() = default;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    std::optional<WebSocketMessage> await_resume();

   private:
    friend class WebSocket;
    void on_cancel() noexcept override;
    WebSocket& socket_;
  };
  /// The peer's next message; nullopt once it has closed and all its messages are taken, or the connection is gone:
  /// peer_close_code() says which. Throws Cancelled, DeadlineExceeded (`async::timeout`), which leave the socket as it
  /// was.
  [[nodiscard]] Receive receive() noexcept { return Receive{*this}; }

  class Sent final : public async::Waiter {
   public:
    explicit Sent(WebSocket& socket) noexcept : socket_(&socket) {}
    ~Sent() = default;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle) noexcept;
    void await_resume() const { check_cancelled(); }

   private:
    friend class WebSocket;
    void on_cancel() noexcept override;
    WebSocket* socket_;
    Sent* next_ = nullptr;
  };
  /// Sends a text message, now; await the result to go on when the peer has taken enough of what was sent before.
  /// Throws Invalid for text that is no UTF-8, and Cancelled after close(). To a peer that has closed it goes nowhere:
  /// receive() tells that, and whoever only sends gets Cancelled at the 64th time.
  [[nodiscard("await it: a peer that reads slowly must hold up its sender")]] Sent send(std::string_view text);
  [[nodiscard("await it: a peer that reads slowly must hold up its sender")]] Sent send_binary(std::string_view bytes);
  [[nodiscard("await it: a peer that reads slowly must hold up its sender")]] Sent send(
      const WebSocketMessage& message) {
    return message.text ? send(std::string_view(message.data)) : send_binary(message.data);
  }
  /// For rooms: never waits. False: the socket is closed, or its peer too slow, and `policy` was applied.
  bool send_shared(const std::shared_ptr<const SharedMessage>& message, SlowMember policy);

  /// Begins to close: what was sent goes out first; receive() gives nullopt from now on. The peer has close_timeout to
  /// answer. Throws Invalid for a code that may not be sent. A second call does nothing.
  void close(std::uint16_t code = close_code::normal, std::string_view reason = {});

  /// Nothing can be sent any more.
  [[nodiscard]] bool closed() const noexcept { return closing_; }
  /// How the peer has closed: its code, close_code::none when its Close had none, close_code::abnormal when there was
  /// no Close. nullopt: it has not.
  [[nodiscard]] std::optional<std::uint16_t> peer_close_code() const noexcept { return peer_code_; }
  [[nodiscard]] const std::string& peer_close_reason() const noexcept { return peer_reason_; }
  /// Chosen in the handshake; empty: none.
  [[nodiscard]] const std::string& subprotocol() const noexcept { return subprotocol_; }
  /// Bytes that wait to be sent.
  [[nodiscard]] virtual std::size_t unsent() const noexcept = 0;

 protected:
  explicit WebSocket(std::string subprotocol) : subprotocol_(std::move(subprotocol)) {}
  ~WebSocket() = default;

  virtual void transmit(std::string_view data, bool text) = 0;
  virtual bool transmit_shared(const std::shared_ptr<const SharedMessage>& message, SlowMember policy) = 0;
  virtual void begin_close(std::uint16_t code, std::string_view reason) = 0;
  /// send() has to wait.
  [[nodiscard]] virtual bool congested() const noexcept = 0;
  /// A message was taken by the receiver.
  virtual void on_taken() noexcept = 0;

  void deliver(WebSocketMessage message);
  /// The peer has closed, or is gone: nothing more comes.
  void end_input(std::uint16_t code, std::string_view reason);
  /// Those that wait for room may go on (or, when it is closed, throw Cancelled at their next send).
  void wake_senders() noexcept;
  /// From now on nothing is sent.
  void stop_sending() noexcept { closing_ = true; }
  void drop_unread() noexcept;

  [[nodiscard]] std::size_t unread_bytes() const noexcept { return unread_bytes_; }
  [[nodiscard]] std::size_t unread() const noexcept { return inbox_.size() - first_; }

 private:
  [[nodiscard]] bool may_send();
  void wake_receiver() noexcept;

  std::string subprotocol_;
  std::vector<WebSocketMessage> inbox_;
  std::size_t first_ = 0;  // of the inbox: those before it are taken
  std::size_t unread_bytes_ = 0;
  Receive* receiver_ = nullptr;
  Sent* senders_ = nullptr;
  std::optional<std::uint16_t> peer_code_;
  std::string peer_reason_;
  bool ended_ = false;    // nothing more is delivered
  bool closing_ = false;  // nothing more is sent
  bool closed_here_ = false;
  std::uint8_t sent_in_vain_ = 0;  // since the last message was taken
};

/// Two ends joined in memory, on one loop: for tests. What one sends the other receives at once.
class WebSocketPair {
 public:
  explicit WebSocketPair(std::string subprotocol = {}, WebSocketLimits limits = {});
  ~WebSocketPair();
  WebSocketPair(const WebSocketPair&) = delete;
  WebSocketPair& operator=(const WebSocketPair&) = delete;
  [[nodiscard]] WebSocket& server() noexcept;
  [[nodiscard]] WebSocket& client() noexcept;
  /// As if the connection broke: both ends see close_code::abnormal.
  void cut() noexcept;

 private:
  class End;
  std::unique_ptr<End> ends_[2];
};

}  // namespace ashlar::http
