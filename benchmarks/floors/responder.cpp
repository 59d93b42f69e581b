#include "responder.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace floors {
namespace {

volatile std::sig_atomic_t stopping = 0;

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

std::size_t body_length(std::string_view head) {
  constexpr std::string_view kName = "\r\nContent-Length: ";
  const std::size_t at = head.find(kName);
  return at == std::string_view::npos ? 0 : std::strtoul(head.data() + at + kName.size(), nullptr, 10);
}

}  // namespace

Responder::Responder(std::uint16_t port, Answerer& answerer) : answerer_(answerer) {
  check(epoll_ = epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  check(listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  check(listen(listener_, 1024), "listen");
  socklen_t length = sizeof address;
  check(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  port_ = ntohs(address.sin_port);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};  // null: the listener
  check(epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event), "epoll_ctl");
}

Responder::~Responder() {
  ::close(listener_);
  ::close(epoll_);
}

void Responder::watch(int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.ptr = this}};
  check(epoll_ctl(epoll_, fd == watched_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  watched_ = fd;
}

void Responder::answered(Connection& connection) {
  if (!connection.dirty) {
    connection.dirty = true;
    dirty_.push_back(&connection);
  }
}

void Responder::run() {
  struct sigaction action{};
  action.sa_handler = [](int) { stopping = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // Blocked except while waiting: a signal between the check of `stopping` and the wait would be slept through.
  sigset_t stops;
  sigset_t outside;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  sigprocmask(SIG_BLOCK, &stops, &outside);
  std::printf("listening on http://127.0.0.1:%d\n", port_);
  std::fflush(stdout);

  epoll_event events[512];
  while (!stopping) {
    const int count = epoll_pwait(epoll_, events, 512, -1, &outside);
    for (int i = 0; i < count; ++i) {
      void* const source = events[i].data.ptr;
      if (source == nullptr) {
        accept_all();
      } else if (source == this) {
        answerer_.on_ready(events[i].events);
      } else {
        auto& connection = *static_cast<Connection*>(source);
        if (connection.closed) continue;
        if (events[i].events & EPOLLOUT) answered(connection);
        if (events[i].events & ~static_cast<std::uint32_t>(EPOLLOUT)) read(connection);
      }
    }
    answerer_.on_batch_end();
    for (Connection* connection : dirty_) send(*connection);
    dirty_.clear();
    if (!dead_.empty()) release_closed();
  }
}

void Responder::accept_all() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* const connection = new Connection;
    connection->fd = fd;
    epoll_event event{.events = EPOLLIN, .data = {.ptr = connection}};
    check(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }
}

void Responder::read(Connection& connection) {
  const ssize_t got = recv(connection.fd, connection.in + connection.used, sizeof connection.in - connection.used, 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) close(connection);
    return;
  }
  connection.used += static_cast<std::size_t>(got);
  const char* at = connection.in;
  const char* const end = connection.in + connection.used;
  while (at < end) {
    const auto* const stop = static_cast<const char*>(memmem(at, static_cast<std::size_t>(end - at), "\r\n\r\n", 4));
    if (stop == nullptr) break;
    const std::string_view head(at, static_cast<std::size_t>(stop + 4 - at));
    const std::size_t length = head.front() == 'P' ? body_length(head) : 0;  // POST, PUT, PATCH
    if (static_cast<std::size_t>(end - stop - 4) < length) break;
    answerer_.on_request(connection, head, std::string_view(stop + 4, length));
    at = stop + 4 + length;
  }
  connection.used = static_cast<std::size_t>(end - at);
  if (connection.used == sizeof connection.in) return close(connection);
  if (connection.used > 0 && at != connection.in) std::memmove(connection.in, at, connection.used);
  if (!connection.out.empty()) answered(connection);
}

void Responder::send(Connection& connection) {
  connection.dirty = false;
  if (connection.closed || connection.out.empty()) return;
  const ssize_t sent = ::send(connection.fd, connection.out.data(), connection.out.size(), 0);
  if (sent < 0 && errno != EAGAIN) return close(connection);
  if (sent > 0) connection.out.erase(0, static_cast<std::size_t>(sent));
  const bool watch_writes = !connection.out.empty();
  if (watch_writes != connection.watching_writes) {
    connection.watching_writes = watch_writes;
    epoll_event event{.events = EPOLLIN | (watch_writes ? EPOLLOUT : 0U), .data = {.ptr = &connection}};
    check(epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event), "epoll_ctl");
  }
}

void Responder::close(Connection& connection) {
  if (connection.closed) return;
  connection.closed = true;
  ::close(connection.fd);
  dead_.push_back(&connection);
}

// Only at the end of a batch: until then events and dirty_ may still name the connection.
void Responder::release_closed() {
  std::erase_if(dead_, [](Connection* connection) {
    if (connection->waiting > 0) return false;
    delete connection;
    return true;
  });
}

}  // namespace floors
