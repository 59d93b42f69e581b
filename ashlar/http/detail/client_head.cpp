#include <ashlar/http/detail/client_head.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>

#include <ashlar/async/context.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/client_exchange.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http::detail {
namespace {

void check_header(std::string_view name, std::string_view value) {
  const char* const end = value.data() + value.size();
  if (name.empty() || !all(name, kToken) || (!value.empty() && skip_field_chars(value.data(), end) != end)) {
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

}  // namespace

bool given(const ClientRequest& request, std::string_view name) noexcept {
  return std::ranges::any_of(request.headers,
                             [&](const auto& header) { return equal_ignoring_case(header.first, name); });
}

bool repeatable(const ClientRequest& request) noexcept {
  for (const std::string_view one : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    if (request.method == one) return true;
  }
  return given(request, "Idempotency-Key");
}

bool decodes(const ClientRequest& request, const ClientOptions& options) noexcept {
  return options.decompress && !given(request, "Range") && !given(request, "Accept-Encoding");
}

std::string write_request_head(const ClientRequest& request, const ClientRoute& route, std::string_view cookies,
                               const ClientOptions& options) {
  if (request.method.empty() || !all(request.method, kToken) || request.method == "CONNECT") {
    throw Invalid(fmt::format("'{}' cannot be sent as a method", request.method));
  }
  if (request.stream && !request.body.empty()) throw Invalid("a request has either a body or a stream");
  const ClientUrl& url = route.url;
  std::string head = route.forwarded()
                         ? fmt::format("{} http://{}{} HTTP/1.1\r\n", request.method, url.authority, url.target)
                         : fmt::format("{} {} HTTP/1.1\r\n", request.method, url.target);
  const auto line = [&](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  if (!given(request, "Host")) line("Host", url.authority);
  if (route.forwarded() && !route.proxy->authorization.empty()) line("Proxy-Authorization", route.proxy->authorization);
  if (!options.user_agent.empty() && !given(request, "User-Agent")) line("User-Agent", options.user_agent);
  if (decodes(request, options)) line("Accept-Encoding", "zstd, br, gzip, deflate");
  for (const auto& [name, value] : request.headers) {
    check_header(name, value);
    line(name, value);
  }
  if (!cookies.empty()) line("Cookie", cookies);
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
  if (request.stream) {
    if (request.stream_length) {
      line("Content-Length", fmt::format("{}", *request.stream_length));
    } else {
      line("Transfer-Encoding", "chunked");
    }
    return head;
  }
  const bool takes_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (takes_body || !request.body.empty()) line("Content-Length", fmt::format("{}", request.body.size()));
  return head;
}

std::string with_query(const ClientRequest& request) {
  std::string url = request.url.substr(0, request.url.find('#'));
  char separator = url.find('?') == std::string::npos ? '?' : url.ends_with('?') || url.ends_with('&') ? '\0' : '&';
  for (const auto& [name, value] : request.query) {
    if (separator != '\0') url += separator;
    url += percent_encode(name);
    url += '=';
    url += percent_encode(value);
    separator = '&';
  }
  return url;
}

void redirect(ClientRequest& request, int status, std::string_view location) {
  const ClientUrl from = ClientUrl::parse(request.url);
  request.url = from.resolve(location);
  std::string origin;
  try {
    origin = ClientUrl::parse(request.url).origin();
  } catch (const Invalid&) {
    throw Hopeless(
        fmt::format("{} {}: a bad answer: it redirects to what is no URL for a client", request.method, from.origin()));
  }
  const bool to_get = status == 303 ? request.method != "HEAD" : status <= 302 && request.method == "POST";
  if (to_get) {
    request.method = "GET";
    request.body.clear();
    request.stream = nullptr;
    request.stream_length.reset();
    request.expect_continue = false;
  }
  const bool elsewhere = origin != from.origin();
  if (elsewhere) request.unix_socket.clear();
  std::erase_if(request.headers, [&](const auto& header) {
    const KnownHeader known = find_known_header(header.first);
    if (to_get && (known == KnownHeader::content_type || known == KnownHeader::content_encoding)) return true;
    return elsewhere && (known == KnownHeader::authorization || known == KnownHeader::cookie ||
                         known == KnownHeader::host || known == KnownHeader::x_api_key);
  });
}

}  // namespace ashlar::http::detail
