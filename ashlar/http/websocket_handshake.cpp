#include <ashlar/http/websocket_handshake.hpp>

#include <openssl/evp.h>

#include <algorithm>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/characters.hpp>

namespace ashlar::http {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

WebSocketRefusal refuse(int status, std::string detail) { return {status, std::move(detail), {}}; }

// Every header with this name is read: a list may come in several fields.
template <class F>
void for_each_value(const Request& request, KnownHeader known, F&& f) {
  if (!request.has(known)) return;
  const std::string_view name = to_string(known);
  request.for_each_header([&](std::string_view candidate, std::string_view value) {
    if (equal_ignoring_case(candidate, name)) f(value);
  });
}

std::size_t count(const Request& request, KnownHeader known) {
  std::size_t found = 0;
  for_each_value(request, known, [&](std::string_view) { ++found; });
  return found;
}

bool wants_websocket(const Request& request) {
  if (request.version == Version::http2) return request.upgrade;  // :protocol = websocket (RFC 8441 §4)
  bool wants = false;
  for_each_value(request, KnownHeader::upgrade, [&](std::string_view value) {
    detail::for_each_element(value,
                             [&](std::string_view one) { wants = wants || equal_ignoring_case(one, "websocket"); });
  });
  return wants && request.upgrade;
}

bool may_connect(const Request& request, const WebSocketOptions& options) {
  const auto origin = request.header(KnownHeader::origin);
  if (!origin || same_origin(*origin, request.authority)) return true;
  return std::ranges::any_of(options.origins, [&](const std::string& allowed) {
    return allowed == "*" || equal_ignoring_case(allowed, *origin);
  });
}

}  // namespace

std::string websocket_accept(std::string_view key) {
  std::string text(key);
  text += kGuid;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) != 1) {
    throw Internal("OpenSSL cannot make a SHA-1 digest, which a WebSocket's handshake needs");
  }
  return base64_encode({reinterpret_cast<const char*>(digest), size});
}

bool same_origin(std::string_view origin, std::string_view authority) noexcept {
  const std::size_t scheme_end = origin.find("://");
  if (scheme_end == std::string_view::npos || authority.empty()) return false;
  const std::string_view scheme = origin.substr(0, scheme_end);
  const std::string_view standard = equal_ignoring_case(scheme, "https")  ? ":443"
                                    : equal_ignoring_case(scheme, "http") ? ":80"
                                                                          : "";
  if (standard.empty()) return false;
  std::string_view host = origin.substr(scheme_end + 3);
  if (host.ends_with(standard)) host.remove_suffix(standard.size());
  if (authority.ends_with(standard)) authority.remove_suffix(standard.size());
  return equal_ignoring_case(host, authority);
}

std::string_view bearer_of_subprotocols(const Request& request) noexcept {
  std::string_view token;
  bool next = false;
  for_each_value(request, KnownHeader::sec_websocket_protocol, [&](std::string_view value) {
    detail::for_each_element(value, [&](std::string_view one) {
      if (next && token.data() == nullptr) token = one;
      next = equal_ignoring_case(one, "bearer");
    });
  });
  return token;
}

WebSocketRefusal check_websocket_request(const Request& request, const WebSocketOptions& options) {
  if (!wants_websocket(request)) {
    WebSocketRefusal refusal = refuse(426, "this is a WebSocket: connect with Upgrade: websocket");
    refusal.headers.emplace_back("Upgrade", "websocket");
    return refusal;
  }
  if (request.version == Version::http10 || request.method != Method::get) {
    return refuse(400, "a WebSocket begins with a GET of HTTP/1.1");
  }
  const auto version = request.header(KnownHeader::sec_websocket_version);
  if (version != "13" || count(request, KnownHeader::sec_websocket_version) != 1) {
    WebSocketRefusal refusal = refuse(426, "this speaks version 13 of the WebSocket protocol");
    refusal.headers.emplace_back("Upgrade", "websocket");
    refusal.headers.emplace_back("Sec-WebSocket-Version", "13");
    return refusal;
  }
  // The key shows that a server of HTTP/1.1 understands the Upgrade; HTTP/2 has its settings for that (RFC 8441 §5).
  const auto key = request.header(KnownHeader::sec_websocket_key);
  const bool needs_key = request.version != Version::http2;
  if (needs_key && (!key || count(request, KnownHeader::sec_websocket_key) != 1)) {
    return refuse(400, "a WebSocket's handshake has exactly one Sec-WebSocket-Key");
  }
  const auto nonce = needs_key && key->size() == 24 ? base64_decode(*key) : std::nullopt;
  if (needs_key && (!nonce || nonce->size() != 16)) return refuse(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  if (!request.body.empty()) return refuse(400, "a WebSocket's handshake has no body");
  if (!may_connect(request, options)) {
    return refuse(403, "pages of this origin may not connect here");
  }
  return {};
}

WebSocketHandshake accept_websocket_request(const Request& request, const WebSocketOptions& options) {
  WebSocketHandshake handshake;
  if (request.version != Version::http2) {
    handshake.accept = websocket_accept(request.header(KnownHeader::sec_websocket_key).value_or(""));
  }
  const std::string_view token = options.bearer_subprotocol ? bearer_of_subprotocols(request) : std::string_view();
  for_each_value(request, KnownHeader::sec_websocket_protocol, [&](std::string_view value) {
    detail::for_each_element(value, [&](std::string_view one) {
      const bool is_token = token.data() != nullptr && one.data() == token.data();
      if (handshake.subprotocol.empty() && !is_token &&
          std::ranges::find(options.subprotocols, one) != options.subprotocols.end()) {
        handshake.subprotocol = one;
      }
    });
  });
  // A browser that has asked for some and is given none ends the connection.
  if (handshake.subprotocol.empty() && token.data() != nullptr) handshake.subprotocol = "bearer";
  for_each_value(request, KnownHeader::sec_websocket_extensions, [&](std::string_view offers) {
    if (!handshake.deflate) handshake.deflate = accept_deflate(offers, options.limits.compression);
  });
  return handshake;
}

}  // namespace ashlar::http
