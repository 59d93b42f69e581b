#include <ashlar/app/detail/hand_over.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

#include <ashlar/app/detail/worker_link.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::detail {
namespace {

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::string_view take_until(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const auto taken = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return taken;
}

int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool is_listening(int fd) { return option_of(fd, SO_ACCEPTCONN) == 1 && option_of(fd, SO_TYPE) == SOCK_STREAM; }

net::Fd own(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return net::Fd(fd);
}

}  // namespace

std::string HandOverText::write() const {
  std::string text = fmt::format("slot={} workers={} threads={} control={} ", slot, workers, threads, control);
  if (tickets >= 0) text += fmt::format("tickets={} ", tickets);
  text += "listen=";
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    text += fmt::format("{}{}{}", i > 0 ? "/" : "", addresses[i].accepting == http::Accepting::alone ? "" : "shared:",
                        fmt::join(addresses[i].sockets, ","));
  }
  return text;
}

std::optional<HandOverText> HandOverText::read(std::string_view text) {
  HandOverText out;
  for (auto [name, member] : {std::pair{"slot", &out.slot}, {"workers", &out.workers}, {"threads", &out.threads}}) {
    std::string_view part = take_until(text, ' ');
    if (take_until(part, '=') != name) return std::nullopt;
    const auto value = number(part);
    if (!value) return std::nullopt;
    *member = static_cast<unsigned>(*value);
  }
  std::string_view control = take_until(text, ' ');
  if (text.starts_with("tickets=")) {
    std::string_view tickets = take_until(text, ' ');
    static_cast<void>(take_until(tickets, '='));
    const auto fd = number(tickets);
    if (!fd) return std::nullopt;
    out.tickets = *fd;
  }
  std::string_view listen = take_until(text, ' ');
  if (take_until(control, '=') != "control" || take_until(listen, '=') != "listen") return std::nullopt;
  const auto control_fd = number(control);
  if (!control_fd || out.threads == 0 || out.slot >= out.workers || listen.empty() || !text.empty())
    return std::nullopt;
  out.control = *control_fd;
  while (!listen.empty()) {
    std::string_view address = take_until(listen, '/');
    auto& [fds, accepting] = out.addresses.emplace_back();
    if (constexpr std::string_view kShared = "shared:"; address.starts_with(kShared)) {
      accepting = http::Accepting::beside_others;
      address.remove_prefix(kShared.size());
    }
    while (!address.empty()) {
      const auto fd = number(take_until(address, ','));
      if (!fd) return std::nullopt;
      fds.push_back(*fd);
    }
    const std::size_t expected = accepting == http::Accepting::alone ? std::size_t{out.workers} * out.threads : 1;
    if (fds.size() != expected) return std::nullopt;
  }
  return out;
}

std::optional<HandOver> take_hand_over() {
  const char* variable = std::getenv(kSupervisedVariable);
  if (variable == nullptr) return std::nullopt;
  const std::string value = variable;
  ::unsetenv(kSupervisedVariable);  // programs that we start are not supervised
  const auto refuse = [&] {
    return Invalid(
        fmt::format("{} is '{}', which no supervisor has set for this process: unset it", kSupervisedVariable, value));
  };
  const auto text = HandOverText::read(value);
  if (!text || option_of(text->control, SO_TYPE) != SOCK_SEQPACKET) throw refuse();
  for (const auto& address : text->addresses) {
    for (const int fd : address.sockets) {
      if (!is_listening(fd)) throw refuse();
    }
  }
  HandOver out{.slot = text->slot,
               .threads = text->threads,
               .control = own(text->control),
               .ticket_seed = {},
               .listening = {},
               .slots = {}};
  if (text->tickets >= 0) out.ticket_seed = read_memory_file(own(text->tickets));
  out.slots.resize(text->workers);
  for (const auto& [sockets, accepting] : text->addresses) {
    auto& listening = out.listening.emplace_back();
    listening.address = net::local_address(sockets.front());
    listening.accepting = accepting;
    if (accepting == http::Accepting::beside_others) {
      listening.sockets.push_back(own(sockets.front()));
      continue;
    }
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      const std::size_t slot = i / text->threads;
      if (slot == out.slot) {
        listening.sockets.push_back(own(sockets[i]));
      } else {
        out.slots[slot].push_back({out.listening.size() - 1, own(sockets[i])});
      }
    }
  }
  return out;
}

std::vector<http::Listening> take_activation() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr) return {};
  const bool ours = number(pid) == ::getpid();
  const int fds = number(count).value_or(0);
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  std::vector<http::Listening> all;
  if (!ours) return all;  // of a process that started us
  for (int fd = 3; fd < 3 + fds; ++fd) {
    if (!is_listening(fd)) {
      throw Invalid(
          fmt::format("descriptor {}, handed over in LISTEN_FDS, is no listening stream socket: give the socket unit "
                      "ListenStream= and Accept=no",
                      fd));
    }
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    auto& listening = all.emplace_back();
    listening.address = net::local_address(fd);
    listening.accepting = http::Accepting::beside_others;
    listening.sockets.push_back(own(fd));
  }
  return all;
}

}  // namespace ashlar::detail
