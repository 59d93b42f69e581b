// How a stream of HTTP/2 takes a request in and hands it over.
#include <ashlar/http/detail/http2_stream.hpp>

#include <nghttp2/nghttp2.h>

#include <new>

#include <ashlar/http/chunked.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/framing.hpp>
#include <ashlar/http/detail/http2_body.hpp>
#include <ashlar/http/detail/http2_connection.hpp>
#include <ashlar/http/detail/http2_websocket.hpp>
#include <ashlar/http/detail/line_scan.hpp>
#include <ashlar/http/detail/loop_server.hpp>

namespace ashlar::http::detail {
namespace {

// A head this many times as large as allowed is no mistake: HPACK makes it out of a few bytes.
constexpr std::size_t kBomb = 16;
constexpr std::size_t kLineEnds = 4;  // ": " and CR LF: a head counts as it would in HTTP/1.1
constexpr Refusal kHeadTooLarge{431, "The request head is larger than this server allows.", "RFC 6585 §5"};

}  // namespace

void Http2Stream::begin(Http2Connection& connection, std::int32_t id, ServerExchange* exchange) noexcept {
  connection_ = &connection;
  id_ = id;
  exchange_ = exchange;
  exchange->owner = this;
  exchange->request.clear();
  exchange->request.version = Version::http2;
  phase_ = Phase::head;
  open_ = remote_open_ = true;
  in_handle_ = finished_ = own_reset_ = complete_ = broken_ = deferred_ = streamed_ = producing_ = false;
  continue_owed_ = body_timed_out_ = pieces_counted_ = connects_ = false;
  body_error_ = 0;
  refusal_ = {};
  head_size_ = trailers_size_ = 0;
  content_length_.reset();
  scheme_ = cookie_ = body_ = {};
  cookies_.clear();
  body_size_ = body_kept_ = body_held_ = 0;
  moved_ = 1;  // it is not waited for yet
}

// ---------------------------------------------------------------------------------------------------------- the head

void Http2Stream::refuse_head(Refusal refusal) noexcept {
  if (refusal_.detail.empty()) refusal_ = refusal;
}

bool Http2Stream::on_trailer(std::string_view name, std::string_view value) {
  const std::size_t size = name.size() + value.size() + kLineEnds;
  head_size_ += size;
  trailers_size_ += size;
  if (trailers_size_ > ChunkedDecoder::kMaxTrailers) [[unlikely]] {
    return head_size_ <= kBomb * connection_->server_.options().head.max_head;  // on_end() tells
  }
  if (allowed_trailer(name)) trailers_.append(name).append(": ").append(value).append("\r\n");
  return true;
}

bool Http2Stream::on_field(std::string_view name, std::string_view value) {
  const HeadLimits& limits = connection_->server_.options().head;
  head_size_ += name.size() + value.size() + kLineEnds;
  if (head_size_ > limits.max_head) [[unlikely]] {
    refuse_head(kHeadTooLarge);
    return head_size_ <= kBomb * limits.max_head;
  }
  if (name.front() == ':') {
    on_pseudo_field(name, value);
    return true;
  }
  Request& request = exchange_->request;
  const KnownHeader known = find_known_header(name);
  if (known == KnownHeader::cookie) {
    add_cookie(value);
    return true;
  }
  if (request.headers().size() >= limits.max_headers) [[unlikely]] {
    refuse_head({431, "The request has more headers than this server allows.", "RFC 6585 §5"});
    return true;
  }
  Scratch& scratch = exchange_->scratch;
  value = scratch.copy(value);
  const bool again = request.has(known);
  request.add_header(known == KnownHeader::other ? scratch.copy(name) : to_string(known), value, known);
  switch (known) {
    case KnownHeader::host:
      if (again) refuse_head({400, "The request has more than one Host header.", "RFC 9110 §7.2"});
      break;
    case KnownHeader::content_length: {
      std::uint64_t length = 0;
      if (const Refusal refusal = parse_length(value, length); !refusal.detail.empty())
        return refuse_head(refusal), true;
      content_length_ = length;
      break;
    }
    case KnownHeader::expect:
      if (!equal_ignoring_case(value, "100-continue")) {
        refuse_head({417, "The only expectation supported is 100-continue.", "RFC 9110 §10.1.1"});
      }
      request.expects_continue = true;
      break;
    default:
      break;
  }
  return true;
}

void Http2Stream::on_pseudo_field(std::string_view name, std::string_view value) {
  Request& request = exchange_->request;
  Scratch& scratch = exchange_->scratch;
  switch (name[1]) {
    case 'm':
      request.method = parse_method(value);
      request.method_text = request.method != Method::other ? to_string(request.method) : scratch.copy(value);
      return;
    case 'p':
      if (name == ":protocol") {
        connects_ = true;
        if (value != "websocket") refuse_head({501, "Only WebSockets are spoken over CONNECT.", "RFC 8441 §4"});
        return;
      }
      if (value.size() > connection_->server_.options().head.max_target) [[unlikely]] {
        return refuse_head({414, "The request target is longer than this server allows.", "RFC 9110 §15.5.15"});
      }
      request.target = scratch.copy(value);
      return;
    case 's':
      scheme_ = value == "https" ? "https" : value == "http" ? "http" : "";
      return;
    default:
      request.authority = scratch.copy(value);
      return;
  }
}

// Crumbs are put together again (RFC 9113 §8.2.3).
void Http2Stream::add_cookie(std::string_view crumb) {
  if (cookie_.data() == nullptr) {
    cookie_ = exchange_->scratch.copy(crumb);
    if (cookie_.data() == nullptr) cookie_ = std::string_view("");
    return;
  }
  if (cookies_.empty()) cookies_ = cookie_;
  cookies_.append("; ").append(crumb);
}

bool Http2Stream::split_target() {
  Request& request = exchange_->request;
  std::string_view path = request.target;
  if (path == "*") {
    request.path = path;
    if (request.method == Method::options) return true;
    refuse_head({400, "Only OPTIONS may have the target *.", "RFC 9113 §8.3.1"});
    return false;
  }
  const char* const end = path.data() + path.size();
  if (path.empty() || path[0] != '/' || line_scan().target(path.data(), path.data(), end) != end) {
    refuse_head({400, "The request target is malformed.", "RFC 9113 §8.3.1"});
    return false;
  }
  if (const std::size_t question = path.find('?'); question != std::string_view::npos) {
    request.query = path.substr(question + 1);
    path = path.substr(0, question);
  }
  request.path = path;
  return true;
}

bool Http2Stream::check_head() {
  Request& request = exchange_->request;
  const auto refuse = [&](std::string_view detail, std::string_view section, int status = 400) {
    refuse_head({status, detail, section});
    return false;
  };
  if (connects_ && request.method == Method::connect) {
    // To handlers it is what it would be over HTTP/1.1.
    request.method = Method::get;
    request.method_text = to_string(Method::get);
    request.upgrade = true;
  }
  if (request.method == Method::connect) return refuse("CONNECT is not supported.", "RFC 9110 §9.3.6", 501);
  if (scheme_.empty()) return refuse("The scheme must be http or https.", "RFC 9113 §8.3.1");
  if (!split_target()) return false;
  const std::optional<std::string_view> host = request.header(KnownHeader::host);
  if (host && request.authority.empty()) {
    request.authority = *host;
  } else if (host && !equal_ignoring_case(*host, request.authority)) {
    return refuse("The Host header is not the authority of the request.", "RFC 9113 §8.3.1");
  }
  if (request.authority.empty()) return refuse("The request has no authority.", "RFC 9113 §8.3.1");
  if (!valid_host(request.authority)) return refuse("The authority is malformed.", "RFC 9110 §4.2.1");
  // Whoever asks for Host finds it, as in HTTP/1.1.
  const bool room = (host || request.add_header(to_string(KnownHeader::host), request.authority, KnownHeader::host)) &&
                    (cookie_.data() == nullptr ||
                     request.add_header(to_string(KnownHeader::cookie),
                                        cookies_.empty() ? cookie_ : std::string_view(cookies_), KnownHeader::cookie));
  if (!room) return refuse("The request has more headers than this server allows.", "RFC 6585 §5", 431);
  if (connects_) {  // it may live long, and the list has room for many
    const std::size_t headers = request.headers().size() * sizeof(Header);
    request.keep_headers_in(static_cast<Header*>(exchange_->scratch.allocate(headers, alignof(Header))));
  }
  return true;
}

void Http2Stream::on_head_end(bool end_of_stream) {
  remote_open_ = !end_of_stream;
  if (!refusal_.detail.empty() || !check_head()) return refuse(refusal_);
  LoopServer& server = connection_->server_;
  server.stats().requests.add();
  server.stats().http2_requests.add();
  exchange_->request.peer = &connection_->peer_;
  exchange_->request.secure = connection_->transport_.secure();
  exchange_->request.client_certificate = connection_->client_certificate_;
  if (connects_ && end_of_stream) {
    return refuse({400, "A WebSocket needs a stream that is open both ways.", "RFC 8441 §5"});
  }
  end_of_stream || connects_ ? dispatch() : begin_body();
}

// ------------------------------------------------------------------------------------------------------ the exchange

ConnectionValues& Http2Stream::connection_values() noexcept { return connection_->values(); }

void Http2Stream::begin_body() {
  LoopServer& server = connection_->server_;
  const BodyPlan plan = server.handler().plan_body(exchange_->request, server.options().max_body);
  body_limit_ = plan.limit;
  if (content_length_.value_or(0) > body_limit_) {
    return refuse({413, "The body is larger than this server allows.", "RFC 9110 §15.5.14"});
  }
  body_since_ = server.loop().now();
  body_received_ = 0;
  if (plan.stream) {
    reader_ = std::make_unique<Body>(*this, content_length_);
    exchange_->body = reader_.get();
    continue_owed_ = exchange_->request.expects_continue;
    return dispatch();
  }
  phase_ = Phase::body;
  if (exchange_->request.expects_continue) send_continue();
}

void Http2Stream::on_data(std::string_view bytes) {
  body_received_ += bytes.size();
  body_size_ += bytes.size();
  if (phase_ == Phase::body) {
    if (body_size_ > body_limit_) {
      return refuse({413, "The body is larger than this server allows.", "RFC 9110 §15.5.14"});
    }
    exchange_->body_storage.append(bytes);
    body_kept_ += bytes.size();
    connection_->bodies_ += bytes.size();
    keep_within_budget(bytes.size());
  } else if (connects_ && (phase_ == Phase::handling || phase_ == Phase::websocket)) {
    arrived_.append(bytes);  // no more than stream_window of it
    if (websocket_ != nullptr) websocket_->on_arrived();
  } else if (reader_ != nullptr && body_error_ == 0) {
    if (body_size_ > body_limit_) {
      body_error_ = 413;
      arrived_.clear();
      connection_->server_.stats().bodies_too_large.add();
    } else {
      arrived_.append(bytes);  // no more than stream_window of it: the window opens when it is read
    }
    wake_body_reader();
  }
}

void Http2Stream::on_end() {
  remote_open_ = false;
  if (trailers_size_ > ChunkedDecoder::kMaxTrailers) [[unlikely]] {
    if (phase_ == Phase::body) return refuse({431, "The trailers are too long.", "RFC 6585 §5"});
    if (body_error_ == 0) {
      body_error_ = 431;
      connection_->server_.stats().heads_too_large.add();
    }
  }
  if (phase_ == Phase::body) {
    exchange_->request.trailers = trailers_;
    exchange_->request.body = exchange_->body_storage;
    stop_holding();
    Http2Connection& connection = *connection_;
    dispatch();
    if (connection.held_ != 0) [[unlikely]]
      connection.open_held_bodies();
    return;
  }
  if (websocket_ != nullptr) return websocket_->on_arrived();
  wake_body_reader();
}

void Http2Stream::dispatch() noexcept {
  LoopServer& server = connection_->server_;
  ServerExchange& exchange = *exchange_;
  phase_ = Phase::handling;
  exchange.started = server.loop().now();
  exchange.context.deadline = body_deadline_ = exchange.started + server.options().request_timeout;
  exchange.context.scope = &exchange.scope;
  server.stats().requests_running.add();
  ++connection_->out_;
  in_handle_ = true;
  finished_ = false;
  {
    const async::ContextGuard guard(&exchange.context);
    server.handler().handle(exchange);
  }
  in_handle_ = false;
  if (phase_ != Phase::websocket) server.stats().requests_suspended.add();
  if (finished_) on_finished();
}

void Http2Stream::on_finished() noexcept {
  if (in_handle_) {
    finished_ = true;
    return;
  }
  const async::ContextGuard guard(nullptr);
  Http2Connection& connection = *connection_;
  LoopServer& server = connection.server_;
  if (websocket_ != nullptr) {
    websocket_->handler_runs = false;
  } else {
    server.stats().requests_suspended.subtract();
    server.stats().requests_running.subtract();
  }
  if (!open_) {
    connection.release(*this);
    return connection.exchange_back();
  }
  --connection.out_;
  if (websocket_ != nullptr) return websocket_->say_goodbye(close_code::normal, {});
  server.head_start().refresh();
  try {
    respond();
  } catch (const std::bad_alloc&) {
    phase_ = Phase::sending;
    reset(NGHTTP2_INTERNAL_ERROR);
  }
  connection.write_soon();
}

void Http2Stream::refuse(const Refusal& refusal) {
  LoopServer& server = connection_->server_;
  count_refusal(server.stats(), refusal.status);
  server.head_start().refresh();
  stop_holding();
  phase_ = Phase::sending;
  Response& response = exchange_->response;
  response.status = refusal.status;
  response.content_type = "application/problem+json";
  response.body = problem_json(refusal.status, refusal.detail);
  body_ = response.body;
  submit(body_.size(), true);
}

void Http2Stream::on_close() noexcept {
  open_ = false;
  stop_holding();
  if (websocket_ != nullptr) {
    websocket_->on_lost();
    if (!websocket_->handler_runs) connection_->release(*this);
    return;
  }
  if (phase_ != Phase::handling && phase_ != Phase::streaming) return connection_->release(*this);
  exchange_->scope.cancel();
  wake_body_reader();
}

// -------------------------------------------------------------------------------------------------------------- time

void Http2Stream::check_time(async::TimePoint now) noexcept {
  ServerStats& stats = connection_->server_.stats();
  if (phase_ == Phase::body) {
    if (body_held_ != 0) body_since_ = now;  // it is we who let it wait
    if (!body_too_slow(now)) return;
    stats.body_timeouts.add();
    try {
      refuse({408, "The request did not arrive in time.", "RFC 9110 §15.5.9"});
    } catch (const std::bad_alloc&) {
      reset(NGHTTP2_INTERNAL_ERROR);
    }
    return connection_->write_soon();
  }
  if (websocket_ != nullptr) return websocket_->check_time(now);
  if (phase_ != Phase::handling && phase_ != Phase::streaming) return;
  if (body_wait_ != nullptr) {
    if (!body_too_slow(now)) return;
    stats.body_timeouts.add();
    body_timed_out_ = true;
    return wake_body_reader();
  }
  if (phase_ == Phase::streaming) beat(now);
  if (now < exchange_->context.deadline || exchange_->scope.cancelled()) return;
  stats.request_timeouts.add();
  exchange_->scope.cancel(async::CancelReason::deadline);
}

void Http2Stream::give_up() noexcept {
  if (websocket_ != nullptr) {
    if (websocket_->handler_runs) exchange_->scope.cancel(async::CancelReason::shutdown);
    websocket_->abort();
    if (complete_) reset(NGHTTP2_NO_ERROR);
  } else if (phase_ == Phase::handling || phase_ == Phase::streaming) {
    exchange_->scope.cancel(async::CancelReason::shutdown);
  } else {
    // Not begun, it may be asked for elsewhere (RFC 9113 §8.7); half sent, it may not.
    reset(phase_ == Phase::sending ? NGHTTP2_CANCEL : NGHTTP2_REFUSED_STREAM);
  }
}

}  // namespace ashlar::http::detail
