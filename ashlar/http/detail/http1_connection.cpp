// How a connection of HTTP/1.1 reads requests, hands them over, keeps the time limits and ends.
#include <ashlar/http/detail/http1_connection.hpp>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/http1_body.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::uint32_t kLeastRoom = 1024;  // to read into
constexpr std::uint32_t kReadable = EPOLLIN | EPOLLRDHUP;
constexpr int kRequestsATurn = 32;            // of a pipeline; then it is the others' turn
constexpr std::size_t kMostKept = 16 * 1024;  // bytes of a connection that leave at the end of the tick

// Who asks for a resource of https in the clear was led here by somebody who should not have (RFC 9110 §7.4).
bool names_https(std::string_view target) noexcept { return target.size() > 4 && (target[4] | 0x20) == 's'; }

}  // namespace

Http1Connection::Http1Connection(LoopServer& server, net::Transport transport, const net::Address& peer) noexcept
    : detail::Connection(server, std::move(transport), peer) {}

Http1Connection::~Http1Connection() { release_block(); }

bool Http1Connection::open(async::TimePoint deadline) noexcept {
  deadline_ = deadline;
  try {
    server_.loop().add(transport_.fd(), kReadable, *this);
  } catch (const Error&) {
    return false;
  }
  interest_ = kReadable;
  read_decrypted();
  return true;
}

void Http1Connection::open_to_refuse(const Refusal& refusal, async::TimePoint deadline) noexcept {
  if (!server_.open(*this, deadline)) return;
  server_.head_start().refresh();
  refuse(refusal);
  flush();
  settle();
}

void Http1Connection::read_decrypted() noexcept {
  if (phase_ == Phase::head && !close_after_ && !turn_is_over_ && transport_.has_pending()) read();
}

void Http1Connection::on_io(std::uint32_t events) noexcept {
  if (phase_ == Phase::closed) return;
  if ((events & EPOLLERR) != 0) return client_left(), close_now();
  if ((events & EPOLLOUT) != 0) {
    on_writable();
    if (phase_ == Phase::closed) return;
  }
  if ((events & (kReadable | EPOLLHUP)) != 0) on_readable(events);
}

// ---------------------------------------------------------------------------------------------------------- reading

void Http1Connection::on_readable(std::uint32_t events) noexcept {
  switch (phase_) {
    case Phase::head:
    case Phase::body:
      return read();
    case Phase::lingering:
      return read_and_drop();
    case Phase::handling:
    case Phase::streaming:
      if (body_wait_ != nullptr) return wake_body_reader();
      if (body_open_ && (events & EPOLLHUP) == 0) {
        pause_reading_ = true;  // nobody wants it yet
      } else if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) {
        client_left();
        if ((events & EPOLLHUP) != 0) return close_now();  // both directions are gone
      } else {
        pause_reading_ = true;  // the next request waits in the kernel until this one is answered
      }
      return update_interest();
    case Phase::closed:
      return;
  }
}

void Http1Connection::read() noexcept {
  do {
    net::Io io{};
    const bool to_storage = phase_ == Phase::body && body_kind_ == BodyKind::length && !exchange_->body_storage.empty();
    try {
      if (to_storage) {
        std::string& storage = exchange_->body_storage;
        const std::size_t had = storage.size();
        const std::size_t want = std::min<std::uint64_t>(body_length_ - had, std::max<std::uint64_t>(kBodyStep, had));
        storage.resize_and_overwrite(had + want, [&](char* data, std::size_t) {
          io = transport_.read({data + had, want});
          return had + io.bytes;
        });
      } else {
        const bool body_fits =
            phase_ == Phase::body && body_kind_ == BodyKind::length && begin_ + body_length_ <= capacity_;
        make_room(body_fits ? 1 : kLeastRoom);
        io = transport_.read({block_ + end_, capacity_ - end_});
        end_ += static_cast<std::uint32_t>(io.bytes);
      }
    } catch (const std::bad_alloc&) {
      return close_now();
    }
    if (io.state == net::Io::State::done) {
      server_.stats().bytes_received.add(io.bytes);
      if (phase_ == Phase::body) body_received_ += io.bytes;
      if (phase_ == Phase::head && !transport_.secure()) [[likely]] {
        waits_for_turn_ = true;
        return server_.handle_at_tick_end(*this);
      }
      run();
    } else if (io.state == net::Io::State::would_block) {
      if (phase_ == Phase::head && begin_ == end_) release_block();
      return;
    } else if (io.state == net::Io::State::closed) {
      return on_end_of_input();
    } else {
      return client_left(), close_now();
    }
  } while ((phase_ == Phase::head || phase_ == Phase::body) && !close_after_ && !turn_is_over_ &&
           transport_.has_pending());
}

void Http1Connection::read_and_drop() noexcept {
  char dropped[4096];
  for (int turns = 0; turns < 16; ++turns) {
    const net::Io io = transport_.read(dropped);
    if (io.state == net::Io::State::would_block) return;
    if (io.state != net::Io::State::done) return close_now();
    server_.stats().bytes_received.add(io.bytes);
  }
}

void Http1Connection::make_room(std::size_t least) {
  if (block_ == nullptr) {
    block_ = server_.take_block();
    capacity_ = LoopServer::kBlock;
    begin_ = end_ = 0;
    return;
  }
  if (capacity_ - end_ >= least) return;
  if (phase_ == Phase::head && begin_ > 0) {  // nothing refers to what is before begin_
    std::memmove(block_, block_ + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (capacity_ - end_ >= least) return;
  }
  const auto larger = static_cast<std::uint32_t>(std::max<std::size_t>(capacity_ * 2UL, end_ + least));
  char* const moved = static_cast<char*>(std::malloc(larger));
  if (moved == nullptr) throw std::bad_alloc();
  std::memcpy(moved, block_, end_);
  if (phase_ == Phase::body) exchange_->request.rebase(moved - block_);
  server_.give_block(block_, capacity_);
  block_ = moved;
  capacity_ = larger;
}

void Http1Connection::on_end_of_input() noexcept {
  if (phase_ == Phase::body) {
    server_.stats().clients_gone.add();
    return close_now();
  }
  end_of_input_ = true;
  settle();
}

bool Http1Connection::more_input_waits() const noexcept {
  if (begin_ != end_ || transport_.has_pending()) return true;
  int waiting = 0;
  return ::ioctl(transport_.fd(), FIONREAD, &waiting) == 0 && waiting > 0;
}

// --------------------------------------------------------------------------------------------------------- progress

void Http1Connection::handle_read() noexcept {
  waits_for_turn_ = false;
  if (phase_ == Phase::head) [[likely]]  // else it has been closed meanwhile
    run();
}

Cork& Http1Connection::cork() noexcept { return server_.cork_of(*this); }

void Http1Connection::run() noexcept {
  if (running_) return;
  running_ = true;
  server_.head_start().refresh();
  const std::uint64_t last_of_turn = requests_ + kRequestsATurn;
  if (turn_is_over_) [[unlikely]] {
    turn_is_over_ = false;
    write_waits_ = !unsent_.empty();
  }
  try {
    while (phase_ == Phase::head ? try_head() : phase_ == Phase::body && try_body()) {
      if (requests_ >= last_of_turn && phase_ == Phase::head && begin_ != end_ && !close_after_) [[unlikely]] {
        turn_is_over_ = true;  // EPOLLOUT brings the next one
        break;
      }
    }
  } catch (const std::bad_alloc&) {
    cork().clear();
    close_now();
  }
  running_ = false;
  if (phase_ == Phase::head && begin_ == end_ && !close_after_ && !end_of_input_ && unsent_.empty()) [[likely]] {
    const Cork& cork = this->cork();
    if (!cork.empty() && cork.size() <= kMostKept) [[likely]] {
      server_.send_at_tick_end(*this);
      return settle();
    }
  }
  flush();
  // The next turn comes when the socket takes more: that may be long with a client that does not read.
  if (turn_is_over_ && !write_waits_) [[unlikely]]
    wait_for_client(0);
  settle();
}

bool Http1Connection::try_head() {
  if (begin_ == end_ || close_after_ || over_high_water()) return false;
  if (requests_ == 0 && unread()[0] == 'P' && begins_http2()) return false;
  const HeadLimits& limits = server_.options().head;
  if (head_began_ && !scanner_.worth_parsing(unread()) && unread().size() < limits.max_head) return false;
  exchange_ = server_.take_exchange();
  const HeadResult head = parse_request_head(unread(), limits, exchange_->request);
  if (head.state == HeadResult::State::incomplete) {
    end_exchange();
    static_cast<void>(scanner_.worth_parsing(unread()));
    return false;
  }
  exchange_->owner = this;
  if (head.state == HeadResult::State::refused) return refuse(head.refusal), true;
  if (exchange_->request.target[0] != '/' && !transport_.secure() && names_https(exchange_->request.target))
      [[unlikely]] {
    return refuse({421, "This connection is not secure: an https URL cannot be asked for here.", "RFC 9110 §7.4"}),
           true;
  }

  head_began_ = false;
  scanner_.reset();
  begin_ += static_cast<std::uint32_t>(head.head_size);
  ++requests_;
  server_.stats().requests.add();
  exchange_->request.peer = &peer_;
  exchange_->request.secure = transport_.secure();
  exchange_->request.client_certificate = client_certificate_;
  if (exchange_->request.upgrade) [[unlikely]]
    keep_head_apart();
  if (head.body_kind == BodyKind::none || (head.body_kind == BodyKind::length && head.content_length == 0)) {
    dispatch();
    return true;
  }
  return begin_body(head);
}

// True: these bytes are, or may become, the preface of HTTP/2.
bool Http1Connection::begins_http2() {
  if (!server_.options().http2.enabled) return false;
  const std::string_view bytes = unread();
  if (bytes.size() < kHttp2Preface.size()) return kHttp2Preface.starts_with(bytes);
  if (!bytes.starts_with(kHttp2Preface)) return false;
  server_.loop().remove(transport_.fd(), *this);
  auto fresh = std::make_unique<Http2Connection>(server_, std::move(transport_), peer_, std::string(bytes));
  phase_ = Phase::closed;
  server_.open(server_.replace(*this, std::move(fresh)), deadline_);
  return true;
}

void Http1Connection::dispatch() noexcept {
  ServerExchange& exchange = *exchange_;
  phase_ = Phase::handling;
  exchange.started = server_.loop().now();
  exchange.context.deadline = body_deadline_ = exchange.started + server_.options().request_timeout;
  exchange.context.scope = &exchange.scope;
  server_.stats().requests_running.add();
  in_handle_ = true;
  finished_ = false;
  {
    const async::ContextGuard guard(&exchange.context);
    server_.handler().handle(exchange);
  }
  in_handle_ = false;
  if (finished_) {
    respond();
  } else if (exchange_ != nullptr) {  // else a WebSocket has taken it over
    server_.stats().requests_suspended.add();
  }
}

void Http1Connection::on_finished() noexcept {
  if (in_handle_) {
    finished_ = true;
    return;
  }
  const async::ContextGuard guard(nullptr);
  server_.stats().requests_suspended.subtract();
  if (phase_ == Phase::closed) {
    server_.stats().requests_running.subtract();
    end_exchange();
    return server_.retire(*this);
  }
  server_.head_start().refresh();
  respond();
  run();
  read_decrypted();
}

void Http1Connection::refuse(const Refusal& refusal) {
  count_refusal(server_.stats(), refusal.status);
  if (exchange_ == nullptr) exchange_ = server_.take_exchange();
  phase_ = Phase::head;
  Response& response = exchange_->response;
  response.status = refusal.status;
  response.content_type = "application/problem+json";
  response.body = problem_json(refusal.status, refusal.detail);
  // Whatever follows cannot be told apart from the rest of this message (RFC 9112 §9.6).
  close_after_ = linger_ = true;
  begin_ = end_;
  write_head(cork(), server_.head_start(), response,
             {.framing = Framing::length, .length = response.body.size(), .connection = "close"});
  cork().append(response.body);
  end_exchange();
}

// ----------------------------------------------------------------------------------------------------------- ending

void Http1Connection::end_exchange() noexcept {
  if (body_ != nullptr) [[unlikely]] {
    body_.reset();
    body_open_ = continue_owed_ = body_timed_out_ = false;
  }
  server_.give_exchange(std::exchange(exchange_, nullptr));
}

void Http1Connection::settle() noexcept {
  if (phase_ == Phase::closed || phase_ == Phase::lingering) return;
  if (phase_ == Phase::head) {
    if (end_of_input_ && !over_high_water() && !turn_is_over_) close_after_ = true;
    if (close_after_) {
      if (unsent_.empty()) return close_gently();
    } else if (begin_ == end_) {
      release_block();
      deadline_ =
          server_.loop().now() + (requests_ == 0 ? server_.options().header_timeout : server_.options().idle_timeout);
    } else if (!head_began_ && !over_high_water()) {
      head_began_ = true;
      deadline_ = server_.loop().now() + server_.options().header_timeout;
    }
  }
  update_interest();
}

void Http1Connection::update_interest() noexcept {
  std::uint32_t wanted = 0;
  if (!end_of_input_) {
    switch (phase_) {
      case Phase::head:
      case Phase::body:
        if (!close_after_ && !over_high_water() && !turn_is_over_) wanted = kReadable;
        break;
      case Phase::handling:
      case Phase::streaming:
        // The end of a client's side is told by reading as long as there is a body to read.
        wanted = (body_open_ ? 0U : std::uint32_t{EPOLLRDHUP}) | (pause_reading_ ? 0U : std::uint32_t{EPOLLIN});
        break;
      case Phase::lingering:
        wanted = kReadable;
        break;
      case Phase::closed:
        return;
    }
  }
  if (!unsent_.empty() || turn_is_over_) wanted |= EPOLLOUT;
  if (wanted != interest_) watch(wanted);
}

void Http1Connection::watch(std::uint32_t events) noexcept {
  try {
    server_.loop().modify(transport_.fd(), events, *this);
    interest_ = events;
  } catch (const Error&) {
    close_now();
  }
}

void Http1Connection::client_left() noexcept {
  end_of_input_ = true;
  const bool owed =
      phase_ == Phase::handling || phase_ == Phase::streaming || phase_ == Phase::body || !unsent_.empty();
  if (owed) server_.stats().clients_gone.add();
  if (phase_ == Phase::handling || phase_ == Phase::streaming) exchange_->scope.cancel();
}

void Http1Connection::close_gently() noexcept {
  if (output_is_kept()) server_.send_kept(*this);
  if (phase_ == Phase::closed) return;
  if (!linger_ || end_of_input_) return close_now();
  transport_.end_writing();
  phase_ = Phase::lingering;
  begin_ = end_;
  release_block();
  deadline_ = server_.loop().now() + server_.options().linger_timeout;
  update_interest();
}

void Http1Connection::close_now() noexcept {
  if (output_is_kept()) server_.send_kept(*this);
  if (phase_ == Phase::closed) return;
  const bool exchange_is_out = phase_ == Phase::handling || phase_ == Phase::streaming;
  server_.loop().remove(transport_.fd(), *this);
  transport_.close();
  phase_ = Phase::closed;
  unsent_.clear();
  server_.on_closed(*this);
  if (exchange_is_out) {  // retired when it is finished
    exchange_->scope.cancel();
    return wake_body_reader();
  }
  if (exchange_ != nullptr) end_exchange();
  server_.retire(*this);
}

void Http1Connection::release_block() noexcept {
  if (block_ == nullptr) return;
  server_.give_block(std::exchange(block_, nullptr), capacity_);
  begin_ = end_ = capacity_ = 0;
}

void Http1Connection::check_time(async::TimePoint now) noexcept {
  const ServerOptions& options = server_.options();
  ServerStats& stats = server_.stats();
  if (phase_ == Phase::closed || waits_for_turn_) return;
  if (write_waits_ && now >= write_since_ + options.write_timeout) {
    const double seconds = std::chrono::duration<double>(now - write_since_).count();
    const std::int64_t taken = taken_by_client();
    if (static_cast<double>(taken - taken_before_) <
        std::max(1.0, seconds * static_cast<double>(options.min_write_rate))) {
      stats.write_timeouts.add();
      return close_now();
    }
    write_since_ = now;
    taken_before_ = taken;
  }
  switch (phase_) {
    case Phase::head:
      if (now < deadline_ || !unsent_.empty() || turn_is_over_) return;
      if (head_began_) {
        stats.header_timeouts.add();
        break;
      }
      (requests_ == 0 ? stats.header_timeouts : stats.idle_timeouts).add();
      linger_ = true;
      return close_gently();
    case Phase::body:
      if (!body_too_slow(now)) return;
      stats.body_timeouts.add();
      break;
    case Phase::handling:
    case Phase::streaming:
      if (body_wait_ != nullptr) {
        if (!body_too_slow(now)) return;
        stats.body_timeouts.add();
        body_timed_out_ = true;
        return wake_body_reader();
      }
      if (phase_ == Phase::streaming) beat(now);
      if (phase_ == Phase::closed) return;
      if (now < exchange_->context.deadline || exchange_->scope.cancelled()) return;
      stats.request_timeouts.add();
      return exchange_->scope.cancel(async::CancelReason::deadline);
    case Phase::lingering:
      if (now >= deadline_) close_now();
      return;
    case Phase::closed:
      return;
  }
  server_.head_start().refresh();
  refuse({408, "The request did not arrive in time.", "RFC 9110 §15.5.9"});
  flush();
  settle();
}

void Http1Connection::wait_for_client(std::uint64_t written) noexcept {
  write_waits_ = true;
  write_since_ = server_.loop().now();
  written_ = written;
  taken_before_ = taken_by_client();
}

// A socket buffers megabytes: what we could write says nothing about the client, what it has acknowledged does.
std::int64_t Http1Connection::taken_by_client() const noexcept {
  int waiting = 0;
  if (::ioctl(transport_.fd(), SIOCOUTQ, &waiting) != 0) waiting = 0;
  return static_cast<std::int64_t>(written_) - waiting;
}

void Http1Connection::close_if_idle() noexcept {
  if (phase_ != Phase::head || head_began_ || close_after_ || !unsent_.empty() || more_input_waits()) return;
  linger_ = true;
  close_gently();
}

void Http1Connection::give_up() noexcept {
  if (phase_ == Phase::handling || phase_ == Phase::streaming) {
    exchange_->scope.cancel(async::CancelReason::shutdown);
  } else if (phase_ != Phase::closed) {
    close_now();
  }
}

}  // namespace ashlar::http::detail
