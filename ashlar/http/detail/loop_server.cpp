#include <ashlar/http/detail/loop_server.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <ashlar/http/detail/http1_connection.hpp>
#include <ashlar/http/detail/http2_loop.hpp>
#include <ashlar/http/detail/tls_accept.hpp>

namespace ashlar::http::detail {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kFreeExchanges = 256;
constexpr std::size_t kFreeBlocks = 256;
constexpr std::size_t kMostBytesKept = 64 * 1024;
constexpr microseconds kLongestKept{2000};
// So that a storm of connections does not starve those that are there; as many as a tick has events, so that in an
// overload nobody gives up in the queue of the kernel before it is told to come back later.
constexpr int kAcceptBatch = 256;

// What one customer has: an IPv4 address, or 64 bits of IPv6.
std::string_view peer_bytes(const net::Address& address) noexcept {
  if (address.family() == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address.data());
    return {reinterpret_cast<const char*>(&in->sin_addr), sizeof in->sin_addr};
  }
  if (address.family() == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(address.data());
    const auto* bytes = reinterpret_cast<const char*>(&in->sin6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) return {bytes + 12, 4};
    return {bytes, 8};
  }
  return {};
}

bool is_loopback(const net::Address& address) noexcept {
  if (address.family() == AF_INET) return peer_bytes(address).front() == 127;
  if (address.family() != AF_INET6) return false;
  const auto* in = reinterpret_cast<const sockaddr_in6*>(address.data());
  return IN6_IS_ADDR_LOOPBACK(&in->sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr) && in->sin6_addr.s6_addr[12] == 127);
}

// Lets a listener finish the handshakes that are under way but begin no new one: a SYN dropped here is sent again by
// its client a second later, to whoever listens then, whereas a connection accepted by the kernel but not by us would
// be reset.
void drop_new_connections(int listener) noexcept {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),           // the flags of the TCP header
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),        // SYN, ACK
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),  // SYN alone
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

}  // namespace

bool PeerTable::enter(const net::Address& peer, std::uint32_t most) {
  const std::lock_guard lock(mutex_);
  std::uint32_t& count = counts_[Key(peer_bytes(peer))];
  if (count >= most) return false;
  ++count;
  return true;
}

void PeerTable::leave(const net::Address& peer) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(Key(peer_bytes(peer)));
  if (found != counts_.end() && --found->second == 0) counts_.erase(found);
}

LoopServer::LoopServer(const ServerOptions& options, Handler& handler, PeerTable& peers, async::Loop& loop)
    : options_(options), handler_(handler), peers_(peers), loop_(loop), head_start_(options.server_header) {
  const async::Nanoseconds shortest =
      std::min({options.header_timeout, options.body_timeout, options.idle_timeout, options.write_timeout,
                options.request_timeout, options.linger_timeout});
  sweep_interval_ = std::clamp<async::Nanoseconds>(shortest / 8, milliseconds(2), milliseconds(500));
  spare_ = net::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

LoopServer::~LoopServer() {
  for (const auto& listener : listeners_) listener->close();
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* const next = connection->next_;
    connection->close_now();
    connection = next;
  }
  while (retired_ != nullptr) delete std::exchange(retired_, retired_->next_);
  for (char* block : blocks_) std::free(block);
}

void LoopServer::listen(net::Fd fd, Accepting accepting) {
  listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd), accepting));
}

void LoopServer::cover(unsigned key, net::Fd fd) {
  if (draining_) return;
  listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd), Accepting::beside_others, key));
}

void LoopServer::uncover(unsigned key) noexcept {
  std::erase_if(listeners_, [key](const auto& listener) {
    if (!listener->covers(key)) return false;
    listener->close();
    return true;
  });
}

ServerExchange* LoopServer::take_exchange() {
  if (exchanges_.empty()) [[unlikely]]
    return new ServerExchange;
  ServerExchange* const exchange = exchanges_.back().release();
  exchanges_.pop_back();
  return exchange;
}

void LoopServer::give_exchange(ServerExchange* exchange) noexcept {
  exchange->clear();
  if (exchanges_.size() < kFreeExchanges) [[likely]] {
    exchanges_.emplace_back(exchange);
  } else {
    delete exchange;
  }
}

char* LoopServer::take_block() {
  if (!blocks_.empty()) [[likely]] {
    char* const block = blocks_.back();
    blocks_.pop_back();
    return block;
  }
  char* const block = static_cast<char*>(std::malloc(kBlock));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void LoopServer::give_block(char* block, std::uint32_t capacity) noexcept {
  if (capacity == kBlock && blocks_.size() < kFreeBlocks) [[likely]] {
    blocks_.push_back(block);
  } else {
    std::free(block);
  }
}

Http2Loop& LoopServer::http2() {
  if (http2_ == nullptr) http2_ = std::make_unique<Http2Loop>(options_);
  return *http2_;
}

void LoopServer::pass_cork(Connection& connection) noexcept {
  if (connection.kept_ != 0) [[unlikely]]
    send_kept(connection);
  if (!cork_.empty() && cork_owner_ != nullptr) cork_owner_->flush();
  cork_owner_ = &connection;
}

void LoopServer::handle_at_tick_end(Connection& connection) noexcept {
  read_[read_count_++] = &connection;
  if (read_count_ == 1) loop_.at_tick_end(*this);
  if (read_count_ == kMostRead) handle_all_read();  // on_tick_end comes all the same
}

// A connection that is closed meanwhile is there until the end of the tick.
void LoopServer::handle_all_read() noexcept {
  handling_read_ = true;
  for (std::size_t i = 0; i < read_count_; ++i) read_[i]->handle_read();
  handling_read_ = false;
  read_count_ = 0;
}

void LoopServer::send_at_tick_end(Connection& connection) noexcept {
  kept_[kept_count_++] = {&connection, cork_.set_aside()};
  connection.kept_ = static_cast<std::uint8_t>(kept_count_);
  cork_owner_ = nullptr;
  if (kept_count_ == 1 && !handling_read_) return loop_.at_tick_end(*this);
  if (kept_count_ == kMostKept || cork_.bytes_aside() >= kMostBytesKept) return send_all_kept();
  // Nor shall an answer wait for handlers that take long.
  if (kept_count_ % 4 == 0 && async::Clock::now() > loop_.now() + kLongestKept) send_all_kept();
}

void LoopServer::send_kept(Connection& connection) noexcept {
  Kept& kept = kept_[connection.kept_ - 1U];
  connection.kept_ = 0;
  kept.connection = nullptr;
  connection.send_kept(cork_.view(kept.output));
}

void LoopServer::send_all_kept() noexcept {
  for (std::size_t i = 0; i < kept_count_; ++i) {
    if (kept_[i].connection != nullptr) send_kept(*kept_[i].connection);
  }
  kept_count_ = 0;
  if (cork_.empty()) cork_.forget_aside();
}

// -------------------------------------------------------------------------------------------------------- listening

LoopServer::Listener::Listener(LoopServer& server, net::Fd fd, Accepting accepting, std::optional<unsigned> covers)
    : server_(server),
      fd_(std::move(fd)),
      is_unix_(net::local_address(fd_.get()).is_unix()),
      accepting_(accepting),
      covers_(covers) {
  // Accepted sockets inherit it.
  const int on = 1;
  if (!is_unix_) ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // Beside others a connection wakes one, and each takes one at a time, so that all get some.
  server_.loop().add(fd_.get(), accepting_ == Accepting::alone ? EPOLLIN : EPOLLIN | EPOLLEXCLUSIVE, *this);
}

void LoopServer::Listener::on_io(std::uint32_t) noexcept {
  server_.accept(fd_.get(), accepting_ == Accepting::alone ? kAcceptBatch : 1);
}

void LoopServer::Listener::begin_drain() noexcept {
  if (!fd_) return;
  if (!is_unix_ && accepting_ == Accepting::alone) drop_new_connections(fd_.get());
  server_.accept(fd_.get(), 1 << 20);
}

void LoopServer::Listener::close() noexcept {
  if (!fd_) return;
  server_.loop().remove(fd_.get(), *this);
  fd_.reset();
}

void LoopServer::accept(int listener, int most) noexcept {
  for (int i = 0; i < most; ++i) {
    sockaddr_storage storage;
    socklen_t size = sizeof storage;
    const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      sockaddr* const peer = reinterpret_cast<sockaddr*>(&storage);
      // An unnamed peer of a unix socket has no address but its family.
      if (size < sizeof(sa_family_t)) {
        peer->sa_family = AF_UNIX;
        size = sizeof(sa_family_t);
      }
      adopt(net::Fd(fd), net::Address(peer, size));
      continue;
    }
    switch (errno) {
      case EAGAIN:
        return;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return out_of_descriptors(listener);
      default:
        break;  // this connection failed before it was accepted (accept(2)): take the next
    }
  }
}

// Without a descriptor for it a connection stays in the backlog, and the loop would spin on it.
void LoopServer::out_of_descriptors(int listener) noexcept {
  stats_.accept_failures.add();
  spare_.reset();
  {
    const net::Fd refused(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (refused) ::shutdown(refused.get(), SHUT_RDWR);
  }
  spare_ = net::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool LoopServer::limited(const net::Address& peer) const noexcept {
  return !peer.is_unix() && (options_.limit_loopback_peers || !is_loopback(peer));
}

void LoopServer::adopt(net::Fd fd, const net::Address& peer) noexcept {
  if (live_ >= options_.max_connections_per_loop) {
    stats_.refused_connections.add();
    return shed(std::move(fd));
  }
  if (limited(peer) && !peers_.enter(peer, options_.max_connections_per_peer)) {
    stats_.refused_peer_connections.add();
    return shed(std::move(fd));
  }
  std::unique_ptr<Connection> made;
  if (options_.tls != nullptr && !peer.is_unix()) {
    made = std::make_unique<TlsAccept>(*this, net::Transport(std::move(fd)), peer);
  } else {
    made = std::make_unique<Http1Connection>(*this, net::Transport(std::move(fd)), peer);
  }
  Connection& connection = *made.release();
  connection.next_ = connections_;
  if (connections_ != nullptr) connections_->previous_ = &connection;
  connections_ = &connection;
  ++live_;
  stats_.connections.add();
  if (!async::Timer::armed()) arm();
  if (open(connection, loop_.now() + options_.header_timeout)) {
    stats_.accepted.add();
  } else {
    stats_.accept_failures.add();
  }
}

bool LoopServer::open(Connection& connection, async::TimePoint deadline) noexcept {
  if (connection.open(deadline)) return true;
  connection.close_now();
  return false;
}

Connection& LoopServer::replace(Connection& old, std::unique_ptr<Connection> fresh) noexcept {
  if (cork_owner_ == &old && !cork_.empty()) old.flush();
  Connection& connection = *fresh.release();
  connection.next_ = connections_;
  if (connections_ != nullptr) connections_->previous_ = &connection;
  connections_ = &connection;
  ++live_;
  retire(old);
  return connection;
}

void LoopServer::shed(net::Fd fd) noexcept {
  static const std::string kAnswer = [] {
    const std::string body = problem_json(503, "The server has as many connections as it allows.");
    return fmt::format(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n{}",
        body.size(), body);
  }();
  // Best effort: waiting for this client would be what the limit is there against.
  char dropped[4096];
  static_cast<void>(::recv(fd.get(), dropped, sizeof dropped, MSG_DONTWAIT));
  static_cast<void>(::send(fd.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  ::shutdown(fd.get(), SHUT_WR);
}

void LoopServer::on_closed(Connection& connection) noexcept {
  stats_.connections.subtract();
  if (limited(connection.peer())) peers_.leave(connection.peer());
  if (!spare_) spare_ = net::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

void LoopServer::retire(Connection& connection) noexcept {
  if (connection.previous_ != nullptr) {
    connection.previous_->next_ = connection.next_;
  } else {
    connections_ = connection.next_;
  }
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
  connection.next_ = retired_;
  retired_ = &connection;
  if (cork_owner_ == &connection) cork_owner_ = nullptr;
  --live_;
  loop_.at_tick_end(*this);
}

void LoopServer::on_tick_end() noexcept {
  handle_all_read();
  if (kept_count_ != 0) send_all_kept();
  while (retired_ != nullptr) delete std::exchange(retired_, retired_->next_);
  if (draining_) advance_drain();
}

// ------------------------------------------------------------------------------------------------- time and draining

void LoopServer::arm() noexcept {
  async::Timer::arm(loop_,
                    draining_ ? std::min<async::Nanoseconds>(sweep_interval_, milliseconds(20)) : sweep_interval_);
}

void LoopServer::on_timer() noexcept {
  const async::TimePoint now = loop_.now();
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* const next = connection->next_;
    connection->check_time(now);
    connection = next;
  }
  if (draining_) advance_drain();
  if (connections_ != nullptr || (draining_ && !grace_over_)) arm();
}

void LoopServer::for_each(void (Connection::*what)() noexcept) noexcept {
  for (Connection* connection = connections_; connection != nullptr;) {
    Connection* const next = connection->next_;
    (connection->*what)();
    connection = next;
  }
}

void LoopServer::advance_drain() noexcept {
  const async::TimePoint now = loop_.now();
  // Listeners stay until the handshakes that were under way are done, even when there is no connection left.
  const auto handshakes = std::min<async::Nanoseconds>(options_.drain_grace, milliseconds(100));
  const bool listening = !listeners_.empty();
  if (listening && now >= drain_began_ + handshakes) {
    for (const auto& listener : listeners_) {
      listener->begin_drain();  // what came meanwhile
      listener->close();
    }
    listeners_.clear();
  }
  if (!grace_over_ && now >= drain_began_ + options_.drain_grace) {
    grace_over_ = true;
    for_each(&Connection::close_if_idle);
  }
  if (!gave_up_ && now >= drain_began_ + options_.drain_timeout) {
    gave_up_ = true;
    for_each(&Connection::give_up);
  }
  if (live_ == 0 && listeners_.empty()) empty_.set();
}

Task<void> LoopServer::drain(Waiting waiting) {
  if (!draining_) {
    draining_ = true;
    drain_began_ = loop_.now();
    if (waiting == Waiting::leave) {
      for (const auto& listener : listeners_) listener->close();
      listeners_.clear();
    }
    for (const auto& listener : listeners_) listener->begin_drain();
    for_each(&Connection::begin_drain);
    arm();
  }
  co_await empty_.wait();
}

}  // namespace ashlar::http::detail
