// What a stream of HTTP/2 sends: the head of its answer, and a body or pieces as the client's windows take them.
#include <nghttp2/nghttp2.h>

#include <array>
#include <charconv>
#include <new>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/http2_body.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/http2_fields.hpp>
#include <ashlar/http/detail/http2_loop.hpp>
#include <ashlar/http/detail/http2_websocket.hpp>
#include <ashlar/http/detail/loop_server.hpp>
#include <ashlar/http/file_body.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kAhead = 64 * 1024;  // how far a generator may be ahead of its client

// Name and value stay where they are until the session has sent them: it copies neither.
nghttp2_nv field(std::string_view name, std::string_view value, std::uint8_t flags = 0) noexcept {
  return {.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = static_cast<std::uint8_t>(NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE | flags)};
}

// "Name: value\r\n"…, with the names made lower-case in `scratch`.
void add_lines(std::vector<nghttp2_nv>& fields, std::string_view lines, Scratch& scratch) {
  if (lines.empty()) return;
  const auto memory = static_cast<char*>(scratch.allocate(lines.size(), 1));
  char* to = memory;
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const char* const name = to;
    for (const char c : line.substr(0, colon)) *to++ = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    const std::string_view lower(name, colon);
    const KnownHeader known = find_known_header(lower);
    if (about_the_connection(known) || known == KnownHeader::content_length) continue;
    // A cookie that is set is a secret: kept out of the tables that compression could tell about (RFC 7541 §7.1.3).
    fields.push_back(field(lower, trim(line.substr(colon + 1)),
                           lower == "set-cookie" ? std::uint8_t{NGHTTP2_NV_FLAG_NO_INDEX} : std::uint8_t{0}));
  }
}

ssize_t read_data(nghttp2_session* session, std::int32_t id, std::uint8_t*, std::size_t most, std::uint32_t* flags,
                  nghttp2_data_source* source, void*) noexcept {
  auto& stream = *static_cast<Http2Stream*>(source->ptr);
  const std::size_t size = stream.unsent().size();
  if (size == 0 && !stream.complete()) {
    stream.wait_for_more();
    return NGHTTP2_ERR_DEFERRED;
  }
  if (size == 0 && stream.broken()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets it: INTERNAL_ERROR
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (size <= most && stream.complete() && !stream.broken()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    // A request that is answered before it is complete: no more of it is wanted (RFC 9113 §8.1).
    if (::nghttp2_session_get_stream_remote_close(session, id) == 0 && !stream.lingers()) {
      ::nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    }
  }
  return static_cast<ssize_t>(std::min(size, most));
}

}  // namespace

/// Where a generator waits until the client has taken enough.
class Http2Stream::OutputWait final : public async::Waiter {
 public:
  explicit OutputWait(Http2Stream& stream) noexcept : stream_(stream) {}
  bool await_ready() noexcept {
    if (!cancelled_already()) return !stream_.far_ahead();
    mark_cancelled();
    return true;
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspend(handle);
    stream_.output_wait_ = this;
  }
  void await_resume() const { check_cancelled(); }
  void go_on() noexcept {
    stream_.output_wait_ = nullptr;
    wake();
  }

 private:
  void on_cancel() noexcept override {
    if (stream_.output_wait_ != this) return;
    mark_cancelled();
    go_on();
  }
  Http2Stream& stream_;
};

void Http2Stream::respond() {
  if (connects_ && exchange_->response.status < 300) [[unlikely]] {
    // To this client it would say that there is a WebSocket now (RFC 8441 §5).
    exchange_->response.clear();
    return refuse({400, "There is no WebSocket at this path.", "RFC 8441 §5"});
  }
  const Request& request = exchange_->request;
  // nghttp2 frames what it copies: sendfile would save nothing.
  if (exchange_->response.file_body() != nullptr) [[unlikely]]
    exchange_->response.stream_file();
  const Response& response = exchange_->response;
  if (response.close_connection) connection_->announce_end();
  const bool no_content = response.status == 204 || response.status == 304;
  const bool no_body = no_content || response.status == 205 || request.method == Method::head;
  if (response.streaming()) [[unlikely]]
    return begin_pieces(no_body);
  phase_ = Phase::sending;
  if (!no_body) body_ = response.body_bytes();
  complete_ = true;
  submit(no_content               ? std::nullopt
         : response.status == 205 ? std::optional<std::uint64_t>(0)
                                  : std::optional<std::uint64_t>(response.body_bytes().size()),
         !body_.empty());
}

void Http2Stream::submit(std::optional<std::uint64_t> length, bool data) {
  LoopServer& server = connection_->server_;
  const Response& response = exchange_->response;
  std::vector<nghttp2_nv>& fields = connection_->shared_->fields();
  fields.clear();
  const int status = response.status >= 200 && response.status <= 999 ? response.status : 500;
  std::to_chars(status_, status_ + sizeof status_, status);
  fields.push_back(field(":status", {status_, sizeof status_}));
  if (!response.content_type.empty()) fields.push_back(field("content-type", response.content_type));
  fields.push_back(field("date", server.head_start().date()));
  if (!server.options().server_header.empty()) fields.push_back(field("server", server.options().server_header));
  if (length) {
    const char* const end = std::to_chars(length_, length_ + sizeof length_, *length).ptr;
    fields.push_back(field("content-length", {length_, end}));
  }
  add_lines(fields, response.header_lines(), exchange_->scratch);
  if (phase_ != Phase::streaming && phase_ != Phase::websocket) complete_ = true;
  // Before its time the end of the stream can only be said with DATA: see read_data.
  nghttp2_data_provider provider{.source = {.ptr = this}, .read_callback = &read_data};
  const bool provides = data || remote_open_;
  if (::nghttp2_submit_response(connection_->session_, id_, fields.data(), fields.size(),
                                provides ? &provider : nullptr) != 0) {
    throw std::bad_alloc();
  }
}

void Http2Stream::send_continue() noexcept {
  continue_owed_ = false;
  const nghttp2_nv fields[] = {field(":status", "100")};
  ::nghttp2_submit_headers(connection_->session_, NGHTTP2_FLAG_NONE, id_, nullptr, fields, 1, nullptr);
  connection_->write_soon();
}

void Http2Stream::reset(std::uint32_t error_code) noexcept {
  if (!open_) return;
  own_reset_ = true;
  ::nghttp2_submit_rst_stream(connection_->session_, NGHTTP2_FLAG_NONE, id_, error_code);
  connection_->write_soon();
}

void Http2Stream::moved(std::size_t bytes) noexcept {
  moved_ += bytes;
  if (!streamed_) return body_.remove_prefix(bytes);
  pieces_.pop(bytes);
  if (websocket_ != nullptr) [[unlikely]]
    return websocket_->on_moved();
  if (output_wait_ != nullptr && !far_ahead()) output_wait_->go_on();
}

// ---------------------------------------------------------------------------------------------------- piece by piece

bool Http2Stream::far_ahead() const noexcept { return open_ && pieces_.size() > kAhead; }

void Http2Stream::begin_pieces(bool no_body) {
  Response& response = exchange_->response;
  const std::optional<std::uint64_t> length = response.status == 204 || response.status == 304 ? std::nullopt
                                              : response.status == 205 ? std::optional<std::uint64_t>(0)
                                                                       : response.stream_length();
  if (no_body) {
    phase_ = Phase::sending;
    return submit(length, false);
  }
  phase_ = Phase::streaming;
  streamed_ = true;
  pieces_counted_ = length.has_value();
  pieces_left_ = length.value_or(0);
  submit(length, true);
  connection_->server_.stats().streams.add();
  ++connection_->out_;
  exchange_->context.deadline = async::TimePoint::max();
  exchange_->context.scope = &exchange_->scope;
  last_piece_ = connection_->server_.loop().now();
  if (connection_->server_.draining()) begin_drain();
  const async::ContextGuard guard(&exchange_->context);
  async::launch(pump(response.take_stream()), *this);
}

Task<void> Http2Stream::pump(Generator<std::string> generator) {
  while (true) {
    producing_ = true;
    std::optional<std::string> piece = co_await generator.next();
    producing_ = false;
    if (!piece || !open_) co_return;
    last_piece_ = connection_->server_.loop().now();
    if (!piece->empty()) send_piece(std::move(*piece));
    co_await OutputWait(*this);
  }
}

// As Http1Connection::beat.
void Http2Stream::beat(async::TimePoint now) noexcept {
  const StreamOptions& options = exchange_->response.stream_options();
  if (options.heartbeat.count() == 0 || !producing_ || !open_ || !pieces_.empty()) return;
  if (now < last_piece_ + options.heartbeat) return;
  last_piece_ = now;
  try {
    send_piece(std::string(options.heartbeat_bytes));
  } catch (const std::exception&) {  // no memory: the next one comes
  }
}

void Http2Stream::begin_drain() noexcept {
  if (websocket_ != nullptr) {
    return websocket_->say_goodbye(close_code::going_away, "the service is shutting down");
  }
  if (phase_ == Phase::streaming && exchange_->response.stream_options().open_ended) {
    exchange_->scope.cancel(async::CancelReason::shutdown);
  }
}

void Http2Stream::send_piece(std::string&& piece) {
  if (pieces_counted_) {
    if (piece.size() > pieces_left_) throw Internal("a streamed body is longer than its announced length");
    pieces_left_ -= piece.size();
  }
  pieces_.add(std::move(piece));
  resume();
}

void Http2Stream::resume() noexcept {
  if (std::exchange(deferred_, false)) ::nghttp2_session_resume_data(connection_->session_, id_);
  connection_->write_soon();
}

void Http2Stream::on_complete(std::exception_ptr error) noexcept {
  const async::ContextGuard guard(nullptr);
  Http2Connection& connection = *connection_;
  connection.server_.stats().streams.subtract();
  if (!open_) {
    connection.release(*this);
    return connection.exchange_back();
  }
  phase_ = Phase::sending;
  producing_ = false;
  if (exchange_->response.stream_options().open_ended && exchange_->scope.reason() == async::CancelReason::shutdown) {
    error = nullptr;  // ended by the drain, in order
  }
  --connection.out_;
  complete_ = true;
  // The client must see that the body is cut short, when it has got what there is.
  broken_ = own_reset_ = error != nullptr || (pieces_counted_ && pieces_left_ != 0);
  resume();
}

}  // namespace ashlar::http::detail
