// One connection of a client: non-blocking bytes with an awaitable for "ready".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ashlar/async/loop.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::detail {

/// Belongs to one loop; watched by it all its life, so that a peer that closes a kept connection is noticed at once.
class ClientConnection final : public async::IoHandler {
 public:
  /// Throws Internal when the loop cannot watch it.
  ClientConnection(async::Loop& loop, net::Transport transport);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  class Wait final : public async::Waiter {
   public:
    Wait(ClientConnection& connection, std::uint32_t events) noexcept : connection_(connection), events_(events) {}
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> handle);
    void await_resume() const { check_cancelled(); }

   private:
    friend class ClientConnection;
    void on_cancel() noexcept override;
    ClientConnection& connection_;
    std::uint32_t events_;
  };
  /// Until EPOLLIN, EPOLLOUT or, with both, either. Throws Cancelled, DeadlineExceeded. One at a time.
  [[nodiscard]] Wait ready(std::uint32_t events) noexcept { return {*this, events}; }

  [[nodiscard]] net::Transport& transport() noexcept { return transport_; }

  /// Puts it aside: anything that comes now means that it cannot be used again.
  void rest(async::TimePoint now) noexcept;
  /// Takes it back. False: it has died meanwhile.
  [[nodiscard]] bool wake_up() noexcept;
  [[nodiscard]] async::TimePoint resting_since() const noexcept { return resting_since_; }
  /// It was closed, or spoke out of turn, while it rested.
  [[nodiscard]] bool dead() const noexcept { return dead_; }

  bool global_peer = false;  ///< of the open Internet
  std::string buffer;        ///< what was read
  std::size_t consumed = 0;  ///< of the buffer
  [[nodiscard]] std::string_view unread() const noexcept { return std::string_view(buffer).substr(consumed); }

 private:
  void on_io(std::uint32_t events) noexcept override;
  void watch(std::uint32_t events);

  async::Loop& loop_;
  net::Transport transport_;
  Wait* waiting_ = nullptr;
  std::uint32_t interest_ = 0;
  bool resting_ = false;
  bool dead_ = false;
  async::TimePoint resting_since_{};
};

}  // namespace ashlar::http::detail
