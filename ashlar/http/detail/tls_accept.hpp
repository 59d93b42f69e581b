// A connection while its TLS handshake runs; then one of HTTP takes its place.
#pragma once

#include <exception>

#include <ashlar/async/task.hpp>
#include <ashlar/http/detail/connection.hpp>

namespace ashlar::http::detail {

class TlsAccept final : public Connection, private async::Completion {
 public:
  TlsAccept(LoopServer& server, net::Transport transport, const net::Address& peer) noexcept;

  [[nodiscard]] bool open(async::TimePoint deadline) noexcept override;
  void check_time(async::TimePoint now) noexcept override;
  void flush() noexcept override {}
  void close_if_idle() noexcept override;
  void give_up() noexcept override { close_now(); }
  void close_now() noexcept override;

 private:
  void on_complete(std::exception_ptr error) noexcept override;
  void answer_in_the_clear() noexcept;

  async::CancelScope scope_;
  async::Context context_;
  async::TimePoint deadline_;
};

}  // namespace ashlar::http::detail
