#include <ashlar/http/detail/websocket_stream.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar::http::detail {
namespace {

using std::chrono::seconds;

constexpr std::uint32_t kReadable = EPOLLIN | EPOLLRDHUP;
constexpr std::size_t kReadBuffer = 64 * 1024;
constexpr std::size_t kFlushAt = 64 * 1024;  // what is sent in one tick leaves in one write, up to this
constexpr std::size_t kCopied = 16 * 1024;   // a longer payload gets memory of its own
constexpr seconds kRateWindow{10};

// One a thread, for as long as a read takes: an idle connection has no buffer.
std::span<char> read_buffer() {
  thread_local const std::unique_ptr<char[]> buffer(new char[kReadBuffer]);
  return {buffer.get(), kReadBuffer};
}

// RFC 6455 §5.3: unpredictable. Asked of the kernel many at a time.
std::array<std::uint8_t, 4> new_mask() {
  constexpr std::size_t kMany = 4096;
  thread_local std::string pool;
  if (pool.size() < 4) pool = random_bytes(kMany);
  std::array<std::uint8_t, 4> mask;
  std::memcpy(mask.data(), pool.data() + pool.size() - 4, 4);
  pool.resize(pool.size() - 4);
  return mask;
}

WebSocketSide other(WebSocketSide side) noexcept {
  return side == WebSocketSide::server ? WebSocketSide::client : WebSocketSide::server;
}

}  // namespace

WebSocketStream::WebSocketStream(async::Loop& loop, WebSocketCarrier& carrier, WebSocketSide side,
                                 const WebSocketLimits& limits, WebSocketTerms terms, ServerStats& stats, Owner& owner)
    : WebSocket(std::move(terms.subprotocol)),
      loop_(loop),
      carrier_(carrier),
      limits_(limits),
      stats_(stats),
      owner_(owner),
      deflate_(terms.deflate ? std::make_unique<MessageDeflate>(side, *terms.deflate, limits.compression) : nullptr),
      reader_(other(side), limits.max_message, deflate_.get()),
      side_(side) {}

void WebSocketStream::open(OutputQueue first, std::string_view read) {
  stats_.websockets.opened.add();
  stats_.websockets.open.add();
  carrier_.open(*this);
  interest_ = kReadable;
  heard_ = rate_since_ = loop_.now();
  output_ = std::move(first);
  if (!output_.empty()) loop_.at_tick_end(*this);
  schedule();
  if (!read.empty()) {
    std::string copy(read);
    take(copy);
  }
  if (reads() && carrier_.has_pending()) this->read();
}

void WebSocketStream::abort() noexcept {
  if (state_ == State::gone) return;
  stop_sending();
  end_input(close_code::abnormal, {});
  if (close_since_ == async::TimePoint{}) close_since_ = loop_.now();
  if (!std::exchange(close_counted_, true)) stats_.websockets.broken.add();
  end();
}

void WebSocketStream::on_io(std::uint32_t events) noexcept {
  if (state_ == State::gone) return;
  if ((events & EPOLLERR) != 0) return lose("the connection was reset");
  if ((events & EPOLLOUT) != 0) {
    flush();
    if (state_ == State::gone) return;
  }
  if ((events & (kReadable | EPOLLHUP)) == 0) return;
  if (reads()) return read();
  if ((events & EPOLLHUP) != 0) return lose("the connection was closed");  // epoll would tell it again and again
  if ((events & EPOLLRDHUP) != 0) end_of_input_ = true;
  update_interest();
}

// ------------------------------------------------------------------------------------------------------------ reading

bool WebSocketStream::reads() const noexcept {
  switch (state_) {
    case State::open:
    case State::closing:
      return !paused_;
    case State::answered:
      return side_ == WebSocketSide::client;
    case State::failing:
      return true;
    case State::gone:
      return false;
  }
  return false;
}

void WebSocketStream::read() noexcept {
  do {
    if (state_ == State::failing || state_ == State::answered) return read_and_drop();
    net::Io io{};
    try {
      const std::span<char> buffer = read_buffer();
      io = carrier_.read(buffer);
      if (io.state == net::Io::State::done) {
        stats_.bytes_received.add(io.bytes);
        heard_ = loop_.now();
        pinged_ = false;
        take(buffer.first(io.bytes));
        continue;
      }
    } catch (const std::bad_alloc&) {
      return abort();
    }
    if (io.state == net::Io::State::would_block) return;
    return lose(io.state == net::Io::State::closed ? "the connection was closed" : "the connection was reset");
  } while (reads() && carrier_.has_pending());
}

void WebSocketStream::read_and_drop() noexcept {
  char dropped[4096];
  for (int turns = 0; turns < 16; ++turns) {
    const net::Io io = carrier_.read(dropped);
    if (io.state == net::Io::State::would_block) return;
    if (io.state != net::Io::State::done) return end();
    stats_.bytes_received.add(io.bytes);
  }
}

void WebSocketStream::take(std::span<char> bytes) {
  while (!bytes.empty() && (state_ == State::open || state_ == State::closing)) {
    switch (reader_.feed(bytes)) {
      case WebSocketReader::Event::more:
        return;
      case WebSocketReader::Event::message:
        stats_.websockets.messages_received.add();
        if (!within_rate()) return fail({close_code::policy, "too many messages", {}});
        if (state_ == State::open) deliver(reader_.take_message());
        if (state_ == State::open && full()) {
          // Not even what has been read is looked at: a few compressed bytes can be megabytes.
          held_.assign(bytes.data(), bytes.size());
          paused_ = true;
          stats_.websockets.paused.add();
          return update_interest();
        }
        break;
      case WebSocketReader::Event::ping:
        if (!within_rate()) return fail({close_code::policy, "too many pings", {}});
        if (state_ == State::open) push_control(Opcode::pong, reader_.control());
        break;
      case WebSocketReader::Event::pong:
        if (!within_rate()) return fail({close_code::policy, "too many pongs", {}});
        break;
      case WebSocketReader::Event::close:
        return on_peer_close(reader_.control());
      case WebSocketReader::Event::fault:
        return fail(reader_.fault());
    }
  }
}

bool WebSocketStream::within_rate() noexcept {
  const async::TimePoint now = loop_.now();
  if (now >= rate_since_ + kRateWindow) {
    rate_since_ = now;
    rate_count_ = 0;
  }
  return ++rate_count_ <= limits_.max_messages || limits_.max_messages == 0;
}

bool WebSocketStream::full() const noexcept {
  return unread() >= limits_.max_unread || unread_bytes() > limits_.input_high_water;
}

void WebSocketStream::on_taken() noexcept {
  if (!paused_ || unread() > limits_.max_unread / 2 || unread_bytes() > limits_.input_high_water / 2) return;
  go_on_reading();
}

void WebSocketStream::go_on_reading() noexcept {
  paused_ = false;
  heard_ = loop_.now();  // it could not be heard meanwhile
  try {
    std::string held = std::exchange(held_, {});
    take(held);
  } catch (const std::bad_alloc&) {
    return abort();
  }
  update_interest();
  if (reads() && (end_of_input_ || carrier_.has_pending())) read();
}

void WebSocketStream::on_peer_close(std::string_view payload) {
  const ClosePayload close = parse_close_payload(payload);
  if (close.fault) return fail(close.fault);
  end_input(close.code, close.reason);
  count_close(close.code);
  if (state_ == State::open) {
    stop_sending();
    push_control(Opcode::close, close_payload(close.code, {}));
  }
  state_ = State::answered;
  close_since_ = loop_.now();
  wake_senders();
  loop_.at_tick_end(*this);
  schedule();
  update_interest();
}

void WebSocketStream::fail(const WebSocketFault& fault) {
  (fault.code == close_code::policy ? stats_.websockets.rates : stats_.websockets.faults).add();
  count_close(fault.code);
  if (state_ == State::open) push_control(Opcode::close, close_payload(fault.code, fault.reason));
  stop_sending();
  end_input(close_code::abnormal, fault.reason);
  state_ = State::failing;
  held_.clear();
  close_since_ = loop_.now();
  wake_senders();
  loop_.at_tick_end(*this);
  schedule();
  update_interest();
}

void WebSocketStream::count_close(std::uint16_t code) noexcept {
  if (std::exchange(close_counted_, true)) return;
  const bool normal = code == close_code::normal || code == close_code::going_away || code == close_code::none;
  (normal ? stats_.websockets.closed_normally : stats_.websockets.closed_by_error).add();
}

// ------------------------------------------------------------------------------------------------------------ writing

void WebSocketStream::transmit(std::string_view data, bool text) {
  stats_.websockets.messages_sent.add();
  FrameHead head{.opcode = text ? Opcode::text : Opcode::binary};
  if (deflate_ != nullptr && deflate_->wants(data.size())) {
    std::string compressed;
    if (deflate_->compress(data, compressed)) {
      head.compressed = true;
      return push_frame(head, compressed);
    }
  }
  push_frame(head, data);
}

bool WebSocketStream::transmit_shared(const std::shared_ptr<const SharedMessage>& message, SlowMember policy) {
  if (output_.bytes() + message->data().size() > limits_.max_unsent) {
    if (policy == SlowMember::drop) {
      stats_.websockets.dropped.add();
    } else {
      stats_.websockets.slow_closed.add();
      close(close_code::policy, "too slow");
    }
    return false;
  }
  if (side_ == WebSocketSide::client) {
    transmit(message->data(), message->text());
    return true;
  }
  stats_.websockets.messages_sent.add();
  const bool compressed = deflate_ != nullptr && deflate_->takes_shared();
  output_.push_shared(compressed ? message->compressed() : message->plain(), message);
  if (!write_waits_) loop_.at_tick_end(*this);
  return true;
}

void WebSocketStream::push_frame(const FrameHead& head, std::string_view payload) {
  FrameHead whole = head;
  whole.length = payload.size();
  whole.masked = side_ == WebSocketSide::client;
  if (whole.masked) whole.mask = new_mask();
  char bytes[kMostFrameHead];
  const char* const end = write_frame_head(bytes, whole);
  output_.push_copy({bytes, end});
  if (whole.masked || payload.size() > kCopied) {
    std::string own(payload);
    if (whole.masked) mask_bytes(own.data(), own.size(), whole.mask, 0);
    if (own.size() > kCopied) {
      output_.push_owned(std::move(own), 0);
    } else {
      output_.push_copy(own);
    }
  } else {
    output_.push_copy(payload);
  }
  if (write_waits_) return;
  if (output_.bytes() >= kFlushAt) return flush();
  loop_.at_tick_end(*this);
}

void WebSocketStream::push_control(Opcode opcode, std::string_view payload) {
  // Pings whose answers are not taken are not answered any more; the next ones will be.
  if (opcode != Opcode::close && output_.bytes() > limits_.output_high_water) return;
  push_frame({.opcode = opcode}, payload);
}

bool WebSocketStream::congested() const noexcept {
  return state_ == State::open && output_.bytes() > limits_.output_high_water;
}

void WebSocketStream::flush() noexcept {
  if (state_ == State::gone) return;
  iovec parts[OutputQueue::kMostParts];
  while (!output_.empty()) {
    const net::Io io = carrier_.write(output_.front(parts));
    if (io.state == net::Io::State::would_block) break;
    if (io.state != net::Io::State::done) return lose("the connection was reset");
    output_.pop(io.bytes);
    written_ += io.bytes;
    stats_.bytes_sent.add(io.bytes);
  }
  if (output_.empty()) {
    write_waits_ = false;
    if (state_ == State::answered && side_ == WebSocketSide::server) {
      carrier_.end_writing();
      return end();
    }
    if (state_ == State::failing && !std::exchange(ended_writing_, true)) carrier_.end_writing();
  } else if (!write_waits_) {
    write_waits_ = true;
    written_ = 0;
    write_since_ = loop_.now();
    taken_before_ = taken_by_peer();
    schedule();
  }
  if (!congested()) wake_senders();
  update_interest();
}

std::int64_t WebSocketStream::taken_by_peer() const noexcept {
  return static_cast<std::int64_t>(written_) - carrier_.not_taken();
}

bool WebSocketStream::takes_too_slowly(async::TimePoint now) noexcept {
  if (!write_waits_ || now < write_since_ + limits_.write_timeout) return false;
  const double elapsed = std::chrono::duration<double>(now - write_since_).count();
  const std::int64_t taken = taken_by_peer();
  if (static_cast<double>(taken - taken_before_) <
      std::max(1.0, elapsed * static_cast<double>(limits_.min_write_rate))) {
    return true;
  }
  write_since_ = now;
  taken_before_ = taken;
  return false;
}

// ------------------------------------------------------------------------------------------------- closing, and time

void WebSocketStream::begin_close(std::uint16_t code, std::string_view reason) {
  push_control(Opcode::close, close_payload(code, reason));
  if (state_ != State::open) return;  // the write has shown that it is gone
  count_close(code);
  state_ = State::closing;
  close_since_ = loop_.now();
  schedule();
  if (paused_) go_on_reading();  // for the peer's Close
}

void WebSocketStream::lose(std::string_view reason) noexcept {
  end_input(close_code::abnormal, reason);  // unless it has closed in order
  abort();
}

void WebSocketStream::end() noexcept {
  carrier_.close();
  state_ = State::gone;
  output_.clear();
  held_.clear();
  write_waits_ = false;
  stats_.websockets.open.subtract();
  wake_senders();
  schedule();
  owner_.on_stream_closed();
}

void WebSocketStream::update_interest() noexcept {
  if (state_ == State::gone) return;
  std::uint32_t wanted = 0;
  if (reads()) {
    wanted = kReadable;
  } else if (!end_of_input_ && paused_) {
    wanted = EPOLLRDHUP;
  }
  if (write_waits_) wanted |= EPOLLOUT;
  if (wanted == interest_) return;
  try {
    carrier_.watch(wanted);
    interest_ = wanted;
  } catch (const Error&) {
    abort();
  }
}

void WebSocketStream::schedule() noexcept {
  async::TimePoint due = async::TimePoint::max();
  if (write_waits_) due = std::min(due, write_since_ + limits_.write_timeout);
  if (state_ == State::open) {
    if (limits_.ping_interval.count() > 0) {
      due = std::min(due, pinged_ ? pinged_at_ + limits_.ping_timeout : heard_ + limits_.ping_interval);
    }
  } else if (state_ != State::gone || !lost_told_) {
    due = std::min(due, close_since_ + limits_.close_timeout);
  }
  if (due == async::TimePoint::max()) {
    async::Timer::cancel();
  } else {
    async::Timer::arm_at(loop_, due);
  }
}

void WebSocketStream::on_timer() noexcept {
  const async::TimePoint now = loop_.now();
  if (takes_too_slowly(now)) {
    stats_.websockets.write_timeouts.add();
    return lose("the peer takes too slowly what is sent");
  }
  if (state_ == State::open) {
    if (paused_) {
      heard_ = now;  // we do not listen: its silence says nothing
      pinged_ = false;
    } else if (pinged_ && now >= pinged_at_ + limits_.ping_timeout) {
      stats_.websockets.ping_timeouts.add();
      return lose("the peer gave no sign of life");
    } else if (!pinged_ && limits_.ping_interval.count() > 0 && now >= heard_ + limits_.ping_interval) {
      pinged_ = true;
      pinged_at_ = now;
      try {
        push_control(Opcode::ping, {});
      } catch (const std::bad_alloc&) {
        return abort();
      }
      if (state_ != State::open) return;
    }
  } else if (now >= close_since_ + limits_.close_timeout) {
    if (state_ != State::gone) {
      if (state_ == State::closing) stats_.websockets.close_timeouts.add();
      lose("the peer did not answer the Close in time");
    }
    if (!std::exchange(lost_told_, true)) owner_.on_peer_lost();
    return;
  }
  schedule();
}

}  // namespace ashlar::http::detail
