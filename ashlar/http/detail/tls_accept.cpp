#include <ashlar/http/detail/tls_accept.hpp>

#include <memory>
#include <string>
#include <utility>

#include <ashlar/http/detail/http1_connection.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {

TlsAccept::TlsAccept(LoopServer& server, net::Transport transport, const net::Address& peer) noexcept
    : Connection(server, std::move(transport), peer) {
  context_.scope = &scope_;
}

bool TlsAccept::open(async::TimePoint deadline) noexcept {
  deadline_ = deadline;
  const async::ContextGuard guard(&context_);
  async::launch(transport_.start_tls_server(server_.options().tls), *this);
  return true;
}

void TlsAccept::on_complete(std::exception_ptr error) noexcept {
  const async::ContextGuard guard(nullptr);
  if (error != nullptr) {
    server_.stats().failed_handshakes.add();
    if (transport_.handshake_failure() == net::TlsFailure::plain_http) return answer_in_the_clear();
    transport_.close();
    server_.on_closed(*this);
    return server_.retire(*this);
  }
  LoopServer& server = server_;
  std::unique_ptr<Connection> fresh;
  if (transport_.alpn() == "h2") {
    fresh = std::make_unique<Http2Connection>(server, std::move(transport_), peer_, std::string());
  } else {
    fresh = std::make_unique<Http1Connection>(server, std::move(transport_), peer_);
  }
  server.open(server.replace(*this, std::move(fresh)), deadline_);
}

// So that whoever has typed http:// learns why nothing comes.
void TlsAccept::answer_in_the_clear() noexcept {
  transport_.drop_tls();
  LoopServer& server = server_;
  auto fresh = std::make_unique<Http1Connection>(server, std::move(transport_), peer_);
  Http1Connection& connection = *fresh;
  server.replace(*this, std::move(fresh));
  connection.open_to_refuse({400, "This port speaks HTTPS: write https:// in place of http://.", "RFC 9110 §4.2.2"},
                            deadline_);
}

void TlsAccept::check_time(async::TimePoint now) noexcept {
  if (now < deadline_ || scope_.cancelled()) return;
  server_.stats().header_timeouts.add();
  close_now();
}

void TlsAccept::close_if_idle() noexcept {
  // A client in the middle of its handshake has not sent a request yet, but is about to; header_timeout and the drain's
  // own patience bound it.
}

// Comes back by on_complete.
void TlsAccept::close_now() noexcept { scope_.cancel(async::CancelReason::deadline); }

}  // namespace ashlar::http::detail
