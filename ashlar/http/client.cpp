#include <ashlar/http/client.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <random>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/clock.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/chunked.hpp>
#include <ashlar/http/content_coding.hpp>
#include <ashlar/http/detail/client_exchange.hpp>
#include <ashlar/http/detail/client_head.hpp>
#include <ashlar/http/detail/client_pool.hpp>
#include <ashlar/http/detail/http_date.hpp>

namespace ashlar::http {

/// An answer as it comes in: its head, and the way to its body.
struct detail::ClientReply {
  ClientResponse response;
  std::unique_ptr<ClientExchange> exchange;
  std::string where;
  std::optional<Decoder> decoder;
  std::string encoded;      // read, and not decoded
  std::size_t decoded = 0;  // of `encoded`
  bool any = false;         // of the encoded body has come
  bool more_waits = false;  // in the decoder, for want of room

  /// Appends some of the body, at most until `out` has `most` bytes. False: there is no more.
  Task<bool> read(std::string& out, std::uint64_t most);
};

namespace {

using detail::ClientRoute;
using detail::ClientUrl;
using detail::Hopeless;

constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 62;
constexpr std::size_t kPiece = 64 * 1024;
// How often one request is sent again that an HTTP/2 server has not looked at: it was refused by itself, or its
// connection ended, which a server with few requests a connection does to many that are on their way.
constexpr unsigned kMostRefusals = 3;
constexpr unsigned kMostEnds = 16;

// Somewhere in [0, first * 2^tries]: clients that failed together do not come back together.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
async::Nanoseconds backoff(const RetryPolicy& policy, unsigned tries) {
  thread_local std::minstd_rand random{std::random_device{}()};
  async::Nanoseconds most = policy.first_backoff;
  for (unsigned i = 0; i < tries && most < policy.max_backoff; ++i) most *= 2;
  most = std::min(most, policy.max_backoff);
  return async::Nanoseconds(std::uniform_int_distribution<std::int64_t>(0, most.count())(random));
}

// Seconds, or a date (RFC 9110 §10.2.3).
std::optional<async::Nanoseconds> retry_after(const ClientResponse& response) {
  const auto value = response.header("Retry-After");
  if (!value) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), seconds);
  if (end == value->data() + value->size() && !value->empty()) {
    constexpr std::int64_t kLong = 1'000'000;
    if (error != std::errc() || seconds > kLong) seconds = kLong;
    return std::chrono::seconds(std::max<std::int64_t>(seconds, 0));
  }
  const auto date = detail::parse_lenient_date(*value);
  if (!date) return std::nullopt;
  return std::max<async::Nanoseconds>(*date - SystemClock::now(), async::Nanoseconds{0});
}

async::TimePoint deadline() noexcept {
  const async::Context* const context = async::context();
  return context != nullptr ? context->deadline : async::TimePoint::max();
}

// The decoder of the one coding that the answer has; none for an answer without body, or coded as nobody asked for.
std::optional<Decoder> decoder_for(const ClientResponse& response) {
  std::optional<ContentCoding> coding;
  unsigned codings = 0;
  response.for_each_header([&](std::string_view name, std::string_view value) {
    if (!equal_ignoring_case(name, "Content-Encoding")) return;
    ++codings;
    coding = find_content_coding(value);
  });
  if (codings != 1 || !coding || *coding == ContentCoding::identity) return std::nullopt;
  return Decoder(*coding);
}

}  // namespace

Task<bool> detail::ClientReply::read(std::string& out, std::uint64_t most) {
  if (!decoder) {
    if (exchange->complete()) co_return false;
    co_await exchange->read_body(out, most);
    co_return true;
  }
  for (;;) {
    if (more_waits || decoded != encoded.size()) {
      const std::size_t had = out.size();
      std::string_view in = std::string_view(encoded).substr(decoded);
      const Decoder::State state = decoder->decode(in, out, most);
      decoded = encoded.size() - in.size();
      if (state == Decoder::State::refused) throw Hopeless(fmt::format("{}: {}", where, decoder->refusal().detail));
      more_waits = state == Decoder::State::full;
      if (more_waits || out.size() != had) co_return true;
    }
    if (exchange->complete()) {
      if (any && !decoder->complete()) throw Hopeless(fmt::format("{}: the encoded answer is cut off", where));
      co_return false;
    }
    encoded.clear();
    decoded = 0;
    co_await exchange->read_body(encoded, kNoLimit);
    any = any || !encoded.empty();
  }
}

std::string basic_authorization(std::string_view user, std::string_view password) {
  if (user.find(':') != std::string_view::npos) throw Invalid("a user of Basic authorization has no colon in it");
  return "Basic " + base64_encode(fmt::format("{}:{}", user, password));
}

StatusError::StatusError(int status, std::string message)
    : Error(status == 429 || status >= 500 ? ErrorKind::unavailable : ErrorKind::internal, std::move(message)),
      status_(status) {}

std::optional<std::string_view> ClientResponse::header(std::string_view name) const noexcept {
  std::optional<std::string_view> found;
  for_each_header([&](std::string_view candidate, std::string_view value) {
    if (!found && equal_ignoring_case(candidate, name)) found = value;
  });
  return found;
}

std::optional<std::string_view> ClientResponse::trailer(std::string_view name) const noexcept {
  return trailers_ != nullptr ? find_trailer(*trailers_, name) : std::nullopt;
}

const ClientResponse& ClientResponse::error_for_status() const {
  if (status >= 400) throw StatusError(status, fmt::format("the service that was asked answered with {}", status));
  return *this;
}

Client::Client(ClientOptions options) : state_(std::make_unique<detail::ClientState>(std::move(options))) {}

Client::~Client() = default;

void Client::read_head(Reply& reply) {
  ClientResponse& response = reply.response;
  const ResponseHead& head = reply.exchange->head();
  response.status = head.status;
  response.head_ = reply.exchange->head_text();
  const char* const base = reply.exchange->head_text().data();
  for (const Header& one : head.headers) {
    response.places_.push_back(
        {static_cast<std::uint32_t>(one.name.data() - base), static_cast<std::uint32_t>(one.name.size()),
         static_cast<std::uint32_t>(one.value.data() - base), static_cast<std::uint32_t>(one.value.size())});
  }
}

Task<Client::Reply> Client::try_once(const ClientRequest& request, bool from_global, bool collect, bool& sent) {
  const ClientOptions& options = state_->options;
  const ClientUrl url = ClientUrl::parse(request.url);
  const ClientRoute route{.url = url,
                          .unix_socket = request.unix_socket,
                          .proxy = request.unix_socket.empty() ? state_->proxies.for_url(url) : nullptr,
                          .from_global = from_global};
  CookieJar* const jar = options.cookies && !detail::given(request, "Cookie") ? options.cookies.get() : nullptr;
  detail::ClientMessage message{
      .head = detail::write_request_head(request, route, jar != nullptr ? jar->header(request.url) : "", options),
      .to_head = request.method == "HEAD",
      .body = request.body,
      .body_stays = collect,
      .stream = request.stream ? &request.stream : nullptr,
      .stream_length = request.stream_length,
      .expect_continue = request.expect_continue};

  Reply reply;
  reply.where = fmt::format("{} {}", request.method, url.origin());
  unsigned refusals = 0;
  unsigned ends = 0;
  for (bool fresh = false;;) {
    reply.exchange.reset();  // its connection may be the only one allowed
    sent = false;
    reply.exchange = co_await state_->pool().begin(route, reply.where, fresh);
    const async::TimePoint begin = async::Clock::now();
    const auto record = [&](int status, std::string_view error) {
      detail::record_duration(url, request.method, status, error, reply.exchange->version(),
                              async::Clock::now() - begin);
    };
    sent = true;
    bool stale = false;
    std::optional<detail::Refused> refused;
    try {
      co_await reply.exchange->ask(message);
    } catch (const detail::Stale&) {
      stale = true;
    } catch (const detail::Refused& error) {
      refused = error;
    } catch (const detail::WantsHttp1&) {
      refused.emplace();
      state_->pool().use_http1(route);
    } catch (const Error& error) {
      record(0, to_string(error.kind()));
      throw;
    }
    if (stale) {
      if (!detail::repeatable(request)) {
        record(0, to_string(ErrorKind::unavailable));
        throw Unavailable(fmt::format("{}: the server closed the connection before it answered", reply.where));
      }
      state_->retries.add();
      fresh = true;
      continue;
    }
    if (refused) {
      sent = false;  // it says so itself
      unsigned& count = refused->connection_ends ? ends : refusals;
      if (count == (refused->connection_ends ? kMostEnds : kMostRefusals)) {
        record(0, to_string(ErrorKind::unavailable));
        throw Unavailable(fmt::format("{}: the server refuses the request (REFUSED_STREAM)", reply.where));
      }
      state_->retries.add();
      // A server that goes on refusing has too much to do.
      if (count++ != 0 && !refused->connection_ends) co_await async::sleep(backoff(options.retry, count));
      continue;
    }
    record(reply.exchange->head().status, {});
    if (reply.exchange->head().status != 417 || !message.expect_continue) break;
    message.expect_continue = false;  // RFC 9110 §10.1.1: then without asking
  }
  read_head(reply);
  if (options.cookies) {
    reply.response.for_each_header([&](std::string_view name, std::string_view value) {
      if (equal_ignoring_case(name, "Set-Cookie")) options.cookies->store(request.url, value);
    });
  }
  if (!reply.exchange->complete() && detail::decodes(request, options)) reply.decoder = decoder_for(reply.response);
  if (!collect) co_return reply;

  std::string& body = reply.response.body;
  if (!reply.decoder && reply.exchange->head().framing == ResponseFraming::length) {
    body.reserve(std::min<std::uint64_t>(reply.exchange->head().content_length, options.max_body));
  }
  while (co_await reply.read(body, options.max_body)) {
    if (reply.more_waits) {
      throw Hopeless(fmt::format("{}: the answer's body is larger than the client allows", reply.where));
    }
  }
  if (const std::string& trailers = reply.exchange->trailers(); !trailers.empty()) {
    reply.response.trailers_ = std::make_shared<std::string>(trailers);
  }
  co_return reply;
}

Task<Client::Reply> Client::try_often(const ClientRequest& request, bool from_global, bool collect) {
  const RetryPolicy& policy = state_->options.retry;
  std::string host;
  if (policy.retries != 0) {
    host = ClientUrl::parse(request.url).origin();
    state_->pool().earn_retry(host);
  }
  for (unsigned tries = 0;; ++tries) {
    bool sent = false;
    std::optional<Reply> reply;
    std::exception_ptr error;
    try {
      reply.emplace(co_await try_once(request, from_global, collect, sent));
    } catch (const Hopeless&) {
      throw;
    } catch (const Unavailable&) {
      error = std::current_exception();
    }
    bool again = tries < policy.retries && (detail::repeatable(request) || (error && !sent));
    async::Nanoseconds wait = backoff(policy, tries);
    if (again && reply) {
      again = std::ranges::find(policy.statuses, reply->response.status) != policy.statuses.end();
      if (const auto asked = retry_after(reply->response)) {
        again = again && *asked <= policy.max_retry_after;
        wait = std::max(wait, *asked);
      }
    }
    if (!again || async::Clock::now() + wait >= deadline() || !state_->pool().spend_retry(host)) {
      if (error) std::rethrow_exception(error);
      co_return std::move(*reply);
    }
    reply.reset();
    state_->retries.add();
    co_await async::sleep(wait);
  }
}

Task<Client::Reply> Client::follow(ClientRequest request, bool collect) {
  request.url = detail::with_query(request);
  bool from_global = false;
  for (unsigned redirects = 0;; ++redirects) {
    state_->requests.add();
    Reply reply = co_await try_often(request, from_global, collect);
    const int status = reply.response.status;
    const bool redirected = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    const auto location = redirected ? reply.response.header("Location") : std::nullopt;
    if (!location || redirects >= state_->options.follow_redirects) co_return reply;
    from_global = from_global || reply.exchange->global_peer();
    detail::redirect(request, status, *location);
  }
}

Task<ClientResponse> Client::send(ClientRequest request) {
  const async::Nanoseconds limit = request.timeout.value_or(state_->options.timeout);
  try {
    Reply reply = co_await async::timeout(limit, follow(std::move(request), true));
    co_return std::move(reply.response);
  } catch (...) {
    state_->failures.add();
    throw;
  }
}

Task<ClientResponse> Client::post(std::string url, std::string body, std::string content_type) {
  return send({.method = "POST",
               .url = std::move(url),
               .headers = {{"Content-Type", std::move(content_type)}},
               .body = std::move(body)});
}

Generator<std::string> Client::pieces(std::unique_ptr<Reply> reply, std::shared_ptr<std::string> trailers) {
  for (;;) {
    std::string piece;
    // Undecoded, a piece is what one read gave.
    if (!co_await reply->read(piece, reply->decoder ? kPiece : kNoLimit)) break;
    if (!piece.empty()) co_yield std::move(piece);
  }
  *trailers = reply->exchange->trailers();
}

Task<StreamedResponse> Client::stream(ClientRequest request) {
  const async::Nanoseconds limit = request.timeout.value_or(state_->options.timeout);
  std::unique_ptr<Reply> reply;
  try {
    reply = std::make_unique<Reply>(co_await async::timeout(limit, follow(std::move(request), false)));
  } catch (...) {
    state_->failures.add();
    throw;
  }
  ClientResponse response = std::move(reply->response);
  response.trailers_ = std::make_shared<std::string>();
  auto body = pieces(std::move(reply), response.trailers_);
  co_return StreamedResponse{std::move(response), std::move(body)};
}

ClientStats Client::stats() const {
  return {state_->requests.get(), state_->connects.get(), state_->reused.get(), state_->retries.get(),
          state_->failures.get(), state_->idle.get(),     state_->active.get(), state_->waiting.get()};
}

void Client::close_idle() noexcept {
  if (async::Loop::current_or_null() != nullptr) state_->pool().close_idle();
}

}  // namespace ashlar::http
