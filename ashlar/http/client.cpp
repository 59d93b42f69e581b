#include <ashlar/http/client.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <unordered_map>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/chunked.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/client_connection.hpp>
#include <ashlar/http/detail/client_url.hpp>
#include <ashlar/http/detail/framing.hpp>
#include <ashlar/http/response_parser.hpp>

namespace ashlar::http {
namespace {

using detail::ClientConnection;
using detail::ClientUrl;

constexpr std::size_t kReadStep = 16 * 1024;

/// A kept connection was dead, and nothing of an answer had come.
struct Stale {};

bool idempotent(std::string_view method) noexcept {
  for (const std::string_view one : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    if (method == one) return true;
  }
  return false;
}

bool given(const ClientRequest& request, std::string_view name) noexcept {
  return std::ranges::any_of(request.headers,
                             [&](const auto& header) { return equal_ignoring_case(header.first, name); });
}

void check_header(std::string_view name, std::string_view value) {
  const char* const end = value.data() + value.size();
  if (name.empty() || !detail::all(name, detail::kToken) ||
      (!value.empty() && detail::skip_field_chars(value.data(), end) != end)) {
    throw Invalid(
        fmt::format("the request header '{}' cannot be sent: its name or value has a forbidden character", name));
  }
  const KnownHeader known = find_known_header(name);
  if (known == KnownHeader::content_length || known == KnownHeader::transfer_encoding) {
    throw Invalid(fmt::format("the request header '{}' is the client's own to write", name));
  }
}

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string write_request_head(const ClientRequest& request, const ClientUrl& url, const ClientOptions& options) {
  if (request.method.empty() || !detail::all(request.method, detail::kToken) || request.method == "CONNECT") {
    throw Invalid(fmt::format("'{}' cannot be sent as a method", request.method));
  }
  std::string head = fmt::format("{} {} HTTP/1.1\r\n", request.method, url.target);
  const auto line = [&](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  if (!given(request, "Host")) line("Host", url.authority);
  if (!options.user_agent.empty() && !given(request, "User-Agent")) line("User-Agent", options.user_agent);
  for (const auto& [name, value] : request.headers) {
    check_header(name, value);
    line(name, value);
  }
  if (const async::Context* context = async::context(); options.propagate_trace && context != nullptr) {
    if (context->deadline != async::TimePoint::max() && !given(request, "x-request-timeout-ms")) {
      // What is left of this request's time is all that the next service has.
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(context->deadline - async::Clock::now());
      line("X-Request-Timeout-Ms", fmt::format("{}", std::max<std::int64_t>(left.count(), 1)));
    }
    if (context->trace.valid() && !given(request, "traceparent")) {
      line("traceparent", fmt::format("00-{}-{}-{:02x}", hex(context->trace.trace_id), hex(context->trace.span_id),
                                      context->trace.flags));
    }
    if (!context->request_id.empty() && !given(request, "X-Request-Id")) line("X-Request-Id", context->request_id);
  }
  const bool takes_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (takes_body || !request.body.empty()) line("Content-Length", fmt::format("{}", request.body.size()));
  head += "\r\n";
  return head;
}

}  // namespace

std::optional<std::string_view> ClientResponse::header(std::string_view name) const noexcept {
  std::optional<std::string_view> found;
  for_each_header([&](std::string_view candidate, std::string_view value) {
    if (!found && equal_ignoring_case(candidate, name)) found = value;
  });
  return found;
}

struct Client::Impl {
  struct Host {
    explicit Host(std::size_t most) : free(most) {}
    async::Semaphore free;
    std::vector<std::unique_ptr<ClientConnection>> idle;  // the last is the one used last
  };
  struct Shard {  // of one loop
    std::map<std::string, std::unique_ptr<Host>, std::less<>> hosts;
  };

  ClientOptions options;
  mutable std::mutex mutex;
  std::unordered_map<async::Loop*, std::unique_ptr<Shard>> shards;
  std::shared_ptr<net::TlsContext> tls;
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> connects{0};
  std::atomic<std::uint64_t> reused{0};
  std::atomic<std::uint64_t> retries{0};
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::uint64_t> idle{0};

  explicit Impl(ClientOptions given) : options(std::move(given)), tls(options.tls) {}

  Shard& shard() {
    const std::lock_guard lock(mutex);
    auto& found = shards[&async::Loop::current()];
    if (!found) found = std::make_unique<Shard>();
    return *found;
  }

  Host& host(const std::string& key) {
    auto& hosts = shard().hosts;
    const auto found = hosts.find(key);
    if (found != hosts.end()) return *found->second;
    return *hosts.emplace(key, std::make_unique<Host>(options.max_connections_per_host)).first->second;
  }

  std::shared_ptr<net::TlsContext> tls_context() {
    const std::lock_guard lock(mutex);
    if (!tls) tls = net::TlsContext::client({});
    return tls;
  }

  std::unique_ptr<ClientConnection> take_idle(Host& host) {
    const async::TimePoint now = async::Loop::current().now();
    while (!host.idle.empty()) {
      std::unique_ptr<ClientConnection> connection = std::move(host.idle.back());
      host.idle.pop_back();
      idle.fetch_sub(1, std::memory_order_relaxed);
      if (now - connection->resting_since() < options.idle_timeout && connection->wake_up()) return connection;
    }
    return nullptr;
  }

  Task<net::Transport> connect(const ClientUrl& url, const std::string& unix_socket) {
    std::vector<net::Address> addresses;
    if (!unix_socket.empty()) {
      const auto address = net::Address::unix_path(unix_socket);
      if (!address) throw Invalid(fmt::format("'{}' is too long for a Unix socket", unix_socket));
      addresses.push_back(*address);
    } else {
      addresses = co_await net::resolve(url.host, url.port);
    }
    for (std::size_t i = 0;; ++i) {
      net::Fd fd;
      try {
        fd = co_await net::connect(addresses[i]);
      } catch (const Unavailable&) {
        if (i + 1 == addresses.size()) throw;
        continue;
      }
      net::Transport transport(std::move(fd));
      if (url.secure) co_await transport.start_tls_client(tls_context(), url.host);
      connects.fetch_add(1, std::memory_order_relaxed);
      co_return transport;
    }
  }
};

/// One request on one connection. Gives the connection back when the whole answer was read, and drops it otherwise.
struct Client::Call {
  Impl& impl;
  std::string where;  // "GET http://host:80", for messages; without path and query, which may hold secrets
  Impl::Host* host = nullptr;
  async::Permit permit{};
  std::unique_ptr<ClientConnection> connection{};
  bool reused = false;
  bool answer_began = false;
  bool complete = false;
  ResponseHead head{};
  ClientResponse response{};
  std::uint64_t left = 0;
  ChunkedDecoder decoder{};

  ~Call() {
    if (!connection || !complete || !head.keep_alive || !connection->unread().empty()) return;
    if (host->idle.size() >= impl.options.max_idle_per_host) return;
    connection->rest(async::Loop::current().now());
    host->idle.push_back(std::move(connection));
    impl.idle.fetch_add(1, std::memory_order_relaxed);
  }

  [[noreturn]] void fail(std::string_view why) const { throw Unavailable(fmt::format("{}: {}", where, why)); }
  // Nothing of the answer has come: on a kept connection the server may just have closed it.
  [[noreturn]] void fail_or_stale(std::string_view why) const {
    if (reused && !answer_began) throw Stale{};
    fail(why);
  }

  Task<void> open(const ClientUrl& url, const ClientRequest& request, bool fresh) {
    host = &impl.host(request.unix_socket.empty() ? url.origin() : "unix:" + request.unix_socket);
    permit = co_await host->free.acquire();
    if (!fresh) connection = impl.take_idle(*host);
    reused = connection != nullptr;
    if (reused) {
      impl.reused.fetch_add(1, std::memory_order_relaxed);
      co_return;
    }
    net::Transport transport =
        co_await async::timeout(impl.options.connect_timeout, impl.connect(url, request.unix_socket));
    connection = std::make_unique<ClientConnection>(async::Loop::current(), std::move(transport));
  }

  Task<void> write(std::string_view head_text, std::string_view body) {
    const std::size_t total = head_text.size() + body.size();
    for (std::size_t done = 0; done < total;) {
      std::array<iovec, 2> parts;
      std::size_t count = 0;
      if (done < head_text.size()) {
        parts[count++] = {const_cast<char*>(head_text.data()) + done, head_text.size() - done};
      }
      const std::size_t skip = done > head_text.size() ? done - head_text.size() : 0;
      if (!body.empty()) parts[count++] = {const_cast<char*>(body.data()) + skip, body.size() - skip};
      const net::Io io = connection->transport().write(std::span(parts).first(count));
      if (io.state == net::Io::State::done) {
        done += io.bytes;
      } else if (io.state == net::Io::State::would_block) {
        co_await connection->ready(EPOLLOUT);
      } else {
        co_return;  // the server may have answered before it closed: reading tells
      }
    }
  }

  /// Reads some bytes behind what the buffer has. False: the server has ended its side.
  Task<bool> read_more() {
    std::string& buffer = connection->buffer;
    if (connection->consumed == buffer.size()) {
      buffer.clear();
      connection->consumed = 0;
    }
    for (;;) {
      net::Io io{};
      const std::size_t had = buffer.size();
      buffer.resize_and_overwrite(had + kReadStep, [&](char* data, std::size_t) {
        io = connection->transport().read({data + had, kReadStep});
        return had + io.bytes;
      });
      if (io.state == net::Io::State::done) co_return true;
      if (io.state == net::Io::State::closed) co_return false;
      if (io.state == net::Io::State::failed) fail_or_stale(connection->transport().error());
      co_await connection->ready(connection->transport().wants_write() ? EPOLLOUT : EPOLLIN);
    }
  }

  Task<void> read_head(bool to_head) {
    for (;;) {
      const std::string_view unread = connection->unread();
      if (!unread.empty()) {
        answer_began = true;
        head = parse_response_head(unread, impl.options.max_head, to_head);
        if (head.state == ResponseHead::State::refused) fail(fmt::format("a bad answer: {}", head.refusal.detail));
        if (head.state == ResponseHead::State::complete) {
          if (head.status == 101) fail("a bad answer: 101 without a request for it");
          if (head.status >= 200) break;
          connection->consumed += head.head_size;  // interim answers are not for us (RFC 9110 §15.2)
          continue;
        }
      }
      if (!co_await read_more()) fail_or_stale("the server closed the connection before it answered");
    }
    response.status = head.status;
    response.head_ = connection->unread().substr(0, head.head_size);
    const char* const base = connection->unread().data();
    for (const Header& one : head.headers) {
      response.places_.push_back(
          {static_cast<std::uint32_t>(one.name.data() - base), static_cast<std::uint32_t>(one.name.size()),
           static_cast<std::uint32_t>(one.value.data() - base), static_cast<std::uint32_t>(one.value.size())});
    }
    head.headers.clear();
    connection->consumed += head.head_size;
    left = head.content_length;
    complete = head.framing == ResponseFraming::none || (head.framing == ResponseFraming::length && left == 0);
  }

  /// Appends what has come of the body, waiting for some if need be. At most `most` bytes may be in `out` then.
  /// Precondition: not complete.
  Task<void> read_body(std::string& out, std::uint64_t most) {
    if (connection->unread().empty() && !co_await read_more()) {
      if (head.framing != ResponseFraming::until_close || connection->transport().cut_off()) {
        fail("the server broke the answer off");
      }
      complete = true;
      co_return;
    }
    std::string_view in = connection->unread();
    const std::size_t had = in.size();
    if (head.framing == ResponseFraming::chunked) {
      const auto state = decoder.feed(in, out, most);
      if (state == ChunkedDecoder::State::refused) {
        fail(decoder.refusal().status == 413 ? "the answer's body is larger than the client allows"
                                             : decoder.refusal().detail);
      }
      complete = state == ChunkedDecoder::State::done;
    } else {
      const std::string_view taken =
          head.framing == ResponseFraming::length ? in.substr(0, std::min<std::uint64_t>(left, in.size())) : in;
      if (taken.size() > most || out.size() > most - taken.size()) {
        fail("the answer's body is larger than the client allows");
      }
      out.append(taken);
      in.remove_prefix(taken.size());
      if (head.framing == ResponseFraming::length) complete = (left -= taken.size()) == 0;
    }
    connection->consumed += had - in.size();
  }
};

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Client::~Client() = default;

Task<void> Client::exchange(Call& call, const ClientRequest& request, const std::string& head) {
  co_await call.write(head, request.body);
  co_await call.read_head(request.method == "HEAD");
}

Task<std::unique_ptr<Client::Call>> Client::begin(ClientRequest request) {
  const ClientUrl url = ClientUrl::parse(request.url);
  const std::string head = write_request_head(request, url, impl_->options);
  for (bool fresh = false;; fresh = true) {
    auto call = std::make_unique<Call>(*impl_, fmt::format("{} {}", request.method, url.origin()));
    try {
      co_await call->open(url, request, fresh);
      co_await exchange(*call, request, head);
      co_return call;
    } catch (const Stale&) {
      if (!idempotent(request.method)) call->fail("the server closed the connection before it answered");
      impl_->retries.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

Task<ClientResponse> Client::send_once(ClientRequest request) {
  const std::unique_ptr<Call> call = co_await begin(std::move(request));
  ClientResponse& response = call->response;
  if (call->head.framing == ResponseFraming::length) {
    response.body.reserve(std::min<std::uint64_t>(call->left, impl_->options.max_body));
  }
  while (!call->complete) co_await call->read_body(response.body, impl_->options.max_body);
  co_return std::move(response);
}

Task<ClientResponse> Client::send(ClientRequest request) {
  const async::Nanoseconds limit = request.timeout.value_or(impl_->options.timeout);
  const async::TimePoint until = async::Clock::now() + limit;
  for (unsigned redirects = 0;; ++redirects) {
    impl_->requests.fetch_add(1, std::memory_order_relaxed);
    std::optional<ClientResponse> response;
    try {
      response = co_await async::timeout(until - async::Clock::now(), send_once(request));
    } catch (...) {
      impl_->failures.fetch_add(1, std::memory_order_relaxed);
      throw;
    }
    const int status = response->status;
    const bool redirected = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    const auto location = redirected ? response->header("Location") : std::nullopt;
    if (!location || redirects >= impl_->options.follow_redirects) co_return std::move(*response);
    const ClientUrl from = ClientUrl::parse(request.url);
    request.url = from.resolve(*location);
    const bool to_get = status == 303 ? request.method != "HEAD" : status <= 302 && request.method == "POST";
    if (to_get) {
      request.method = "GET";
      request.body.clear();
    }
    const bool other_host = ClientUrl::parse(request.url).origin() != from.origin();
    std::erase_if(request.headers, [&](const auto& header) {
      const KnownHeader known = find_known_header(header.first);
      if (to_get && (known == KnownHeader::content_type || known == KnownHeader::content_encoding)) return true;
      return other_host && (known == KnownHeader::authorization || known == KnownHeader::cookie ||
                            known == KnownHeader::host || known == KnownHeader::x_api_key);
    });
  }
}

Generator<std::string> Client::pieces(std::unique_ptr<Call> call) {
  while (!call->complete) {
    std::string piece;
    co_await call->read_body(piece, std::uint64_t{1} << 62);
    if (!piece.empty()) co_yield std::move(piece);
  }
}

Task<StreamedResponse> Client::stream(ClientRequest request) {
  impl_->requests.fetch_add(1, std::memory_order_relaxed);
  const async::Nanoseconds limit = request.timeout.value_or(impl_->options.timeout);
  std::unique_ptr<Call> call;
  try {
    call = co_await async::timeout(limit, begin(std::move(request)));
  } catch (...) {
    impl_->failures.fetch_add(1, std::memory_order_relaxed);
    throw;
  }
  ClientResponse response = std::move(call->response);
  co_return StreamedResponse{std::move(response), pieces(std::move(call))};
}

ClientStats Client::stats() const {
  const auto of = [](const std::atomic<std::uint64_t>& number) { return number.load(std::memory_order_relaxed); };
  return {of(impl_->requests), of(impl_->connects), of(impl_->reused),
          of(impl_->retries),  of(impl_->failures), of(impl_->idle)};
}

void Client::close_idle() noexcept {
  for (auto& [key, host] : impl_->shard().hosts) {
    impl_->idle.fetch_sub(host->idle.size(), std::memory_order_relaxed);
    host->idle.clear();
  }
}

}  // namespace ashlar::http
