// One end of a WebSocket over what carries it: what a server's connection and a client share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/async/loop.hpp>
#include <ashlar/http/detail/output_queue.hpp>
#include <ashlar/http/detail/websocket_carrier.hpp>
#include <ashlar/http/server_stats.hpp>
#include <ashlar/http/websocket.hpp>
#include <ashlar/http/websocket_reader.hpp>

namespace ashlar::http::detail {

/// What the handshake came to.
struct WebSocketTerms {
  std::string subprotocol;
  std::optional<DeflateAgreement> deflate;
};

class WebSocketStream final : public WebSocket, public async::IoHandler, private async::TickHook, private async::Timer {
 public:
  class Owner {
   public:
    /// The carrier is closed. Called once; nothing of the stream runs on its own account afterwards.
    virtual void on_stream_closed() noexcept = 0;
    /// The peer has closed or is gone since close_timeout: whoever still works for it is to stop. At most once.
    virtual void on_peer_lost() noexcept = 0;

   protected:
    ~Owner() = default;
  };

  /// `carrier` and `stats` must outlive it; it is used on `loop` only.
  WebSocketStream(async::Loop& loop, WebSocketCarrier& carrier, WebSocketSide side, const WebSocketLimits& limits,
                  WebSocketTerms terms, ServerStats& stats, Owner& owner);
  ~WebSocketStream() = default;

  /// Begins; `first` goes out before everything else, `read` has come already. Throws Internal when the carrier
  /// cannot be watched.
  void open(OutputQueue first, std::string_view read);
  /// Closes the carrier at once. The peer sees a broken connection.
  void abort() noexcept;
  [[nodiscard]] bool gone() const noexcept { return state_ == State::gone; }

  void on_io(std::uint32_t events) noexcept override;
  /// The carrier takes more: what waits is sent at the end of the tick.
  void write_soon() noexcept { loop_.at_tick_end(*this); }
  [[nodiscard]] std::size_t unsent() const noexcept override { return output_.bytes(); }

 private:
  enum class State : std::uint8_t {
    open,
    closing,   // our Close is on its way, the peer's is awaited
    answered,  // both Closes are there: ends when ours is sent (a client waits for the server's end)
    failing,   // our Close is sent after a fault: what still comes is dropped
    gone,      // no carrier any more
  };

  void transmit(std::string_view data, bool text) override;
  bool transmit_shared(const std::shared_ptr<const SharedMessage>& message, SlowMember policy) override;
  void begin_close(std::uint16_t code, std::string_view reason) override;
  [[nodiscard]] bool congested() const noexcept override;
  void on_taken() noexcept override;
  void on_tick_end() noexcept override { flush(); }
  void on_timer() noexcept override;

  void push_frame(const FrameHead& head, std::string_view payload);
  void push_control(Opcode opcode, std::string_view payload);
  void flush() noexcept;
  void read() noexcept;
  void read_and_drop() noexcept;
  void take(std::span<char> bytes);
  void on_peer_close(std::string_view payload);
  void fail(const WebSocketFault& fault);
  void count_close(std::uint16_t code) noexcept;
  [[nodiscard]] bool within_rate() noexcept;
  [[nodiscard]] bool full() const noexcept;
  [[nodiscard]] bool reads() const noexcept;
  void go_on_reading() noexcept;
  void end() noexcept;
  void lose(std::string_view reason) noexcept;
  void update_interest() noexcept;
  void schedule() noexcept;
  [[nodiscard]] bool takes_too_slowly(async::TimePoint now) noexcept;
  [[nodiscard]] std::int64_t taken_by_peer() const noexcept;

  async::Loop& loop_;
  WebSocketCarrier& carrier_;
  const WebSocketLimits& limits_;
  ServerStats& stats_;
  Owner& owner_;
  std::unique_ptr<MessageDeflate> deflate_;
  WebSocketReader reader_;
  OutputQueue output_;
  std::string held_;  // what was read behind messages that are not taken yet
  WebSocketSide side_;
  State state_ = State::open;
  bool paused_ = false;        // not read from, because what came is not taken
  bool end_of_input_ = false;  // the peer has ended its side of the transport
  bool write_waits_ = false;
  bool pinged_ = false;  // and not answered yet
  bool lost_told_ = false;
  bool close_counted_ = false;
  bool ended_writing_ = false;
  std::uint32_t interest_ = 0;
  std::uint32_t rate_count_ = 0;
  std::uint64_t written_ = 0;      // since a peer was first waited for
  std::int64_t taken_before_ = 0;  // of that, at write_since_
  async::TimePoint rate_since_{};
  async::TimePoint heard_{};  // last sign of life
  async::TimePoint pinged_at_{};
  async::TimePoint close_since_{};
  async::TimePoint write_since_{};
};

}  // namespace ashlar::http::detail
