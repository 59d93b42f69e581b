// How a connection begins: hosts, TLS, startup message, authentication. And how one asks to cancel another.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>

#include <ashlar/async/combinators.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/detail/scram.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::pg::detail {
namespace {

std::exception_ptr with_place(const std::exception_ptr& error, const std::string& place) {
  try {
    std::rethrow_exception(error);
  } catch (const ErrorFields&) {
    return error;
  } catch (...) {
    return std::make_exception_ptr(
        ConnectionLost(fmt::format("cannot connect to PostgreSQL at {}: {}", place, explain(error)), false));
  }
}

bool suits(SessionAttributes wanted, bool standby, bool read_only) {
  switch (wanted) {
    case SessionAttributes::read_write:
      return !standby && !read_only;
    case SessionAttributes::read_only:
      return standby || read_only;
    case SessionAttributes::primary:
      return !standby;
    case SessionAttributes::standby:
      return standby;
    case SessionAttributes::any:
    case SessionAttributes::prefer_standby:
      return true;
  }
  return true;
}

/// A host that has gone without a word (power, a firewall that forgot us) is noticed within a minute: by TCP itself, so
/// that it costs nothing while all is well. (man 7 tcp)
void notice_lost_hosts(int fd) noexcept {
  const auto set = [fd](int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
}

}  // namespace

Task<void> Connection::open() {
  const ConnectOptions& options = config_->options;
  std::exception_ptr last;
  // prefer-standby: a first round for standbys, a second for anybody.
  const int rounds = options.session == SessionAttributes::prefer_standby ? 2 : 1;
  for (int round = 0; round < rounds; ++round) {
    for (const ConnectOptions::Host& host : options.hosts) {
      std::exception_ptr error;
      try {
        co_await async::timeout(options.connect_timeout, open_host(host));
        server_ = host;
        const bool standby = parameter("in_hot_standby") == "on";
        const bool read_only = parameter("default_transaction_read_only") == "on";
        const auto wanted = rounds == 2 && round == 0 ? SessionAttributes::standby : options.session;
        if (suits(wanted, standby, read_only)) co_return;
        error =
            std::make_exception_ptr(ConnectionLost(fmt::format("the server is {}, which target_session_attrs refuses",
                                                               standby ? "a standby" : "not a standby"),
                                                   false));
      } catch (...) {
        error = std::current_exception();
      }
      if (const async::Context* context = async::context();
          context != nullptr && context->scope != nullptr && context->scope->cancelled())
        std::rethrow_exception(error);
      last = with_place(error, fmt::format("{}:{}", host.host, host.port));
      close();
    }
  }
  std::rethrow_exception(last);
}

Task<void> Connection::open_host(ConnectOptions::Host host) {
  std::vector<net::Address> addresses;
  if (ConnectOptions::is_unix(host)) {
    const std::string path = fmt::format("{}/.s.PGSQL.{}", host.host, host.port);
    const auto address = net::Address::unix_path(path);
    if (!address) throw Invalid(fmt::format("the socket path {} is longer than the 107 bytes the system allows", path));
    addresses.push_back(*address);
  } else {
    addresses = co_await net::resolve(host.host, host.port);
  }
  std::exception_ptr last;
  for (const net::Address& address : addresses) {
    try {
      co_await open_address(address, host.host);
      co_return;
    } catch (...) {
      last = std::current_exception();
    }
    close();
  }
  std::rethrow_exception(last);
}

Task<void> Connection::open_address(net::Address address, std::string host) {
  in_.clear();
  out_.clear();
  parameters_.clear();
  last_error_.clear();
  transport_ = net::Transport(co_await net::connect(address));
  if (!address.is_unix()) notice_lost_hosts(transport_.fd());
  address_ = address;
  host_ = host;
  const SslMode mode = address.is_unix() ? SslMode::disable : config_->options.ssl_mode;
  if (mode != SslMode::disable && config_->tls != nullptr) {
    wire::ssl_request(out_);
    co_await write_out();
    char answer = 0;
    // Exactly one byte: what follows it in the clear would be somebody else's (CVE-2021-23222).
    for (;;) {
      const net::Io io = transport_.read({&answer, 1});
      if (io.state == net::Io::State::done) break;
      if (io.state != net::Io::State::would_block)
        throw ConnectionLost("the server closed the connection when asked for TLS", false);
      co_await net::ready(transport_.fd(), EPOLLIN);
    }
    if (answer == 'S') {
      co_await transport_.start_tls_client(config_->tls, host);
    } else if (mode != SslMode::prefer) {
      throw Unavailable("the server offers no TLS, and sslmode demands it");
    }
  }
  co_await send_startup();
  co_await log_in();
  open_ = true;
  events_ = EPOLLIN;
  loop_->add(transport_.fd(), EPOLLIN, *this);
}

Task<void> Connection::write_out() {
  while (!out_.empty()) {
    const net::Io io = transport_.write(out_.view());
    if (io.state == net::Io::State::done) {
      out_.consume(io.bytes);
    } else if (io.state == net::Io::State::would_block) {
      co_await net::ready(transport_.fd(), EPOLLOUT);
    } else {
      throw ConnectionLost(transport_.error(), false);
    }
  }
}

Task<void> Connection::send_startup() {
  const ConnectOptions& options = config_->options;
  std::vector<wire::Parameter> parameters = {{"user", options.user},
                                             {"database", options.database},
                                             {"application_name", options.application_name},
                                             {"client_encoding", "UTF8"}};
  for (const auto& [name, value] : options.parameters) parameters.emplace_back(name, value);
  wire::startup(out_, parameters);
  co_await write_out();
}

Task<std::optional<wire::Message>> Connection::next_startup_message() {
  in_.consume(std::exchange(consumed_startup_, 0));
  for (;;) {
    std::size_t size = 0;
    const auto message = wire::next_message(in_.view(), size);
    if (message) {
      consumed_startup_ = size;  // its views live until the next call
      co_return message;
    }
    if (size > 65536)
      throw ProtocolError("PostgreSQL sent a very long message before the session began; is it PostgreSQL?");
    char* to = in_.reserve(8192);
    const net::Io io = transport_.read({to, in_.room()});
    if (io.state == net::Io::State::done) {
      in_.commit(io.bytes);
    } else if (io.state == net::Io::State::would_block) {
      co_await net::ready(transport_.fd(), transport_.wants_write() ? EPOLLOUT : EPOLLIN);
    } else {
      co_return std::nullopt;
    }
  }
}

Task<void> Connection::log_in() {
  const ConnectOptions& options = config_->options;
  std::optional<Scram> scram;
  bool server_proved = false;
  bool authenticated = false;
  consumed_startup_ = 0;
  for (;;) {
    const auto message = co_await next_startup_message();
    if (!message) throw ConnectionLost("the server closed the connection while logging in", false);
    wire::Reader in(message->body);
    switch (message->type) {
      case 'E':
        std::rethrow_exception(make_error(wire::error_fields(message->body)));
      case 'N':
        break;
      case 'S': {
        std::string name(in.cstring());
        std::string value(in.cstring());
        parameters_.emplace_back(std::move(name), std::move(value));
        break;
      }
      case 'K':
        backend_pid_ = in.get<std::int32_t>();
        backend_key_ = in.get<std::int32_t>();
        break;
      case 'Z':
        if (!authenticated) throw ProtocolError("PostgreSQL began the session without authentication");
        transaction_status_ = in.get<char>();
        in_.consume(std::exchange(consumed_startup_, 0));
        co_return;
      case 'v':
        break;  // NegotiateProtocolVersion: 3.0 suits us
      case 'R': {
        const auto method = in.get<std::int32_t>();
        const auto need_password = [&] {
          if (options.password.empty())
            throw Unavailable(
                fmt::format("the server asks for the password of {}: put it into DATABASE_URL", options.user));
        };
        switch (method) {
          case 0:
            if (scram && !server_proved) throw ProtocolError("SCRAM: the server skipped its proof");
            authenticated = true;
            break;
          case 3:
            need_password();
            if (!transport_.secure())
              throw Unavailable(
                  "the server asks for the password in clear text, which is refused without TLS: use "
                  "sslmode=verify-full "
                  "or set password_encryption = scram-sha-256 there");
            wire::password(out_, options.password);
            co_await write_out();
            break;
          case 5:
            need_password();
            wire::password(out_, md5_password(options.user, options.password, in.bytes(4)));
            co_await write_out();
            break;
          case 10: {
            need_password();
            bool plain = false;
            bool plus = false;
            while (!in.done()) {
              const std::string_view mechanism = in.cstring();
              if (mechanism.empty()) break;
              plain |= mechanism == "SCRAM-SHA-256";
              plus |= mechanism == "SCRAM-SHA-256-PLUS";
            }
            if (!plain && !plus) throw Unavailable("the server offers no SASL mechanism that we know (SCRAM-SHA-256)");
            const std::string end_point = transport_.secure() ? transport_.server_end_point() : std::string{};
            const bool bind = plus && !end_point.empty();
            scram.emplace(options.password, bind ? end_point : std::string{}, !end_point.empty());
            wire::sasl_initial(out_, bind ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", scram->first());
            co_await write_out();
            break;
          }
          case 11: {
            if (!scram) throw ProtocolError("SCRAM: the server continues what was not begun");
            const std::string answer = scram->final(in.rest());
            wire::sasl_response(out_, answer);
            co_await write_out();
            break;
          }
          case 12:
            if (!scram) throw ProtocolError("SCRAM: the server ends what was not begun");
            scram->verify(in.rest());
            server_proved = true;
            break;
          default:
            throw Unavailable(fmt::format(
                "the server asks for the authentication method {}, which is not supported (use scram-sha-256)",
                method));
        }
        break;
      }
      default:
        throw ProtocolError(fmt::format("PostgreSQL sent a message of the type {:#04x} while logging in",
                                        static_cast<unsigned char>(message->type)));
    }
  }
}

void Connection::request_cancel() noexcept {
  if (!open_ || sandboxed_) return;
  tainted_ = true;
  try {
    background_->start(
        send_cancel(address_, transport_.secure() ? config_->tls : nullptr, host_, backend_pid_, backend_key_));
  } catch (...) {
    // no memory for it: the statement runs to its end
  }
}

Task<void> Connection::send_cancel(net::Address address, std::shared_ptr<net::TlsContext> tls, std::string host,
                                   std::int32_t pid, std::int32_t key) {
  const auto send = [](net::Address where, std::shared_ptr<net::TlsContext> security, std::string name,
                       std::int32_t process, std::int32_t secret) -> Task<void> {
    net::Transport transport(co_await net::connect(where));
    Buffer out;
    char byte = 0;
    const auto write_all = [](net::Transport& to, Buffer& bytes) -> Task<void> {
      while (!bytes.empty()) {
        const net::Io io = to.write(bytes.view());
        if (io.state == net::Io::State::done) {
          bytes.consume(io.bytes);
        } else if (io.state == net::Io::State::would_block) {
          co_await net::ready(to.fd(), EPOLLOUT);
        } else {
          co_return;
        }
      }
    };
    const auto read_one = [](net::Transport& from, char& to) -> Task<bool> {
      for (;;) {
        const net::Io io = from.read({&to, 1});
        if (io.state == net::Io::State::done) co_return true;
        if (io.state != net::Io::State::would_block) co_return false;
        co_await net::ready(from.fd(), EPOLLIN);
      }
    };
    if (security != nullptr) {
      wire::ssl_request(out);
      co_await write_all(transport, out);
      if (!co_await read_one(transport, byte) || byte != 'S') co_return;
      co_await transport.start_tls_client(security, name);
    }
    wire::cancel_request(out, process, secret);
    co_await write_all(transport, out);
    co_await read_one(transport, byte);  // the server closes when it has passed the request on
  };
  try {
    co_await async::timeout(std::chrono::seconds{5},
                            send(std::move(address), std::move(tls), std::move(host), pid, key));
  } catch (const std::exception& error) {
    log::debug("a cancel request did not reach the database", {{"error", error}});
  }
}

}  // namespace ashlar::pg::detail
