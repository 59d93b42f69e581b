// How a connection of HTTP/2 reads, writes, keeps the time limits and ends.
#include <ashlar/http/detail/http2_connection.hpp>

#include <linux/sockios.h>
#include <nghttp2/nghttp2.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/http2_body.hpp>
#include <ashlar/http/detail/http2_loop.hpp>
#include <ashlar/http/detail/http2_websocket.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::uint32_t kReadable = EPOLLIN | EPOLLRDHUP;
constexpr std::size_t kCorked = 64 * 1024;      // leaves in one write
constexpr std::size_t kMostQueued = 512;        // frames that wait for a client that does not read
constexpr std::size_t kKeptMemory = 64 * 1024;  // of a stream that is used again
constexpr int kReads = 4;                       // in a row, before others have their turn
// Comes back when the client has seen the GOAWAY that went before it.
constexpr std::array<std::uint8_t, 8> kEndPing = {'g', 'o', 'i', 'n', 'g', 'a', 'w', 'a'};

}  // namespace

Http2Connection::Http2Connection(LoopServer& server, net::Transport transport, const net::Address& peer,
                                 std::string arrived) noexcept
    : Connection(server, std::move(transport), peer),
      arrived_(std::move(arrived)),
      resets_(server.options().http2.reset_burst, server.options().http2.resets_per_second),
      controls_(server.options().http2.control_burst, server.options().http2.controls_per_second) {
  server.stats().http2_connections.add();
  server.stats().http2_accepted.add();
}

Http2Connection::~Http2Connection() { ::nghttp2_session_del(session_); }

bool Http2Connection::open(async::TimePoint deadline) noexcept {
  deadline_ = deadline;
  try {
    shared_ = &server_.http2();
    session_ = shared_->make_session(*this);
    server_.loop().add(transport_.fd(), kReadable, *this);
  } catch (const std::bad_alloc&) {
    return false;
  } catch (const Error&) {
    return false;
  }
  interest_ = kReadable;
  if (server_.draining()) announce_end();
  const std::string arrived = std::exchange(arrived_, {});
  if (feed(arrived)) {
    write();
    if (phase_ == Phase::open && transport_.has_pending()) read();
  }
  return true;
}

void Http2Connection::on_io(std::uint32_t events) noexcept {
  if (phase_ == Phase::closed) return;
  if ((events & EPOLLERR) != 0) return client_left(), close_now();
  if (phase_ == Phase::lingering) return read_and_drop();
  if ((events & EPOLLOUT) != 0) {
    on_writable();
    if (phase_ != Phase::open) return;
  }
  if ((events & kReadable & interest_) != 0) {
    read();
  } else if ((events & EPOLLHUP) != 0) {
    client_left();
    close_now();
  }
}

// ---------------------------------------------------------------------------------------------------------- reading

void Http2Connection::read() noexcept {
  const std::span<char> input = shared_->input();
  bool ended = false;
  for (int turn = 0; turn < kReads || transport_.has_pending(); ++turn) {
    const net::Io io = transport_.read(input);
    if (io.state == net::Io::State::would_block) break;
    if (io.state != net::Io::State::done) {
      ended = true;
      break;
    }
    server_.stats().bytes_received.add(io.bytes);
    if (!feed({input.data(), io.bytes})) return;
    if (io.bytes < input.size() && !transport_.has_pending()) break;
    if (over_high_water()) break;
  }
  if (ended) {
    // A client that sends no more cannot take anything either: windows, resets and acknowledgements are frames.
    client_left();
    return close_now();
  }
  write();
}

void Http2Connection::read_and_drop() noexcept {
  char dropped[4096];
  for (int turns = 0; turns < 16; ++turns) {
    const net::Io io = transport_.read(dropped);
    if (io.state == net::Io::State::would_block) return;
    if (io.state != net::Io::State::done) return close_now();
    server_.stats().bytes_received.add(io.bytes);
  }
}

bool Http2Connection::feed(std::string_view bytes) noexcept {
  if (bytes.empty()) return true;
  server_.head_start().refresh();
  feeding_ = true;
  const ssize_t used =
      ::nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  feeding_ = false;
  if (phase_ != Phase::open) return false;
  if (used >= 0 && doom_ == NGHTTP2_NO_ERROR) return true;
  fail(static_cast<int>(std::min<ssize_t>(used, 0)));
  return false;
}

// The session cannot go on. Its last word is written past it.
void Http2Connection::fail(int error) noexcept {
  ServerStats& stats = server_.stats();
  std::uint32_t code = doom_;
  if (code == NGHTTP2_NO_ERROR) {
    switch (error) {
      case NGHTTP2_ERR_FLOODED:
      case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        stats.http2_floods.add();
        code = NGHTTP2_ENHANCE_YOUR_CALM;
        break;
      case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        stats.malformed.add();
        code = NGHTTP2_PROTOCOL_ERROR;
        break;
      default:
        code = NGHTTP2_INTERNAL_ERROR;
        break;
    }
  }
  doom_ = code;
  const auto last = static_cast<std::uint32_t>(::nghttp2_session_get_last_proc_stream_id(session_));
  const auto byte = [](std::uint32_t number, int at) { return static_cast<char>(number >> (8 * at) & 0xff); };
  const char goaway[] = {0,
                         0,
                         8,
                         NGHTTP2_GOAWAY,
                         0,
                         0,
                         0,
                         0,
                         0,  // 8 bytes, no flags, stream 0
                         byte(last, 3),
                         byte(last, 2),
                         byte(last, 1),
                         byte(last, 0),
                         byte(code, 3),
                         byte(code, 2),
                         byte(code, 1),
                         byte(code, 0)};
  try {
    server_.cork_of(*this).append({goaway, sizeof goaway});
  } catch (const std::bad_alloc&) {
    return close_now();
  }
  if (send()) close_gently();
}

void Http2Connection::doom(std::uint32_t error_code) noexcept {
  doom_ = error_code;
  if (!feeding_) write_soon();
}

void Http2Connection::on_settings() noexcept {
  if (std::exchange(greeted_, true)) return;
  deadline_ = server_.loop().now() + server_.options().idle_timeout;
}

void Http2Connection::on_ping_back() noexcept {
  if (end_announced_) refuse_new_streams();
}

// ---------------------------------------------------------------------------------------------------------- writing

void Http2Connection::write_soon() noexcept {
  if (!feeding_ && phase_ == Phase::open) server_.loop().at_tick_end(*this);
}

void Http2Connection::write() noexcept {
  if (phase_ != Phase::open) return;
  if (doom_ != NGHTTP2_NO_ERROR) return fail(0);
  if (end_final_ && !std::exchange(end_submitted_, true)) {
    // Only now is it sure which stream is the last: what came together with the client's word counts.
    ::nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, ::nghttp2_session_get_last_proc_stream_id(session_),
                            NGHTTP2_NO_ERROR, nullptr, 0);
  }
  while (!socket_is_full()) {
    batch_full_ = false;
    if (!collect()) return fail(NGHTTP2_ERR_NOMEM);
    if (phase_ != Phase::open || !send()) return;
    if (!batch_full_) break;
  }
  settle();
}

// Corks what the session has to say, up to a batch. False: the session is out of memory.
bool Http2Connection::collect() noexcept {
  Cork& cork = server_.cork_of(*this);
  while (true) {
    if (cork.size() >= kCorked) {
      batch_full_ = true;
      return true;
    }
    const std::uint8_t* data = nullptr;
    const ssize_t size = ::nghttp2_session_mem_send(session_, &data);
    if (size < 0) return false;
    if (size == 0) {
      // Not before the GOAWAY is out: the session sends PING first.
      if (batch_full_ || !end_announced_ || end_final_ || std::exchange(end_pinged_, true)) return true;
      ::nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kEndPing.data());
      continue;
    }
    try {
      cork.append({reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)});
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
}

// Sends what is corked; what the socket does not take is queued. False: the connection is closed.
bool Http2Connection::send() noexcept {
  Cork& cork = server_.cork_of(*this);
  if (cork.empty()) return true;
  std::size_t sent = 0;
  if (!socket_is_full()) {
    const net::Io io = transport_.write(cork.view());
    if (io.state == net::Io::State::closed || io.state == net::Io::State::failed) {
      cork.clear();
      client_left();
      close_now();
      return false;
    }
    sent = io.bytes;
    server_.stats().bytes_sent.add(sent);
    if (sent == cork.size()) [[likely]] {
      cork.clear();
      return true;
    }
    write_waits_ = true;
    write_since_ = server_.loop().now();
    written_ = sent;
    taken_before_ = taken_by_client();
  }
  try {
    unsent_.push_copy(cork.view().substr(sent));
  } catch (const std::bad_alloc&) {
    cork.clear();
    close_now();
    return false;
  }
  cork.clear();
  return true;
}

void Http2Connection::on_writable() noexcept {
  iovec parts[OutputQueue::kMostParts];
  while (!unsent_.empty()) {
    const net::Io io = transport_.write(unsent_.front(parts));
    if (io.state == net::Io::State::would_block) break;
    if (io.state != net::Io::State::done) return client_left(), close_now();
    unsent_.pop(io.bytes);
    written_ += io.bytes;
    server_.stats().bytes_sent.add(io.bytes);
  }
  write_waits_ = !unsent_.empty();
  write();
}

// Of what a client asks for without reading, only answers are bounded by the number of streams.
bool Http2Connection::over_high_water() const noexcept {
  return socket_is_full() && (unsent_.bytes() > server_.options().output_high_water ||
                              ::nghttp2_session_get_outbound_queue_size(session_) > kMostQueued);
}

// ---------------------------------------------------------------------------------------------------------- streams

Http2Stream* Http2Connection::begin_stream(std::int32_t id) {
  const ServerOptions& options = server_.options();
  // A stream that was reset no longer counts for the session, but its handler may still run. Once it is said which one
  // is the last, none may begin, though a full socket holds that word back.
  if (out_ >= options.http2.max_concurrent_streams || end_submitted_) return nullptr;
  Http2Stream* const stream = shared_->take_stream();
  ServerExchange* exchange = nullptr;
  try {
    exchange = server_.take_exchange();
  } catch (...) {
    shared_->give_stream(stream);
    throw;
  }
  stream->begin(*this, id, exchange);
  stream->next_ = streams_;
  stream->previous_ = nullptr;
  if (streams_ != nullptr) streams_->previous_ = stream;
  streams_ = stream;
  head_ = stream;
  head_deadline_ = server_.loop().now() + options.header_timeout;
  if (++requests_ == options.max_requests_per_connection) [[unlikely]] {
    server_.stats().request_limits.add();
    announce_end();
  }
  return stream;
}

void Http2Connection::release(Http2Stream& stream) noexcept {
  if (stream.previous_ != nullptr) {
    stream.previous_->next_ = stream.next_;
  } else {
    streams_ = stream.next_;
  }
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  if (streams_ == nullptr && phase_ == Phase::open) deadline_ = server_.loop().now() + server_.options().idle_timeout;
  server_.give_exchange(std::exchange(stream.exchange_, nullptr));
  stream.reader_.reset();
  stream.websocket_.reset();
  bodies_ -= std::exchange(stream.body_kept_, 0);
  stream.pieces_.clear(kKeptMemory);
  for (std::string* const text : {&stream.cookies_, &stream.trailers_, &stream.arrived_, &stream.piece_}) {
    text->clear();
    if (text->capacity() > kKeptMemory) [[unlikely]]
      text->shrink_to_fit();
  }
  shared_->give_stream(&stream);
  if (held_ != 0) [[unlikely]]
    open_held_bodies();
}

void Http2Connection::abandon_streams() noexcept {
  head_ = nullptr;
  for (Http2Stream* stream = streams_; stream != nullptr;) {
    Http2Stream* const next = stream->next_;
    if (stream->open_) stream->on_close();
    stream = next;
  }
}

void Http2Connection::exchange_back() noexcept {
  if (--out_ == 0 && phase_ == Phase::closed) server_.retire(*this);
}

// A stream that ends before its answer has cost a handler's work and left the client free to ask for more: too many of
// them are an attack (CVE-2023-44487; CVE-2025-8671 where it makes the server reset).
void Http2Connection::on_early_end() noexcept {
  server_.stats().http2_resets.add();
  if (resets_.take(server_.loop().now())) [[likely]]
    return;
  server_.stats().http2_rapid_resets.add();
  doom(NGHTTP2_ENHANCE_YOUR_CALM);
}

// -------------------------------------------------------------------------------------------------------------- time

void Http2Connection::check_time(async::TimePoint now) noexcept {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::lingering) {
    if (now >= deadline_) close_now();
    return;
  }
  if (!check_output(now) || !check_windows(now)) return;
  if (head_ != nullptr && now >= head_deadline_) {
    // It holds up every other stream: fields must not be mixed with other frames (RFC 9113 §4.3).
    server_.stats().header_timeouts.add();
    return doom(NGHTTP2_ENHANCE_YOUR_CALM);
  }
  for (Http2Stream* stream = streams_; stream != nullptr;) {
    Http2Stream* const next = stream->next_;
    if (stream->open_) stream->check_time(now);
    stream = next;
  }
  check_idle(now);
}

// False: closed.
bool Http2Connection::check_output(async::TimePoint now) noexcept {
  const ServerOptions& options = server_.options();
  if (!write_waits_ || now < write_since_ + options.write_timeout) return true;
  const double seconds = std::chrono::duration<double>(now - write_since_).count();
  const std::int64_t taken = taken_by_client();
  if (static_cast<double>(taken - taken_before_) <
      std::max(1.0, seconds * static_cast<double>(options.min_write_rate))) {
    server_.stats().write_timeouts.add();
    close_now();
    return false;
  }
  write_since_ = now;
  taken_before_ = taken;
  return true;
}

// A client that keeps its windows shut has the server keep its answers. False: the connection is ending.
bool Http2Connection::check_windows(async::TimePoint now) noexcept {
  const ServerOptions& options = server_.options();
  bool waits = false;
  for (const Http2Stream* stream = streams_; stream != nullptr && !waits; stream = stream->next_) {
    waits = stream->open_ && !stream->unsent().empty();
  }
  if (!waits || socket_is_full()) {
    window_waits_ = false;
    return true;
  }
  const bool begins = !std::exchange(window_waits_, true);
  if (!begins && now < windows_since_ + options.write_timeout) return true;
  const double seconds = std::chrono::duration<double>(now - windows_since_).count();
  if (!begins &&
      static_cast<double>(data_moved_) < std::max(1.0, seconds * static_cast<double>(options.min_write_rate))) {
    server_.stats().write_timeouts.add();
    doom(NGHTTP2_ENHANCE_YOUR_CALM);
    return false;
  }
  for (Http2Stream* stream = streams_; stream != nullptr; stream = stream->next_) {
    if (!stream->open_ || stream->unsent().empty()) continue;
    // Others may be served before it; with its own window shut it is the client who lets it wait.
    if (!begins && stream->moved_ == 0 && ::nghttp2_session_get_stream_remote_window_size(session_, stream->id_) <= 0) {
      server_.stats().write_timeouts.add();
      stream->reset(NGHTTP2_CANCEL);
    }
    stream->moved_ = 0;
  }
  windows_since_ = now;
  data_moved_ = 0;
  return true;
}

void Http2Connection::check_idle(async::TimePoint now) noexcept {
  if (streams_ != nullptr || now < deadline_ || socket_is_full()) return;
  (greeted_ ? server_.stats().idle_timeouts : server_.stats().header_timeouts).add();
  refuse_new_streams();
  write();
}

// A socket buffers megabytes: what we could write says nothing about the client, what it has acknowledged does.
std::int64_t Http2Connection::taken_by_client() const noexcept {
  int waiting = 0;
  if (::ioctl(transport_.fd(), SIOCOUTQ, &waiting) != 0) waiting = 0;
  return static_cast<std::int64_t>(written_) - waiting;
}

// ------------------------------------------------------------------------------------------------------------ ending

// In two steps (RFC 9113 §6.8): "ask for nothing more", and, when the client has seen that, which stream is the last.
// What it had sent before is answered.
void Http2Connection::announce_end() noexcept {
  if (std::exchange(end_announced_, true)) return;
  ::nghttp2_submit_shutdown_notice(session_);
  write_soon();
}

void Http2Connection::refuse_new_streams() noexcept {
  end_announced_ = true;
  if (!std::exchange(end_final_, true)) write_soon();
}

void Http2Connection::begin_drain() noexcept {
  if (phase_ != Phase::open) return;
  announce_end();
  for (Http2Stream* stream = streams_; stream != nullptr; stream = stream->next_) stream->begin_drain();
}

void Http2Connection::close_if_idle() noexcept {
  if (phase_ != Phase::open) return;
  refuse_new_streams();
  write();
}

void Http2Connection::give_up() noexcept {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::lingering) return close_now();
  refuse_new_streams();
  for (Http2Stream* stream = streams_; stream != nullptr;) {
    Http2Stream* const next = stream->next_;
    stream->give_up();
    stream = next;
  }
  // A client that takes nothing would hold up the end.
  if (out_ == 0 && socket_is_full()) return close_now();
  write();
}

void Http2Connection::settle() noexcept {
  if (phase_ != Phase::open) return;
  const bool over = ::nghttp2_session_want_read(session_) == 0 && ::nghttp2_session_want_write(session_) == 0;
  if (over && !socket_is_full()) {
    if (!end_final_ && !client_ends_) server_.stats().malformed.add();  // the session ended it: RFC 9113 §5.4.1
    return close_gently();
  }
  update_interest();
}

void Http2Connection::update_interest() noexcept {
  std::uint32_t wanted = 0;
  if (!end_of_input_ && (phase_ == Phase::lingering || !over_high_water())) wanted = kReadable;
  if (wanted == 0 && interest_ != 0 && (interest_ & kReadable) != 0) server_.stats().paused.add();
  if (socket_is_full()) wanted |= EPOLLOUT;
  if (wanted == interest_) return;
  try {
    server_.loop().modify(transport_.fd(), wanted, *this);
    interest_ = wanted;
  } catch (const Error&) {
    close_now();
  }
}

void Http2Connection::client_left() noexcept {
  end_of_input_ = true;
  if (streams_ != nullptr || socket_is_full()) server_.stats().clients_gone.add();
}

void Http2Connection::close_gently() noexcept {
  if (end_of_input_) return close_now();
  transport_.end_writing();
  phase_ = Phase::lingering;
  unsent_.clear();
  write_waits_ = false;
  deadline_ = server_.loop().now() + server_.options().linger_timeout;
  abandon_streams();
  update_interest();
}

void Http2Connection::close_now() noexcept {
  if (phase_ == Phase::closed) return;
  server_.loop().remove(transport_.fd(), *this);
  transport_.close();
  phase_ = Phase::closed;
  unsent_.clear();
  server_.stats().http2_connections.subtract();
  server_.on_closed(*this);
  abandon_streams();
  if (out_ == 0) server_.retire(*this);
}

}  // namespace ashlar::http::detail
