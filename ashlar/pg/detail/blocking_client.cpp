#include <ashlar/pg/detail/blocking_client.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <ashlar/pg/error.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg::detail {

BlockingClient::BlockingClient(const std::string& socket_path, std::string_view user, std::string_view database,
                               std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    throw Internal(fmt::format("the socket path {} is longer than {} bytes", socket_path, sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) throw ConnectionLost(fmt::format("socket: {}", std::strerror(errno)), false);
  timeval limit{};
  limit.tv_sec = static_cast<time_t>(timeout.count() / 1000);
  limit.tv_usec = static_cast<suseconds_t>(timeout.count() % 1000 * 1000);
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  try {
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw ConnectionLost(fmt::format("cannot connect to {}: {}", socket_path, std::strerror(errno)), false);
    const std::array<wire::Parameter, 3> parameters{
        {{"user", user}, {"database", database}, {"application_name", "ashlar private server"}}};
    wire::startup(out_, parameters);
    send_all();
    for (;;) {
      std::size_t wanted = 0;
      const auto message = wire::next_message(in_.view(), wanted);
      if (!message) {
        receive();
        continue;
      }
      if (message->type == 'E') std::rethrow_exception(make_error(wire::error_fields(message->body)));
      if (message->type == 'R' && wire::Reader(message->body).get<std::uint32_t>() != 0)
        throw Internal("the private PostgreSQL server asks for a password");
      const bool ready = message->type == 'Z';
      in_.consume(wanted);
      if (ready) return;
    }
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

BlockingClient::~BlockingClient() {
  out_.clear();
  wire::terminate(out_);
  [[maybe_unused]] const auto sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::close(fd_);
}

void BlockingClient::send_all() {
  while (!out_.empty()) {
    const ssize_t n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw ConnectionLost(fmt::format("PostgreSQL is gone: {}", std::strerror(errno)), false);
    out_.consume(static_cast<std::size_t>(n));
  }
}

void BlockingClient::receive() {
  for (;;) {
    char* to = in_.reserve(8192);
    const ssize_t n = ::recv(fd_, to, in_.room(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw ConnectionLost(fmt::format("PostgreSQL does not answer: {}", std::strerror(errno)), true);
    if (n == 0) throw ConnectionLost("PostgreSQL closed the connection", true);
    in_.commit(static_cast<std::size_t>(n));
    return;
  }
}

std::vector<BlockingClient::Row> BlockingClient::query(std::string_view sql) {
  wire::query(out_, sql);
  send_all();
  std::vector<Row> rows;
  std::exception_ptr error;
  for (;;) {
    std::size_t wanted = 0;
    const auto message = wire::next_message(in_.view(), wanted);
    if (!message) {
      receive();
      continue;
    }
    if (message->type == 'D') {
      wire::Reader in(message->body);
      Row& row = rows.emplace_back();
      const auto count = in.get<std::uint16_t>();
      for (unsigned i = 0; i < count; ++i) {
        const auto length = in.get<std::int32_t>();
        if (length < 0) {
          row.emplace_back(std::nullopt);
        } else {
          row.emplace_back(std::string(in.bytes(static_cast<std::size_t>(length))));
        }
      }
    } else if (message->type == 'E') {
      error = make_error(wire::error_fields(message->body));
    }
    const bool ready = message->type == 'Z';
    in_.consume(wanted);
    if (ready) break;
  }
  if (error) std::rethrow_exception(error);
  return rows;
}

// The process closes its socket when it is out of all lists.
void BlockingClient::finish() {
  out_.clear();
  wire::terminate(out_);
  send_all();
  char rest = 0;
  for (;;) {
    const ssize_t n = ::recv(fd_, &rest, 1, 0);
    if (n == 0 || (n < 0 && errno != EINTR)) return;
  }
}

namespace {
std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  out += quote;
  return out;
}
}  // namespace

std::string quote_identifier(std::string_view name) { return quoted(name, '"'); }

std::string quote_literal(std::string_view text) {
  const bool escaped = text.find('\\') != std::string_view::npos;
  std::string out = quoted(text, '\'');
  if (!escaped) return out;
  std::string doubled = " E";
  for (const char c : out) {
    if (c == '\\') doubled += '\\';
    doubled += c;
  }
  return doubled;
}

}  // namespace ashlar::pg::detail
