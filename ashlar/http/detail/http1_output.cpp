// What a connection of HTTP/1.1 sends: answers, streams, and what the socket did not take at once.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/file_output.hpp>
#include <ashlar/http/detail/http1_connection.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kCopiedBody = 16 * 1024;    // a larger body goes to the kernel from where it is
constexpr std::size_t kFlushAt = 64 * 1024;       // corked bytes of a long pipeline
constexpr std::uint64_t kFileTurn = 1024 * 1024;  // of a file before others have their turn

}  // namespace

/// Where a stream waits until the client has taken enough.
class StreamWait final : public async::Waiter {
 public:
  explicit StreamWait(Http1Connection& connection) noexcept : connection_(connection) {}
  bool await_ready() noexcept {
    if (!cancelled_already()) return !connection_.over_high_water();
    mark_cancelled();
    return true;
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspend(handle);
    connection_.stream_wait_ = this;
  }
  void await_resume() const { check_cancelled(); }
  void go_on() noexcept {
    connection_.stream_wait_ = nullptr;
    wake();
  }

 private:
  void on_cancel() noexcept override {
    if (connection_.stream_wait_ != this) return;
    mark_cancelled();
    go_on();
  }
  Http1Connection& connection_;
};

void Http1Connection::respond() {
  server_.stats().requests_running.subtract();
  phase_ = Phase::head;
  pause_reading_ = false;
  const Request& request = exchange_->request;
  Response& response = exchange_->response;

  bool close = !request.keep_alive || end_of_input_;
  if (response.close_connection) close = linger_ = true;
  if (requests_ >= server_.options().max_requests_per_connection) [[unlikely]] {
    server_.stats().request_limits.add();
    close = linger_ = true;
  }
  if (body_open_) [[unlikely]]  // what is left of it cannot be told apart from a next request
    close = linger_ = true;
  // In a drain the last request that has arrived is the one to say it with.
  if (server_.draining() && !close && !more_input_waits()) [[unlikely]]
    close = linger_ = true;

  if (response.streaming()) [[unlikely]]
    return begin_stream(close);
  const bool no_content = response.status == 204 || response.status == 304;
  const bool no_body = no_content || response.status == 205;
  const FileBody* const file = no_body ? nullptr : response.file_body();
  const std::string_view body = no_body ? std::string_view() : response.body_bytes();
  close_after_ = close_after_ || close;
  write_head(cork(), server_.head_start(), response,
             {.framing = no_content ? Framing::none : Framing::length,
              .length = file != nullptr ? file->length() : body.size(),
              .connection = close                                ? std::string_view("close")
                            : request.version == Version::http10 ? std::string_view("keep-alive")
                                                                 : std::string_view()});
  if (request.method != Method::head) {
    if (file != nullptr) [[unlikely]] {
      begin_file(response.take_file());
    } else if (body.size() > kCopiedBody) [[unlikely]] {
      send(body, body.data() == response.body.data() ? &response.body : nullptr, response.body_owner());
    } else {
      cork().append(body);
      if (cork().size() >= kFlushAt) [[unlikely]]
        flush();
    }
  }
  if (exchange_ != nullptr) end_exchange();
}

void Http1Connection::begin_stream(bool close) {
  const Request& request = exchange_->request;
  Response& response = exchange_->response;
  const bool no_content = response.status == 204 || response.status == 304;
  // A 205 has no content either, but says so with a length (RFC 9110 §15.3.6).
  const std::optional<std::uint64_t> length =
      response.status == 205 ? std::optional<std::uint64_t>(0) : response.stream_length();
  stream_framing_ = no_content                           ? Framing::none
                    : length                             ? Framing::length
                    : request.version == Version::http11 ? Framing::chunked
                                                         : Framing::until_close;
  const bool no_body = no_content || response.status == 205 || request.method == Method::head;
  if (stream_framing_ == Framing::until_close && !no_body) close = true;
  close_after_ = close_after_ || close;
  stream_left_ = length.value_or(0);
  write_head(cork(), server_.head_start(), response,
             {.framing = stream_framing_,
              .length = stream_left_,
              .connection = close                                ? std::string_view("close")
                            : request.version == Version::http10 ? std::string_view("keep-alive")
                                                                 : std::string_view()});
  if (no_body) return end_exchange();

  phase_ = Phase::streaming;
  last_piece_ = server_.loop().now();
  server_.stats().streams.add();
  exchange_->context.deadline = async::TimePoint::max();
  exchange_->context.scope = &exchange_->scope;
  if (server_.draining()) begin_drain();
  const async::ContextGuard guard(&exchange_->context);
  async::launch(pump(response.take_stream()), *this);
}

void Http1Connection::begin_file(FileBody file) {
  flush();
  if (phase_ == Phase::closed) return;
  if (unsent_.empty()) wait_for_client(0);
  unsent_.push_file(std::move(file));
  if (write_unsent() && !running_) update_interest();
}

Task<void> Http1Connection::pump(Generator<std::string> generator) {
  while (true) {
    producing_ = true;
    std::optional<std::string> piece = co_await generator.next();
    producing_ = false;
    if (!piece || phase_ == Phase::closed) co_return;
    last_piece_ = server_.loop().now();
    if (!piece->empty()) send_piece(std::move(*piece));
    co_await StreamWait(*this);
  }
}

// A stream whose generator has been silent for long enough says that it is still there.
void Http1Connection::beat(async::TimePoint now) noexcept {
  const StreamOptions& options = exchange_->response.stream_options();
  if (options.heartbeat.count() == 0 || !producing_ || !unsent_.empty()) return;
  if (now < last_piece_ + options.heartbeat) return;
  last_piece_ = now;
  try {
    send_piece(std::string(options.heartbeat_bytes));
    flush();
  } catch (const std::exception&) {  // no memory: the next one comes
  }
}

void Http1Connection::send_piece(std::string&& piece) {
  if (stream_framing_ == Framing::length) {
    if (piece.size() > stream_left_) throw Internal("a streamed body is longer than its announced length");
    stream_left_ -= piece.size();
  }
  Cork& cork = this->cork();
  if (stream_framing_ == Framing::chunked) {
    char size[kMostChunkDigits];
    cork.append(format_chunk_size(piece.size(), size));
    cork.append("\r\n");
    if (piece.size() <= kCopiedBody) {
      cork.append(piece);
      cork.append("\r\n");
      return flush();
    }
    piece += "\r\n";
  }
  send(piece, &piece);
}

void Http1Connection::on_complete(std::exception_ptr error) noexcept {
  const async::ContextGuard guard(nullptr);
  server_.stats().streams.subtract();
  if (phase_ == Phase::closed) {
    end_exchange();
    return server_.retire(*this);
  }
  phase_ = Phase::head;
  pause_reading_ = producing_ = false;
  const bool ended_by_drain = error != nullptr && exchange_->response.stream_options().open_ended &&
                              exchange_->scope.reason() == async::CancelReason::shutdown;
  if (ended_by_drain) {
    error = nullptr;
    close_after_ = linger_ = true;
  }
  end_exchange();
  if (error != nullptr || (stream_framing_ == Framing::length && stream_left_ != 0)) {
    // The client must see that the body is cut short; without a length only a reset tells it.
    if (stream_framing_ == Framing::until_close) {
      const linger reset{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(transport_.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    return close_now();
  }
  if (stream_framing_ == Framing::chunked) cork().append(kLastChunk);
  run();
  read_decrypted();
}

void Http1Connection::begin_drain() noexcept {
  if (phase_ == Phase::streaming && exchange_->response.stream_options().open_ended) {
    exchange_->scope.cancel(async::CancelReason::shutdown);
  }
}

void Http1Connection::send(std::string_view body, std::string* owner,
                           const std::shared_ptr<const void>& shared) noexcept {
  Cork& cork = this->cork();
  const std::string_view first = cork.view();
  cork.clear();  // the bytes stay where they are: nobody writes before they are sent or queued
  send(first, body, owner, shared);
}

void Http1Connection::send_kept(std::string_view output) noexcept { send(output, {}, nullptr, nullptr); }

void Http1Connection::send(std::string_view first, std::string_view body, std::string* owner,
                           const std::shared_ptr<const void>& shared) noexcept {
  if (phase_ == Phase::closed || (first.empty() && body.empty())) return;
  std::size_t sent = 0;
  if (unsent_.empty()) {
    const iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                            {const_cast<char*>(body.data()), body.size()}};
    const std::size_t skipped = first.empty() ? 1 : 0;
    const net::Io io = transport_.write(std::span(parts).subspan(skipped, (body.empty() ? 1U : 2U) - skipped));
    if (io.state == net::Io::State::closed || io.state == net::Io::State::failed) return client_left(), close_now();
    sent = io.bytes;
    server_.stats().bytes_sent.add(sent);
    if (sent == first.size() + body.size()) [[likely]]
      return;
    wait_for_client(sent);
  }
  const std::size_t of_first = std::min(sent, first.size());
  unsent_.push_copy(first.substr(of_first));
  if (owner != nullptr) {
    unsent_.push_owned(std::move(*owner), sent - of_first);
  } else {
    unsent_.push_shared(body.substr(sent - of_first), shared);
  }
  if (over_high_water()) server_.stats().paused.add();
  if (!running_) update_interest();
}

// False: the connection is closed.
bool Http1Connection::write_unsent() noexcept {
  iovec parts[OutputQueue::kMostParts];
  std::uint64_t file_left = kFileTurn;
  while (!unsent_.empty() && file_left != 0) {
    const std::optional<FileBody> file = unsent_.front_file();
    const FileIo io = file ? write_file(transport_, *file, file_left) : FileIo{transport_.write(unsent_.front(parts))};
    if (io.result.state == net::Io::State::would_block) break;
    if (io.broken_off) server_.stats().files_broken_off.add();
    if (io.result.state != net::Io::State::done) {
      if (!io.broken_off) client_left();
      close_now();
      return false;
    }
    if (file) file_left -= std::min<std::uint64_t>(file_left, io.result.bytes);
    unsent_.pop(io.result.bytes);
    written_ += io.result.bytes;
    server_.stats().bytes_sent.add(io.result.bytes);
  }
  write_waits_ = !unsent_.empty();
  return true;
}

void Http1Connection::on_writable() noexcept {
  if (!write_unsent()) return;
  if (stream_wait_ != nullptr && !over_high_water()) stream_wait_->go_on();
  run();
  read_decrypted();
}

bool Http1Connection::over_high_water() const noexcept { return unsent_.bytes() > server_.options().output_high_water; }

}  // namespace ashlar::http::detail
