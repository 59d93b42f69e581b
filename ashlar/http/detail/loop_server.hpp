// A server's part on one loop: its listeners, its connections, and what they share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/detail/connection.hpp>
#include <ashlar/http/detail/cork.hpp>
#include <ashlar/http/detail/response_writer.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/listening.hpp>
#include <ashlar/http/server_options.hpp>
#include <ashlar/http/server_stats.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::http::detail {

class Http2Loop;

/// How many connections each peer has, over all loops. Locked, but only when a connection comes or goes.
class PeerTable {
 public:
  /// False: the peer already has `most`.
  [[nodiscard]] bool enter(const net::Address& peer, std::uint32_t most);
  void leave(const net::Address& peer) noexcept;

 private:
  using Key = std::string;  // of its IP address
  std::mutex mutex_;
  std::unordered_map<Key, std::uint32_t> counts_;
};

class LoopServer final : private async::Timer, private async::TickHook {
 public:
  static constexpr std::uint32_t kBlock = 8 * 1024;

  LoopServer(const ServerOptions& options, Handler& handler, PeerTable& peers, async::Loop& loop);
  ~LoopServer();

  void listen(net::Fd fd, Accepting accepting = Accepting::alone);
  /// Accepts from another process's socket too, until uncover().
  void cover(unsigned key, net::Fd fd);
  void uncover(unsigned key) noexcept;
  Task<void> drain(Waiting waiting);

  [[nodiscard]] const ServerOptions& options() const noexcept { return options_; }
  [[nodiscard]] Handler& handler() const noexcept { return handler_; }
  [[nodiscard]] async::Loop& loop() const noexcept { return loop_; }
  [[nodiscard]] ServerStats& stats() noexcept { return stats_; }
  [[nodiscard]] const ServerStats& stats() const noexcept { return stats_; }
  /// The output buffer, for this connection: what another one left in it goes out first.
  [[nodiscard]] Cork& cork_of(Connection& connection) noexcept {
    if (cork_owner_ != &connection) [[unlikely]]
      pass_cork(connection);
    return cork_;
  }
  /// Receiving for many connections, then answering, then sending for many costs less than in turns: the processor
  /// keeps the code of each at hand (docs/performance.md). The connection has read something: Connection::handle_read
  /// comes when the others of the tick have read, too, or many have.
  void handle_at_tick_end(Connection& connection) noexcept;
  /// Keeps what the connection has in the output buffer until the end of the tick, or until there is much of it.
  /// Precondition: it has the buffer, and there is something in it.
  void send_at_tick_end(Connection& connection) noexcept;
  /// Now, of this one.
  void send_kept(Connection& connection) noexcept;
  [[nodiscard]] HeadStart& head_start() noexcept { return head_start_; }
  /// What its connections of HTTP/2 share; made for the first of them. Throws std::bad_alloc.
  [[nodiscard]] Http2Loop& http2();
  [[nodiscard]] bool draining() const noexcept { return draining_; }

  [[nodiscard]] ServerExchange* take_exchange();
  void give_exchange(ServerExchange* exchange) noexcept;
  [[nodiscard]] char* take_block();
  void give_block(char* block, std::uint32_t capacity) noexcept;

  /// Puts a connection that speaks another protocol in the place of one, whose transport it has taken over; the old one
  /// is retired. Open the new one afterwards.
  Connection& replace(Connection& old, std::unique_ptr<Connection> fresh) noexcept;
  /// Opens a connection that is in the list; closes it when it cannot be.
  bool open(Connection& connection, async::TimePoint deadline) noexcept;
  /// The descriptor is closed.
  void on_closed(Connection& connection) noexcept;
  /// Nothing refers to it any more: destroyed at the end of the tick.
  void retire(Connection& connection) noexcept;

 private:
  class Listener final : public async::IoHandler {
   public:
    Listener(LoopServer& server, net::Fd fd, Accepting accepting, std::optional<unsigned> covers = {});
    void on_io(std::uint32_t events) noexcept override;
    void begin_drain() noexcept;
    void close() noexcept;
    [[nodiscard]] bool covers(unsigned key) const noexcept { return covers_ == key; }

   private:
    LoopServer& server_;
    net::Fd fd_;
    bool is_unix_;
    Accepting accepting_;
    std::optional<unsigned> covers_;
  };

  void pass_cork(Connection& connection) noexcept;
  void handle_all_read() noexcept;
  void send_all_kept() noexcept;
  void on_timer() noexcept override;
  void on_tick_end() noexcept override;
  /// Accepts what waits, at most `most`.
  void accept(int listener, int most) noexcept;
  void adopt(net::Fd fd, const net::Address& peer) noexcept;
  [[nodiscard]] bool limited(const net::Address& peer) const noexcept;
  void shed(net::Fd fd) noexcept;
  void out_of_descriptors(int listener) noexcept;
  void advance_drain() noexcept;
  void for_each(void (Connection::*what)() noexcept) noexcept;
  void arm() noexcept;

  const ServerOptions& options_;
  Handler& handler_;
  PeerTable& peers_;
  async::Loop& loop_;
  async::Nanoseconds sweep_interval_;
  Cork cork_;
  Connection* cork_owner_ = nullptr;
  struct Kept {
    Connection* connection;
    Cork::Aside output;
  };
  static constexpr std::size_t kMostRead = 64;
  std::array<Connection*, kMostRead> read_;
  std::size_t read_count_ = 0;
  bool handling_read_ = false;
  static constexpr std::size_t kMostKept = 64;
  std::array<Kept, kMostKept> kept_;
  std::size_t kept_count_ = 0;
  HeadStart head_start_;
  ServerStats stats_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<ServerExchange>> exchanges_;  // free ones
  std::vector<char*> blocks_;                               // free ones
  std::unique_ptr<Http2Loop> http2_;
  Connection* connections_ = nullptr;
  Connection* retired_ = nullptr;
  std::uint64_t live_ = 0;
  net::Fd spare_;  // given up for a moment to refuse a connection when descriptors run out
  bool draining_ = false;
  bool grace_over_ = false;
  bool gave_up_ = false;
  async::TimePoint drain_began_;
  async::Event empty_;
};

}  // namespace ashlar::http::detail
