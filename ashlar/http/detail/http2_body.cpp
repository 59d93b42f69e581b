// How a handler reads a body of HTTP/2 while it arrives: the stream's window holds the client up while nobody reads.
#include <ashlar/http/detail/http2_body.hpp>

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {

/// Where a reader waits for more of the body.
class Http2Stream::BodyWait final : public async::Waiter {
 public:
  explicit BodyWait(Http2Stream& stream) noexcept : stream_(stream) {}
  bool await_ready() noexcept {
    if (cancelled_already()) mark_cancelled();
    return cancelled();
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspend(handle);
    stream_.body_wait_ = this;
  }
  void await_resume() const { check_cancelled(); }
  void go_on() noexcept {
    stream_.body_wait_ = nullptr;
    wake();
  }

 private:
  void on_cancel() noexcept override {
    if (stream_.body_wait_ != this) return;
    mark_cancelled();
    go_on();
  }
  Http2Stream& stream_;
};

Task<std::string_view> Http2Stream::Body::next() {
  Http2Stream& stream = stream_;
  if (failed_) throw Cancelled("the body of this request cannot be read any further");
  bool waited = false;
  try {
    while (true) {
      if (!stream.open_) throw Cancelled("the client left in the middle of its request");
      if (std::exchange(stream.body_timed_out_, false)) throw RequestTimeout("The request did not arrive in time.");
      if (stream.body_error_ == 413) throw TooLarge("The body is larger than this server allows.");
      const std::string_view piece = stream.take_body();
      if (piece.empty() && stream.body_error_ != 0) throw Malformed("The trailers are too long.");
      if (!piece.empty() || !stream.remote_open_) {
        if (piece.empty()) stream.exchange_->request.trailers = stream.trailers_;
        stream.prolong_deadline();
        co_return piece;
      }
      if (std::exchange(stream.continue_owed_, false)) stream.send_continue();
      if (!std::exchange(waited, true)) {
        stream.body_since_ = stream.connection_->server_.loop().now();
        stream.body_received_ = 0;
      }
      co_await BodyWait(stream);
    }
  } catch (...) {
    failed_ = true;
    throw;
  }
}

std::string_view Http2Stream::take_body() noexcept {
  piece_.clear();
  std::swap(piece_, arrived_);
  if (!piece_.empty()) open_window(piece_.size());
  return piece_;
}

void Http2Stream::open_window(std::size_t bytes) noexcept {
  if (!remote_open_ || !open_) return;
  ::nghttp2_session_consume_stream(connection_->session_, id_, bytes);
  connection_->write_soon();
}

// ---- Bodies that are kept until they are complete: the connection has a budget for them all.

void Http2Stream::keep_within_budget(std::size_t bytes) noexcept {
  if (may_keep_more()) {
    bytes += body_held_;
    stop_holding();
    return open_window(bytes);
  }
  if (body_held_ == 0) {
    ++connection_->held_;
    connection_->server_.stats().http2_bodies_held.add();
  }
  body_held_ += bytes;
}

// Above the budget the oldest may go on, so that one after another is complete; but not while those that are complete
// already, and are handled, take all of it.
bool Http2Stream::may_keep_more() const noexcept {
  const std::uint64_t budget = connection_->server_.options().http2.body_budget;
  if (connection_->bodies_ <= budget) [[likely]]
    return true;
  std::uint64_t complete = connection_->bodies_;
  for (const Http2Stream* one = connection_->streams_; one != nullptr; one = one->next_) {
    if (one->phase_ != Phase::body) continue;
    if (one->id_ < id_) return false;
    complete -= one->body_kept_;
  }
  return complete <= budget;
}

void Http2Stream::stop_holding() noexcept {
  if (std::exchange(body_held_, 0) != 0) --connection_->held_;
}

void Http2Connection::open_held_bodies() noexcept {
  for (Http2Stream* stream = streams_; stream != nullptr && held_ != 0; stream = stream->next_) {
    if (stream->body_held_ == 0 || !stream->may_keep_more()) continue;
    --held_;
    stream->body_since_ = server_.loop().now();
    stream->body_received_ = 0;
    stream->open_window(std::exchange(stream->body_held_, 0));
  }
}

void Http2Stream::wake_body_reader() noexcept {
  if (body_wait_ != nullptr) body_wait_->go_on();
}

bool Http2Stream::body_too_slow(async::TimePoint now) noexcept {
  // Judged by each window for itself: what came fast before does not buy a silence later.
  const ServerOptions& options = connection_->server_.options();
  if (now < body_since_ + options.body_timeout) return false;
  const double seconds = std::chrono::duration<double>(now - body_since_).count();
  if (static_cast<double>(body_received_) < std::max(1.0, seconds * static_cast<double>(options.min_body_rate))) {
    return true;
  }
  body_since_ = now;
  body_received_ = 0;
  return false;
}

// The time that a client needs to send is judged by its rate; the request's deadline is for what the handler does
// between two pieces. One that somebody has shortened stays.
void Http2Stream::prolong_deadline() noexcept {
  async::TimePoint& deadline = exchange_->context.deadline;
  const LoopServer& server = connection_->server_;
  if (deadline == body_deadline_) deadline = body_deadline_ = server.loop().now() + server.options().request_timeout;
}

}  // namespace ashlar::http::detail
