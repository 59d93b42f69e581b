#include <ashlar/http/detail/client_http2.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/chunked.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/framing.hpp>
#include <ashlar/http/detail/http2_fields.hpp>

namespace ashlar::http::detail {
namespace {

constexpr std::size_t kAhead = 64 * 1024;  // how far a stream may be ahead of its server
constexpr std::size_t kMostRequestHead = 128 * 1024;
constexpr std::size_t kLineEnds = 4;  // ": " and CR LF: a head counts as it would in HTTP/1.1

nghttp2_nv field(std::string_view name, std::string_view value, std::uint8_t flags = NGHTTP2_NV_FLAG_NONE) noexcept {
  return {.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = flags};
}

// What is new each time, or secret, has no place in the tables of compression (RFC 7541 §7.1.3). nghttp2 knows
// Authorization and short cookies by itself.
std::uint8_t indexing(KnownHeader name) noexcept {
  switch (name) {
    case KnownHeader::x_api_key:
    case KnownHeader::x_csrf_token:
    case KnownHeader::idempotency_key:
    case KnownHeader::traceparent:
    case KnownHeader::x_request_id:
    case KnownHeader::x_request_timeout_ms:
      return NGHTTP2_NV_FLAG_NO_INDEX;
    default:
      return NGHTTP2_NV_FLAG_NONE;
  }
}

/// A head of HTTP/1.1 as the fields of HTTP/2, which are views into its own copy of it.
class RequestFields {
 public:
  RequestFields(std::string head, bool secure, bool expects_continue) : text_(std::move(head)) {
    std::string_view left = text_;
    std::string_view start = line(left);
    const std::string_view method = word(start);
    all_ = {field(":method", method), field(":scheme", secure ? "https" : "http"), field(":path", word(start))};
    find_nominated(left);
    while (!left.empty()) add(line(left));
    if (expects_continue) all_.push_back(field("expect", "100-continue"));
  }
  [[nodiscard]] std::span<const nghttp2_nv> all() const noexcept { return all_; }

 private:
  static std::string_view line(std::string_view& left) noexcept {
    const std::size_t end = left.find("\r\n");
    const std::string_view one = left.substr(0, end);
    left.remove_prefix(end + 2);
    return one;
  }
  static std::string_view word(std::string_view& left) noexcept {
    const std::size_t end = left.find(' ');
    const std::string_view one = left.substr(0, end);
    left.remove_prefix(end + 1);
    return one;
  }
  static std::string_view value_of(std::string_view line, std::size_t colon) noexcept {
    return trim(line.substr(colon + 1));
  }

  // Fields that Connection names are about the connection, too (RFC 9110 §7.6.1).
  void find_nominated(std::string_view left) {
    while (!left.empty()) {
      const std::string_view one = line(left);
      const std::size_t colon = one.find(':');
      if (find_known_header(one.substr(0, colon)) != KnownHeader::connection) continue;
      for_each_element(value_of(one, colon), [&](std::string_view name) { nominated_.push_back(name); });
    }
  }

  void add(std::string_view line) {
    const std::size_t colon = line.find(':');
    char* const name = text_.data() + (line.data() - text_.data());
    for (char* c = name; c != name + colon; ++c) *c = to_lower_ascii(*c);
    const std::string_view lower(name, colon);
    const std::string_view value = value_of(line, colon);
    const KnownHeader known = find_known_header(lower);
    if (known == KnownHeader::host) {
      if (!value.empty()) all_.insert(all_.begin() + 2, field(":authority", value));
      return;
    }
    if (about_the_connection(known) || lower == "http2-settings") return;
    if (known == KnownHeader::te && !equal_ignoring_case(value, "trailers")) return;
    if (std::ranges::any_of(nominated_, [&](std::string_view one) { return equal_ignoring_case(one, lower); })) return;
    all_.push_back(field(lower, value, indexing(known)));
  }

  std::string text_;
  std::vector<nghttp2_nv> all_;
  std::vector<std::string_view> nominated_;
};

}  // namespace

/// Where the exchange waits for the connection.
class Http2Exchange::Wait final : public async::Waiter {
 public:
  explicit Wait(Http2Exchange& exchange) noexcept : exchange_(exchange) {}
  bool await_ready() noexcept {
    if (cancelled_already()) mark_cancelled();
    return cancelled();
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    suspend(handle);
    exchange_.wait_ = this;
    exchange_.place_->begin_wait();
  }
  void await_resume() const { check_cancelled(); }
  void go_on() noexcept {
    exchange_.wait_ = nullptr;
    exchange_.place_->end_wait();
    Waiter::wake();
  }

 private:
  void on_cancel() noexcept override {
    if (exchange_.wait_ != this) return;
    mark_cancelled();
    go_on();
  }
  Http2Exchange& exchange_;
};

void Http2Exchange::wake() noexcept {
  if (wait_ != nullptr) wait_->go_on();
}

// ---------------------------------------------------------------------------------------------------- the request

Task<void> Http2Exchange::ask(const ClientMessage& message) {
  submit(message);
  if (message.expect_continue && message.has_body()) co_await wait_for_continue();
  if (open_ && !answered_) {
    if (message.stream != nullptr) {
      co_await send_stream(message);
    } else if (!all_given_) {
      body_ = message.body;
      all_given_ = true;
      resume();
    }
  }
  while (!answered_) {
    if (!open_) fail_as_closed();
    co_await Wait(*this);
  }
  if (!message.body_stays && !unsent().empty() && !streamed_) {
    own_body_ = body_;
    body_ = own_body_;
  }
}

void Http2Exchange::submit(const ClientMessage& message) {
  to_head_ = message.to_head;
  streamed_ = message.stream != nullptr;
  const bool asks = message.expect_continue && message.has_body();
  if (!asks && !streamed_) {
    body_ = message.body;
    all_given_ = true;
  }
  if (message.head.size() > kMostRequestHead) {
    throw Invalid(fmt::format("{}: the request's head has more than {} bytes", where_, kMostRequestHead));
  }
  const RequestFields fields(message.head, place_->secure(), asks);
  if (place_->submit(*this, fields.all(), message.has_body())) return;
  if (place_->lost_by().empty()) throw Refused{.connection_ends = true};  // or it has used up its numbers
  lost_ = true;
  fail_as_closed();
}

Task<void> Http2Exchange::send_stream(const ClientMessage& message) {
  Generator<std::string> source = (*message.stream)();
  std::uint64_t given = 0;
  while (auto piece = co_await source.next()) {
    if (!open_ || answered_) co_return;
    if (piece->empty()) continue;
    given += piece->size();
    check_stream_length(message, given, false);
    pieces_.add(std::move(*piece));
    resume();
    while (unsent().size() > kAhead) {
      if (!open_ || answered_) co_return;
      co_await Wait(*this);
    }
  }
  check_stream_length(message, given, true);
  all_given_ = true;
  resume();
}

void Http2Exchange::resume() noexcept {
  if (!open_) return;
  if (std::exchange(deferred_, false)) ::nghttp2_session_resume_data(place_->session(), id_);
  place_->write_soon();
}

ssize_t Http2Exchange::read_request_body(nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t most,
                                         std::uint32_t* flags, nghttp2_data_source*, void*) noexcept {
  auto* const exchange = static_cast<Http2Exchange*>(::nghttp2_session_get_stream_user_data(session, id));
  if (exchange == nullptr) return NGHTTP2_ERR_DEFERRED;  // dropped: its RST_STREAM is on the way
  const std::string_view unsent = exchange->unsent();
  if (unsent.empty() && !exchange->all_given_) {
    exchange->deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const std::size_t size = std::min(unsent.size(), most);
  std::memcpy(to, unsent.data(), size);
  if (exchange->streamed_) {
    exchange->pieces_.pop(size);
  } else {
    exchange->body_.remove_prefix(size);
  }
  if (exchange->all_given_ && size == unsent.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (exchange->streamed_ && exchange->unsent().size() <= kAhead) exchange->wake();
  return static_cast<ssize_t>(size);
}

Task<void> Http2Exchange::wait_for_continue() {
  const auto wait = [](Http2Exchange& self) -> Task<void> {
    while (self.open_ && !self.answered_ && !self.told_to_continue_) co_await Wait(self);
  };
  try {
    co_await async::timeout(kContinueWait, wait(*this));
  } catch (const DeadlineExceeded&) {  // says nothing; when it was the request's own deadline, the next wait tells
  }
}

// The answer is whole, and the server wants no more (RFC 9113 §8.1).
void Http2Exchange::stop_sending() noexcept {
  if (::nghttp2_session_get_stream_local_close(place_->session(), id_) != 0) return;
  body_ = {};
  pieces_.clear(0);
  all_given_ = false;
  ::nghttp2_submit_rst_stream(place_->session(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_NO_ERROR);
}

// ----------------------------------------------------------------------------------------------------- the answer

bool Http2Exchange::refuse(std::string_view why) {
  if (failure_.empty()) failure_ = why;
  return false;
}

bool Http2Exchange::on_field(std::string_view name, std::string_view value) {
  if (!failure_.empty()) return true;
  answer_began_ = true;
  const std::size_t size = name.size() + value.size() + kLineEnds;
  if (answered_) {
    trailers_size_ += size;
    if (trailers_size_ > ChunkedDecoder::kMaxTrailers) return refuse("its trailers are too long");
    if (allowed_trailer(name)) trailers_.append(name).append(": ").append(value).append("\r\n");
    return true;
  }
  head_size_ += size;
  if (head_size_ > place_->options().max_head) return refuse("its head is larger than the client allows");
  if (name == ":status") {
    head_.status = 0;
    for (const char c : value) head_.status = head_.status * 10 + (c - '0');
    return true;
  }
  const std::size_t at = head_text_.size();
  head_text_.append(name).append(": ").append(value).append("\r\n");
  places_.push_back({at, name.size(), at + name.size() + 2, value.size()});
  return true;
}

bool Http2Exchange::on_head_end() {
  if (!failure_.empty() || answered_) return true;
  if (head_.status == 101) return refuse("101 in HTTP/2");
  if (head_.status < 200) {  // not for the caller (RFC 9110 §15.2)
    if (++interim_ > kMostInterim) return refuse("interim answers without end");
    if (head_.status == 100) {
      told_to_continue_ = true;
      wake();
    }
    head_text_.clear();
    places_.clear();
    head_size_ = 0;
    return true;
  }
  bool has_length = false;
  for (const Place& place : places_) {
    const std::string_view text = head_text_;
    const Header header{.name = text.substr(place.name, place.name_size),
                        .value = text.substr(place.value, place.value_size)};
    head_.headers.push_back(header);
    if (find_known_header(header.name) != KnownHeader::content_length) continue;
    if (!parse_length(header.value, head_.content_length).detail.empty() || has_length) {
      return refuse("its Content-Length is not one number");
    }
    has_length = true;
  }
  const bool no_body = to_head_ || head_.status == 204 || head_.status == 304;
  head_.framing = no_body ? ResponseFraming::none : has_length ? ResponseFraming::length : ResponseFraming::chunked;
  head_.state = ResponseHead::State::complete;
  answered_ = true;
  wake();
  return true;
}

bool Http2Exchange::on_data(std::string_view bytes) {
  if (!failure_.empty()) return true;
  if (!answered_) return refuse("a body before its head");
  arrived_.append(bytes);
  wake();
  return true;
}

bool Http2Exchange::on_end() {
  if (!failure_.empty()) return true;
  ended_ = true;
  complete_ = answered_ && arrived_.empty();
  stop_sending();
  wake();
  return true;
}

void Http2Exchange::on_close(std::uint32_t error_code) noexcept {
  open_ = false;
  error_ = error_code;
  wake();
}

void Http2Exchange::on_lost() noexcept {
  if (!std::exchange(open_, false)) return;  // it had its end before
  lost_ = true;
  wake();
}

Task<void> Http2Exchange::read_body(std::string& out, std::uint64_t most) {
  while (arrived_.empty() && !ended_) {
    if (!open_) fail_as_closed();
    co_await Wait(*this);
  }
  if (arrived_.size() > most || out.size() > most - arrived_.size()) fail_for_good(kTooLarge);
  const std::size_t size = arrived_.size();
  if (out.empty() && out.capacity() < size) {
    std::swap(out, arrived_);
  } else {
    out += arrived_;
  }
  arrived_.clear();
  complete_ = ended_;
  if (ended_ || !open_ || size == 0) co_return;
  ::nghttp2_session_consume_stream(place_->session(), id_, size);
  place_->write_soon();
}

void Http2Exchange::fail_as_closed() const {
  if (!failure_.empty()) fail_for_good(fmt::format("a bad answer: {}", failure_));
  if (lost_) {
    if (place_->lost_for_good()) fail_for_good(place_->lost_by());
    if (answer_began_) fail(kBrokenOff);
    if (reused_) throw Stale{};
    fail(place_->lost_by());
  }
  if (!answer_began_ && error_ == NGHTTP2_REFUSED_STREAM) {
    throw Refused{.connection_ends = !reset_by_server_};
  }
  if (!answer_began_ && error_ == NGHTTP2_HTTP_1_1_REQUIRED && reset_by_server_) throw WantsHttp1{};
  const std::string_view code = ::nghttp2_http2_strerror(error_);
  if (!reset_by_server_) fail_for_good(fmt::format("a bad answer: it breaks the rules of HTTP/2 ({})", code));
  fail(answer_began_ ? fmt::format("{} ({})", kBrokenOff, code)
                     : fmt::format("the server reset the request ({})", code));
}

}  // namespace ashlar::http::detail
