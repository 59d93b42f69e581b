#include <ashlar/http/server.hpp>

#include <fcntl.h>
#include <fmt/format.h>

#include <csignal>
#include <mutex>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/loop_server.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/net/tls_context.hpp>

namespace ashlar::http {

struct Server::Impl {
  struct Bound {
    Listening listening;
    bool inherited = false;
    std::size_t taken = 0;  // sockets, by the loops that started
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
    if (options.tls != nullptr)
      options.tls->offer_alpn(options.http2.enabled ? std::vector<std::string>{"h2", "http/1.1"}
                                                    : std::vector<std::string>{"http/1.1"});
  }

  void bind(std::vector<Listening> listening, bool inherited) {
    // sendfile(2) knows no MSG_NOSIGNAL: a client that is gone must be an error code, not the end of the program.
    ::signal(SIGPIPE, SIG_IGN);
    for (Listening& one : listening) {
      addresses.push_back(one.address);
      bound.push_back({std::move(one), inherited});
    }
  }

  // Each loop takes a socket. When there are no more, one of our own port is opened; what others opened is shared.
  void listen(Bound& from, detail::LoopServer& loop) {
    auto& [address, sockets, accepting] = from.listening;
    if (accepting == Accepting::alone && from.taken < sockets.size()) {
      return loop.listen(std::move(sockets[from.taken++]), Accepting::alone);
    }
    if (accepting == Accepting::alone && !from.inherited) {
      return loop.listen(net::listen(address, {.backlog = options.backlog, .reuse_port = true}), Accepting::alone);
    }
    const net::Fd& first = sockets.front();  // given away already: more loops than sockets
    net::Fd copy(first ? ::fcntl(first.get(), F_DUPFD_CLOEXEC, 0) : -1);
    if (!copy) throw Unavailable(fmt::format("cannot share the socket {}", address.to_string()));
    loop.listen(std::move(copy), Accepting::beside_others);
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

std::vector<Listening> open_listening(const ServerOptions& options, unsigned loops) {
  std::vector<Listening> all;
  for (const std::string& text : options.listen) {
    const auto address = net::Address::parse(text);
    if (!address) {
      throw Invalid(
          fmt::format("cannot listen on '{}': write it as 127.0.0.1:8000, [::1]:8000 or unix:/run/app.sock", text));
    }
    Listening opened;
    opened.accepting = address->is_unix() ? Accepting::beside_others : Accepting::alone;
    opened.sockets.push_back(
        net::listen(*address, {.backlog = options.backlog, .reuse_port = !address->is_unix(), .first = true}));
    opened.address = address->is_unix() ? *address : net::local_address(opened.sockets.front().get());
    while (opened.accepting == Accepting::alone && opened.sockets.size() < loops) {
      opened.sockets.push_back(net::listen(opened.address, {.backlog = options.backlog, .reuse_port = true}));
    }
    all.push_back(std::move(opened));
  }
  return all;
}

void Server::bind() { impl_->bind(open_listening(impl_->options), false); }
void Server::bind(std::vector<Listening> listening) { impl_->bind(std::move(listening), true); }

const std::vector<net::Address>& Server::addresses() const noexcept { return impl_->addresses; }

void Server::start(async::Loop& loop) {
  const std::lock_guard lock(impl_->mutex);
  auto made = std::make_unique<detail::LoopServer>(impl_->options, impl_->handler, impl_->peers, loop);
  for (Impl::Bound& bound : impl_->bound) impl_->listen(bound, *made);
  impl_->loops.push_back(std::move(made));
}

Task<void> Server::drain(async::Loop& loop, Waiting waiting) { return impl_->of(loop).drain(waiting); }

void Server::cover(async::Loop& loop, unsigned key, net::Fd socket) { impl_->of(loop).cover(key, std::move(socket)); }
void Server::uncover(async::Loop& loop, unsigned key) { impl_->of(loop).uncover(key); }

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
                            &ServerStats::files_broken_off,
                            &ServerStats::paused,
                            &ServerStats::http2_connections,
                            &ServerStats::http2_accepted,
                            &ServerStats::http2_requests,
                            &ServerStats::http2_resets,
                            &ServerStats::http2_refused,
                            &ServerStats::http2_rapid_resets,
                            &ServerStats::http2_floods,
                            &ServerStats::http2_header_bombs,
                            &ServerStats::http2_bodies_held}) {
    (sum.*number).add((more.*number).get());
  }
  sum.websockets += more.websockets;
  return sum;
}

WebSocketStats& operator+=(WebSocketStats& sum, const WebSocketStats& more) noexcept {
  for (const auto number :
       {&WebSocketStats::open, &WebSocketStats::opened, &WebSocketStats::messages_received,
        &WebSocketStats::messages_sent, &WebSocketStats::closed_normally, &WebSocketStats::closed_by_error,
        &WebSocketStats::broken, &WebSocketStats::faults, &WebSocketStats::rates, &WebSocketStats::ping_timeouts,
        &WebSocketStats::write_timeouts, &WebSocketStats::close_timeouts, &WebSocketStats::dropped,
        &WebSocketStats::slow_closed, &WebSocketStats::paused}) {
    (sum.*number).add((more.*number).get());
  }
  return sum;
}

}  // namespace ashlar::http
