#include <ashlar/http/server.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <mutex>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/loop_server.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::http {

struct Server::Impl {
  struct Bound {
    net::Address address;
    net::Fd fd;
    bool taken = false;  // by the first loop
  };

  ServerOptions options;
  Handler& handler;
  detail::PeerTable peers;
  std::vector<net::Address> addresses;
  mutable std::mutex mutex;  // for what follows; start() may run on several loops at once
  std::vector<Bound> bound;
  std::vector<std::unique_ptr<detail::LoopServer>> loops;

  Impl(ServerOptions given, Handler& answering) : options(std::move(given)), handler(answering) {
    if (options.head.max_headers > Request::kMaxHeaders) {
      throw Invalid(fmt::format("ServerOptions.head.max_headers is {}: at most {} are possible",
                                options.head.max_headers, Request::kMaxHeaders));
    }
  }

  // The first loop takes the socket that bind() opened. The others share its port, or, for a unix socket, itself.
  net::Fd listener(Bound& from) {
    if (from.address.is_unix()) {
      net::Fd copy(::fcntl(from.fd.get(), F_DUPFD_CLOEXEC, 0));
      if (!copy) throw Unavailable(fmt::format("cannot share the socket {}", from.address.to_string()));
      return copy;
    }
    if (!std::exchange(from.taken, true)) return std::move(from.fd);
    return net::listen(from.address, {.backlog = options.backlog, .reuse_port = true});
  }

  detail::LoopServer& of(const async::Loop& loop) const {
    const std::lock_guard lock(mutex);
    for (const auto& candidate : loops) {
      if (&candidate->loop() == &loop) return *candidate;
    }
    throw Internal("Server: this loop was not started");
  }
};

Server::Server(ServerOptions options, Handler& handler) : impl_(std::make_unique<Impl>(std::move(options), handler)) {}

Server::~Server() = default;

void Server::bind() {
  // OpenSSL writes without MSG_NOSIGNAL: a client that is gone must be an error code, not the end of the program.
  if (impl_->options.tls != nullptr) ::signal(SIGPIPE, SIG_IGN);
  for (const std::string& text : impl_->options.listen) {
    const auto address = net::Address::parse(text);
    if (!address) {
      throw Invalid(
          fmt::format("cannot listen on '{}': write it as 127.0.0.1:8000, [::1]:8000 or unix:/run/app.sock", text));
    }
    net::Fd fd =
        net::listen(*address, {.backlog = impl_->options.backlog, .reuse_port = !address->is_unix(), .first = true});
    impl_->addresses.push_back(address->is_unix() ? *address : net::local_address(fd.get()));
    impl_->bound.push_back({impl_->addresses.back(), std::move(fd)});
  }
}

const std::vector<net::Address>& Server::addresses() const noexcept { return impl_->addresses; }

void Server::start(async::Loop& loop) {
  const std::lock_guard lock(impl_->mutex);
  auto made = std::make_unique<detail::LoopServer>(impl_->options, impl_->handler, impl_->peers, loop);
  for (Impl::Bound& bound : impl_->bound) made->listen(impl_->listener(bound));
  impl_->loops.push_back(std::move(made));
}

Task<void> Server::drain(async::Loop& loop) { return impl_->of(loop).drain(); }

const ServerOptions& Server::options() const noexcept { return impl_->options; }

ServerStats Server::stats() const {
  ServerStats sum;
  for (const ServerStats& one : loop_stats()) sum += one;
  return sum;
}

std::vector<ServerStats> Server::loop_stats() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<ServerStats> all;
  for (const auto& loop : impl_->loops) all.push_back(std::as_const(*loop).stats());
  return all;
}

ServerStats& operator+=(ServerStats& sum, const ServerStats& more) noexcept {
  for (const auto number : {&ServerStats::connections,
                            &ServerStats::requests_running,
                            &ServerStats::requests_suspended,
                            &ServerStats::streams,
                            &ServerStats::accepted,
                            &ServerStats::requests,
                            &ServerStats::bytes_received,
                            &ServerStats::bytes_sent,
                            &ServerStats::refused_connections,
                            &ServerStats::refused_peer_connections,
                            &ServerStats::accept_failures,
                            &ServerStats::failed_handshakes,
                            &ServerStats::malformed,
                            &ServerStats::heads_too_large,
                            &ServerStats::targets_too_long,
                            &ServerStats::bodies_too_large,
                            &ServerStats::header_timeouts,
                            &ServerStats::body_timeouts,
                            &ServerStats::idle_timeouts,
                            &ServerStats::write_timeouts,
                            &ServerStats::request_timeouts,
                            &ServerStats::request_limits,
                            &ServerStats::clients_gone,
                            &ServerStats::paused,
                            &ServerStats::http2_connections,
                            &ServerStats::http2_accepted,
                            &ServerStats::http2_requests,
                            &ServerStats::http2_resets,
                            &ServerStats::http2_refused,
                            &ServerStats::http2_rapid_resets,
                            &ServerStats::http2_floods,
                            &ServerStats::http2_header_bombs}) {
    (sum.*number).add((more.*number).get());
  }
  return sum;
}

}  // namespace ashlar::http
