// How a client's connection of HTTP/2 reads, writes, watches over the server and ends.
#include <ashlar/http/detail/client_http2_connection.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/client_exchange.hpp>
#include <ashlar/http/detail/client_http2.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::uint32_t kReadable = EPOLLIN | EPOLLRDHUP;
constexpr std::size_t kBatch = 64 * 1024;  // leaves in one write
constexpr int kReads = 8;                  // in a row, before others have their turn
// Frames that bring nothing, as the server bounds them: so many at once, then so many a second; every request and every
// frame of DATA that is sent earns some more.
constexpr std::uint32_t kControlBurst = 2000;
constexpr std::uint32_t kControlsPerSecond = 500;
constexpr std::uint32_t kRequestCredit = 8;

}  // namespace

ClientHttp2::ClientHttp2(ClientPool& pool, ClientHost& host, ClientConnected connected, const ClientOptions& options)
    : pool_(pool),
      host_(host),
      loop_(async::Loop::current()),
      transport_(std::move(connected.transport)),
      options_(options),
      controls_(kControlBurst, kControlsPerSecond),
      global_peer_(connected.global_peer) {}

ClientHttp2::~ClientHttp2() {
  if (!closed_ && on_its_loop()) {  // its pool goes, too
    say_good_bye();
    loop_.remove(transport_.fd(), *this);
  }
  ::nghttp2_session_del(session_);
}

void ClientHttp2::open() {
  closed_ = true;  // should this fail
  session_ = make_client_session(*this);
  loop_.add(transport_.fd(), kReadable, *this);
  closed_ = false;
  interest_ = kReadable;
  opened_ = heard_ = loop_.now();
  // What the server has said right behind its handshake is not in the socket any more.
  if (transport_.has_pending()) read();
  write_soon();
}

bool ClientHttp2::takes_requests() const noexcept {
  return !closed_ && !flooded_ && session_ != nullptr && ::nghttp2_session_check_request_allowed(session_) != 0;
}

std::uint32_t ClientHttp2::room() const noexcept {
  if (!takes_requests()) return 0;
  // One may go ahead; how many more are welcome is what the server's SETTINGS say.
  const std::uint32_t most =
      greeted_ ? std::min(options_.http2.max_concurrent_streams,
                          ::nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
               : 1;
  // A stream that was reset counts until the server has shown that it knows: its handler may have run until then, and
  // who resets faster than that looks like an attack (CVE-2023-44487).
  const std::uint32_t used = places_ + resets_ + resets_pinged_;
  if (used < most) return most - used;
  return places_ == 0 && most != 0 ? 1 : 0;
}

bool ClientHttp2::watched() noexcept {
  try {
    loop_.modify(transport_.fd(), interest_, *this);
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool ClientHttp2::submit(Http2Exchange& exchange, std::span<const nghttp2_nv> fields, bool with_body) {
  if (!takes_requests()) return false;
  nghttp2_data_provider provider{.source = {.ptr = nullptr}, .read_callback = &Http2Exchange::read_request_body};
  const std::int32_t id = ::nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                                   with_body ? &provider : nullptr, &exchange);
  if (id == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
  if (id < 0) return false;
  exchange.id_ = id;
  exchange.open_ = true;
  exchange.next_ = exchanges_;
  if (exchanges_ != nullptr) exchanges_->previous_ = &exchange;
  exchanges_ = &exchange;
  controls_.give(kRequestCredit);
  write_soon();
  return true;
}

void ClientHttp2::drop(Http2Exchange& exchange) noexcept {
  if (exchange.id_ == 0) return;
  (exchange.previous_ != nullptr ? exchange.previous_->next_ : exchanges_) = exchange.next_;
  if (exchange.next_ != nullptr) exchange.next_->previous_ = exchange.previous_;
  if (!std::exchange(exchange.open_, false)) return;
  ::nghttp2_session_set_stream_user_data(session_, exchange.id_, nullptr);
  if (!on_its_loop()) return;
  ::nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, exchange.id_,
                              exchange.complete() ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
  if (!exchange.complete()) {
    ++resets_;
    ping_for_resets();
  }
  write_soon();
}

void ClientHttp2::leave() noexcept {
  if (--places_ != 0) {
    pool_.on_room(host_);
    return;
  }
  if (!closed_ && !on_its_loop()) {
    // Dropped when the loop was gone.
    pool_.forget(host_, *this);
    transport_.close();
    closed_ = true;
  }
  if (!closed_ && !takes_requests()) close();
  lease_.reset();
  if (closed_) return pool_.on_room(host_);
  resting_since_ = loop_.now();
  if (out_.empty() && out_.capacity() > kBatch) out_.shrink_to_fit();
  pool_.rest(host_, *this);
}

// ---------------------------------------------------------------------------------------------------- reading, writing

void ClientHttp2::on_io(std::uint32_t events) noexcept {
  const auto self = shared_from_this();
  if (closed_) return;
  if ((events & ~std::uint32_t{EPOLLOUT}) != 0) read();
  write();
}

void ClientHttp2::on_tick_end() noexcept {
  const auto self = shared_from_this();
  write();
}

void ClientHttp2::read() noexcept {
  char input[16 * 1024];
  for (int turn = 0; (turn < kReads || transport_.has_pending()) && !closed_; ++turn) {
    const net::Io io = transport_.read(input);
    read_wants_write_ = io.state == net::Io::State::would_block && transport_.wants_write();
    if (io.state == net::Io::State::would_block) return;
    if (io.state == net::Io::State::closed) return lost_to_server();
    if (io.state == net::Io::State::failed) return lost(transport_.error());
    heard_ = loop_.now();
    if (!feed({input, io.bytes})) return;
    if (io.bytes < sizeof input && !transport_.has_pending()) return;
  }
}

bool ClientHttp2::feed(std::string_view bytes) noexcept {
  feeding_ = true;
  const ssize_t used =
      ::nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  feeding_ = false;
  if (closed_) return false;
  if (used >= 0 && !flooded_) return true;
  if (used == NGHTTP2_ERR_NOMEM) {
    lost("out of memory");
  } else {
    lost("a bad answer: a flood of HTTP/2 frames", true);
  }
  return false;
}

void ClientHttp2::write_soon() noexcept {
  if (!feeding_ && !closed_) loop_.at_tick_end(*this);
}

void ClientHttp2::write() noexcept {
  while (!closed_) {
    if (out_sent_ == out_.size()) {
      out_.clear();
      out_sent_ = 0;
      if (!collect()) return lost("out of memory");
      if (out_.empty()) break;
    }
    const net::Io io = transport_.write(std::string_view(out_).substr(out_sent_));
    if (io.state == net::Io::State::would_block) break;
    if (io.state != net::Io::State::done) {
      read();  // it may have said why
      return lost_to_server();
    }
    out_sent_ += io.bytes;
  }
  settle();
}

// False: the session is out of memory.
bool ClientHttp2::collect() noexcept {
  try {
    while (out_.size() < kBatch) {
      const std::uint8_t* bytes = nullptr;
      const ssize_t size = ::nghttp2_session_mem_send(session_, &bytes);
      if (size < 0) return false;
      if (size == 0) return true;
      out_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void ClientHttp2::settle() noexcept {
  if (closed_) return;
  if (::nghttp2_session_want_read(session_) == 0 && ::nghttp2_session_want_write(session_) == 0 && out_.empty()) {
    if (!broken_rule_.empty()) return lost(fmt::format("a bad answer: {}", broken_rule_), true);
    return lost_to_server();
  }
  if (!takes_requests()) pool_.forget(host_, *this);
  update_interest();
  if (std::exchange(room_changed_, false)) pool_.on_room(host_);
}

void ClientHttp2::update_interest() noexcept {
  const std::uint32_t wanted = out_.empty() && !read_wants_write_ ? kReadable : kReadable | EPOLLOUT;
  if (wanted == interest_) return;
  try {
    loop_.modify(transport_.fd(), wanted, *this);
    interest_ = wanted;
  } catch (const Error& error) {
    lost(error.message());
  }
}

// --------------------------------------------------------------------------------------------------------------- time

// A server that is gone without a word is only noticed by asking it. Nobody asks while nobody waits.
void ClientHttp2::begin_wait() noexcept {
  if (++waiting_ != 1) return;
  waiting_since_ = loop_.now();
  arm();
}

void ClientHttp2::end_wait() noexcept {
  if (--waiting_ == 0) Timer::cancel();
}

void ClientHttp2::arm() noexcept {
  const ClientHttp2Options& http2 = options_.http2;
  async::TimePoint when = async::TimePoint::max();
  if (ping_out_) {
    when = std::max(ping_since_, heard_) + http2.ping_timeout;
  } else if (http2.ping_after.count() > 0) {
    when = std::max(waiting_since_, heard_) + http2.ping_after;
  }
  if (!greeted_) when = std::min(when, opened_ + options_.connect_timeout);
  if (when != async::TimePoint::max()) Timer::arm_at(loop_, when);
}

void ClientHttp2::on_timer() noexcept {
  const auto self = shared_from_this();
  const ClientHttp2Options& http2 = options_.http2;
  const async::TimePoint now = loop_.now();
  if (!greeted_ && now >= opened_ + options_.connect_timeout) {
    return lost("the server did not begin to speak HTTP/2 within its time (connect_timeout)");
  }
  if (ping_out_) {
    if (now >= std::max(ping_since_, heard_) + http2.ping_timeout) {
      return lost("the server gives no sign of life (ping_timeout)");
    }
  } else if (http2.ping_after.count() > 0 && now >= std::max(waiting_since_, heard_) + http2.ping_after) {
    ping();
  }
  arm();
}

void ClientHttp2::ping() noexcept {
  ping_out_ = true;
  ping_since_ = loop_.now();
  ::nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  write_soon();
}

void ClientHttp2::ping_for_resets() noexcept {
  if (ping_out_ || resets_ == 0) return;
  resets_pinged_ = std::exchange(resets_, 0);
  ping();
}

// ------------------------------------------------------------------------------------------------------------- ending

void ClientHttp2::end() noexcept {
  if (closed_) return;
  pool_.forget(host_, *this);
  close();
}

void ClientHttp2::close() noexcept {
  say_good_bye();
  lost("closed");
}

// A kindness: what the socket does not take is left.
void ClientHttp2::say_good_bye() noexcept {
  if (session_ == nullptr) return;
  ::nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
  if (out_.empty() && collect()) static_cast<void>(transport_.write(out_));
  transport_.end_writing();
}

void ClientHttp2::lost_to_server() noexcept {
  if (goaway_ == NGHTTP2_NO_ERROR) return lost(std::string(kNotAnswered));
  lost(fmt::format("{} ({})", kNotAnswered, ::nghttp2_http2_strerror(goaway_)));
}

void ClientHttp2::lost(std::string why, bool for_good) noexcept {
  if (std::exchange(closed_, true)) return;
  lost_by_ = std::move(why);
  lost_for_good_ = for_good;
  Timer::cancel();
  loop_.remove(transport_.fd(), *this);
  transport_.close();
  for (Http2Exchange* one = exchanges_; one != nullptr; one = one->next_) one->on_lost();
  pool_.forget(host_, *this);
  if (!greeted_ && places_ != 0) {
    pool_.fail_waiting(host_, std::make_exception_ptr(Unavailable(lost_by_)));
  }
  pool_.on_room(host_);
}

}  // namespace ashlar::http::detail
