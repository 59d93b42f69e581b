// How a connection of HTTP/1.1 reads the body of a request: whole, or piece by piece while the handler runs.
#include <ashlar/http/detail/http1_body.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {

bool Http1Connection::begin_body(const HeadResult& head) {
  const BodyPlan plan = server_.handler().plan_body(exchange_->request, server_.options().max_body);
  body_limit_ = plan.limit;
  if (head.content_length > body_limit_) {
    refuse({413, "The body is larger than this server allows.", "RFC 9110 §15.5.14"});
    return true;
  }
  phase_ = Phase::body;
  body_kind_ = head.body_kind;
  body_length_ = head.content_length;
  body_since_ = server_.loop().now();
  body_received_ = 0;
  body_at_ = begin_;
  decoder_.reset();
  if (plan.stream) return begin_stream_of_body();
  // Not needed once the client has begun to send (RFC 9110 §10.1.1).
  if (exchange_->request.expects_continue && begin_ == end_) cork().append("HTTP/1.1 100 Continue\r\n\r\n");
  return true;
}

bool Http1Connection::try_body() {
  std::string& storage = exchange_->body_storage;
  std::string_view& body = exchange_->request.body;
  if (body_kind_ == BodyKind::chunked) {
    std::string_view in = unread();
    const auto state = decoder_.feed(in, storage, body_limit_);
    begin_ = end_ - static_cast<std::uint32_t>(in.size());
    if (state == ChunkedDecoder::State::refused) return refuse(decoder_.refusal()), true;
    if (state == ChunkedDecoder::State::more) {
      begin_ = end_ = body_at_;  // all is decoded: read over it, behind the head that the request's views point to
      return false;
    }
    body = storage;
    exchange_->request.trailers = decoder_.trailers();
  } else if (!storage.empty()) {
    if (storage.size() < body_length_) return false;
    body = storage;
  } else if (end_ - begin_ >= body_length_) {
    body = unread().substr(0, body_length_);
    begin_ += static_cast<std::uint32_t>(body_length_);
  } else {
    if (begin_ + body_length_ > capacity_ && begin_ != end_) {
      storage.assign(unread());
      begin_ = end_;
    }
    return false;
  }
  dispatch();
  return true;
}

bool Http1Connection::body_too_slow(async::TimePoint now) noexcept {
  // Judged by each window for itself: what came fast before does not buy a silence later.
  const ServerOptions& options = server_.options();
  if (now < body_since_ + options.body_timeout) return false;
  const double seconds = std::chrono::duration<double>(now - body_since_).count();
  if (static_cast<double>(body_received_) < std::max(1.0, seconds * static_cast<double>(options.min_body_rate))) {
    return true;
  }
  body_since_ = now;
  body_received_ = 0;
  return false;
}

// ---------------------------------------------------------------------------------------------------- piece by piece

/// Where a reader waits for more of the body.
class Http1Connection::BodyWait final : public async::Waiter {
 public:
  explicit BodyWait(Http1Connection& connection) noexcept : connection_(connection) {}
  bool await_ready() noexcept {
    if (cancelled_already()) mark_cancelled();
    return cancelled();
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspend(handle);
    connection_.body_wait_ = this;
    connection_.pause_reading_ = false;
    connection_.update_interest();
  }
  void await_resume() const { check_cancelled(); }
  void go_on() noexcept {
    connection_.body_wait_ = nullptr;
    wake();
  }

 private:
  void on_cancel() noexcept override {
    if (connection_.body_wait_ != this) return;
    mark_cancelled();
    go_on();
  }
  Http1Connection& connection_;
};

Task<std::string_view> Http1Connection::Body::next() {
  Http1Connection& connection = connection_;
  if (failed_) throw Cancelled("the body of this request cannot be read any further");
  bool waited = false;
  try {
    while (true) {
      if (connection.phase_ == Phase::closed) throw Cancelled("the client left in the middle of its request");
      if (std::exchange(connection.body_timed_out_, false)) {
        throw RequestTimeout("The request did not arrive in time.");
      }
      const std::string_view piece = connection.take_body();
      if (!piece.empty() || !connection.body_open_) {
        connection.prolong_deadline();
        co_return piece;
      }
      if (connection.fill_body()) continue;
      if (std::exchange(connection.continue_owed_, false)) {
        connection.cork().append("HTTP/1.1 100 Continue\r\n\r\n");
        connection.flush();
      }
      if (!std::exchange(waited, true)) {
        connection.body_since_ = connection.server_.loop().now();
        connection.body_received_ = 0;
      }
      co_await BodyWait(connection);
    }
  } catch (...) {
    failed_ = true;
    throw;
  }
}

bool Http1Connection::begin_stream_of_body() {
  make_room(kBodyStep);  // now: afterwards the handler holds views into it
  body_at_ = begin_;
  body_left_ = body_length_;
  body_ = std::make_unique<Body>(*this, body_kind_ == BodyKind::length ? std::optional(body_length_) : std::nullopt);
  exchange_->body = body_.get();
  body_open_ = true;
  continue_owed_ = exchange_->request.expects_continue && begin_ == end_;
  dispatch();
  return true;
}

// What has arrived of the body; empty when nothing has.
std::string_view Http1Connection::take_body() {
  if (!body_open_) return {};
  if (body_kind_ == BodyKind::length) {
    const std::string_view piece = unread().substr(0, body_left_);
    begin_ += static_cast<std::uint32_t>(piece.size());
    body_left_ -= piece.size();
    body_open_ = body_left_ != 0;
    return piece;
  }
  std::string& storage = exchange_->body_storage;
  storage.clear();
  std::string_view in = unread();
  const auto state = decoder_.feed(in, storage, body_limit_ - body_left_);
  begin_ = end_ - static_cast<std::uint32_t>(in.size());
  body_left_ += storage.size();
  if (state == ChunkedDecoder::State::refused) {
    const Refusal& refusal = decoder_.refusal();
    count_refusal(server_.stats(), refusal.status);
    if (refusal.status == 413) throw TooLarge(std::string(refusal.detail));
    throw Malformed(std::string(refusal.detail));
  }
  body_open_ = state == ChunkedDecoder::State::more;
  if (!body_open_) exchange_->request.trailers = decoder_.trailers();
  return storage;
}

// True: something came.
bool Http1Connection::fill_body() {
  begin_ = end_ = body_at_;  // all before it was taken
  const net::Io io = transport_.read({block_ + end_, capacity_ - end_});
  switch (io.state) {
    case net::Io::State::done:
      end_ += static_cast<std::uint32_t>(io.bytes);
      body_received_ += io.bytes;
      server_.stats().bytes_received.add(io.bytes);
      return true;
    case net::Io::State::would_block:
      return false;
    case net::Io::State::closed:
    case net::Io::State::failed:
      break;
  }
  client_left();
  throw Cancelled("the client left in the middle of its request");
}

// The time that a client needs to send is judged by its rate; the request's deadline is for what the handler does
// between two pieces. One that somebody has shortened stays.
void Http1Connection::prolong_deadline() noexcept {
  async::TimePoint& deadline = exchange_->context.deadline;
  if (deadline == body_deadline_) deadline = body_deadline_ = server_.loop().now() + server_.options().request_timeout;
}

void Http1Connection::wake_body_reader() noexcept {
  if (body_wait_ != nullptr) body_wait_->go_on();
}

}  // namespace ashlar::http::detail
