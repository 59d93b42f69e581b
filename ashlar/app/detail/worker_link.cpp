#include <ashlar/app/detail/worker_link.hpp>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <ashlar/base/error.hpp>

namespace ashlar::detail {

WorkerLink::WorkerLink(async::Loop& loop, net::Fd socket, Receiver& receiver)
    : loop_(loop), socket_(std::move(socket)), receiver_(receiver) {
  loop_.add(socket_.get(), EPOLLIN, *this);
}

WorkerLink::~WorkerLink() {
  if (socket_) loop_.remove(socket_.get(), *this);
}

void WorkerLink::end() noexcept {
  if (!socket_) return;
  loop_.remove(socket_.get(), *this);
  socket_.reset();
  waiting_.clear();
  receiver_.on_end();
}

WorkerLink::Sent WorkerLink::try_send(std::string_view text, int attached) noexcept {
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (attached >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &attached, sizeof attached);
  }
  ssize_t n = 0;
  do {
    n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return Sent::yes;
  return errno == EAGAIN || errno == ENOBUFS ? Sent::later : Sent::never;
}

bool WorkerLink::send(std::string text, int attached) noexcept {
  if (!socket_) return false;
  if (waiting_.empty()) {
    const Sent sent = try_send(text, attached);
    if (sent != Sent::later) return sent == Sent::yes;  // its end is told by on_io
  }
  if (attached >= 0 || waiting_.size() >= kMostWaiting) return false;
  waiting_.push_back(std::move(text));
  if (waiting_.size() == 1) loop_.modify(socket_.get(), EPOLLIN | EPOLLOUT, *this);
  return true;
}

void WorkerLink::on_io(std::uint32_t events) noexcept {
  if ((events & EPOLLOUT) != 0) {
    while (!waiting_.empty() && try_send(waiting_.front(), -1) == Sent::yes) waiting_.pop_front();
    if (waiting_.empty()) loop_.modify(socket_.get(), EPOLLIN, *this);
  }
  while (socket_) {
    char text[256];
    iovec part{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end();
    net::Fd attached;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
        header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      attached = net::Fd(fd);
    }
    receiver_.on_message({text, static_cast<std::size_t>(n)}, std::move(attached));
  }
}

std::string_view take_word(std::string_view& message) noexcept {
  const auto space = message.find(' ');
  const auto word = message.substr(0, space);
  message.remove_prefix(space == message.npos ? message.size() : space + 1);
  return word;
}

LinkEnds make_link_ends() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
    throw Unavailable(fmt::format("cannot make a pair of sockets for a worker: {}", std::strerror(errno)));
  }
  return {net::Fd(fds[0]), net::Fd(fds[1])};
}

net::Fd memory_file(std::string_view text) noexcept {
  net::Fd file(::memfd_create("ashlar-metrics", MFD_CLOEXEC));
  if (!file) return file;
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::pwrite(file.get(), text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (n <= 0) return {};
    at += static_cast<std::size_t>(n);
  }
  return file;
}

std::string read_memory_file(const net::Fd& file) {
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) return {};
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t n = ::pread(file.get(), text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (n <= 0) break;
    at += static_cast<std::size_t>(n);
  }
  text.resize(at);
  return text;
}

}  // namespace ashlar::detail
