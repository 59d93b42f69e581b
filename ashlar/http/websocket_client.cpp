#include <ashlar/http/websocket_client.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/client_url.hpp>
#include <ashlar/http/detail/websocket_stream.hpp>
#include <ashlar/http/response_parser.hpp>
#include <ashlar/http/websocket_handshake.hpp>

namespace ashlar::http {
namespace {

using detail::ClientUrl;

constexpr std::size_t kMaxHead = 64 * 1024;

ClientUrl parse_url(const std::string& url) {
  const std::size_t colon = std::min(url.find(':'), url.size());
  const std::string_view scheme = std::string_view(url).substr(0, colon);
  if (equal_ignoring_case(scheme, "ws")) return ClientUrl::parse("http" + url.substr(colon));
  if (equal_ignoring_case(scheme, "wss")) return ClientUrl::parse("https" + url.substr(colon));
  throw Invalid("the client cannot use the URL: it must begin with ws:// or wss://");
}

std::string request_head(const ClientUrl& url, const WebSocketClientOptions& options, std::string_view key) {
  std::string head = fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: {}\r\n",
      url.target, url.authority, key);
  for (const auto& [name, value] : options.headers) {
    const char* const end = value.data() + value.size();
    if (name.empty() || !detail::all(name, detail::kToken) ||
        (!value.empty() && detail::skip_field_chars(value.data(), end) != end)) {
      throw Invalid(fmt::format("the header '{}' cannot be sent: its name or value has a forbidden character", name));
    }
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (!options.subprotocols.empty()) {
    for (const std::string& one : options.subprotocols) {
      if (one.empty() || !detail::all(one, detail::kToken)) {
        throw Invalid("a subprotocol cannot be sent: it is empty or has a character that no token has");
      }
    }
    head += fmt::format("Sec-WebSocket-Protocol: {}\r\n", fmt::join(options.subprotocols, ", "));
  }
  if (options.limits.compression.enabled) {
    head += fmt::format("Sec-WebSocket-Extensions: {}\r\n", deflate_offer(options.limits.compression));
  }
  return head + "\r\n";
}

// RFC 6455 §4.1, the client's six checks.
detail::WebSocketTerms check_answer(const ResponseHead& head, const WebSocketClientOptions& options,
                                    std::string_view key) {
  detail::WebSocketTerms terms;
  bool upgrade = false;
  bool connection = false;
  bool accepted = false;
  const auto broken = [](std::string_view why) {
    throw Unavailable(fmt::format("the server's answer to a WebSocket's handshake is wrong: {}", why));
  };
  for (const Header& header : head.headers) {
    if (equal_ignoring_case(header.name, "upgrade")) {
      upgrade = equal_ignoring_case(header.value, "websocket");
    } else if (equal_ignoring_case(header.name, "connection")) {
      detail::for_each_element(header.value,
                               [&](std::string_view one) { connection |= equal_ignoring_case(one, "upgrade"); });
    } else if (equal_ignoring_case(header.name, "sec-websocket-accept")) {
      accepted = header.value == websocket_accept(key);
    } else if (equal_ignoring_case(header.name, "sec-websocket-protocol")) {
      if (!terms.subprotocol.empty() ||
          std::ranges::find(options.subprotocols, header.value) == options.subprotocols.end()) {
        broken("it names a subprotocol that was not asked for");
      }
      terms.subprotocol = header.value;
    } else if (equal_ignoring_case(header.name, "sec-websocket-extensions")) {
      if (!terms.deflate) {
        terms.deflate = read_deflate_answer(header.value, options.limits.compression);
      } else {
        terms.deflate.reset();
      }
      if (!terms.deflate) broken("it names an extension, or parameters, that were not asked for");
    }
  }
  if (!upgrade || !connection) broken("it does not upgrade to websocket");
  if (!accepted) broken("Sec-WebSocket-Accept does not fit the key");
  return terms;
}

Task<net::Transport> connect_transport(const ClientUrl& url, const WebSocketClientOptions& options) {
  std::vector<net::Address> addresses;
  if (!options.unix_socket.empty()) {
    const auto address = net::Address::unix_path(options.unix_socket);
    if (!address) throw Invalid(fmt::format("'{}' is too long for a Unix socket", options.unix_socket));
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
    if (url.secure) {
      co_await transport.start_tls_client(options.tls ? options.tls : net::TlsContext::client({}), url.host);
    }
    co_return transport;
  }
}

Task<void> write_all(net::Transport& transport, std::string_view bytes) {
  while (!bytes.empty()) {
    const net::Io io = transport.write(bytes);
    if (io.state == net::Io::State::done) {
      bytes.remove_prefix(io.bytes);
    } else if (io.state == net::Io::State::would_block) {
      co_await net::ready(transport.fd(), EPOLLOUT);
    } else {
      co_return;  // the server may have answered before it closed: reading tells
    }
  }
}

}  // namespace

struct WebSocketClient::Impl final : detail::WebSocketStream::Owner {
  WebSocketClientOptions options;
  net::Transport transport;
  ServerStats stats;
  std::optional<detail::TransportCarrier> carrier;
  std::optional<detail::WebSocketStream> stream;
  bool compressed = false;
  async::Event ended;

  ~Impl() {
    // Elsewhere the loop is gone, and closing the descriptor ends the watch.
    if (stream && loop_ == async::Loop::current_or_null()) stream->abort();
  }

  Task<void> open(const ClientUrl& url) {
    transport = co_await connect_transport(url, options);
    const std::string key = base64_encode(random_bytes(16));
    const std::string asked = request_head(url, options, key);
    co_await write_all(transport, asked);
    std::string buffer;
    while (true) {
      const ResponseHead head = parse_response_head(buffer, kMaxHead, false);
      if (head.state == ResponseHead::State::refused) {
        throw Unavailable(fmt::format("the server's answer is malformed: {}", head.refusal.detail));
      }
      if (head.state == ResponseHead::State::complete) {
        if (head.status >= 100 && head.status < 200 && head.status != 101) {
          buffer.erase(0, head.head_size);
          continue;
        }
        if (head.status != 101) {
          throw WebSocketRefused(head.status, fmt::format("the server refused the WebSocket: {}", head.status));
        }
        detail::WebSocketTerms terms = check_answer(head, options, key);
        compressed = terms.deflate.has_value();
        loop_ = &async::Loop::current();
        carrier.emplace(*loop_, transport);
        stream.emplace(*loop_, *carrier, WebSocketSide::client, options.limits, std::move(terms), stats, *this);
        stream->open({}, std::string_view(buffer).substr(head.head_size));
        co_return;
      }
      const std::size_t had = buffer.size();
      net::Io io{};
      buffer.resize_and_overwrite(had + 4096, [&](char* data, std::size_t) {
        io = transport.read({data + had, 4096});
        return had + io.bytes;
      });
      if (io.state == net::Io::State::would_block) {
        co_await net::ready(transport.fd(), transport.wants_write() ? EPOLLOUT : EPOLLIN);
      } else if (io.state != net::Io::State::done) {
        throw Unavailable("the server closed the connection before it answered");
      }
    }
  }

 private:
  void on_stream_closed() noexcept override { ended.set(); }
  void on_peer_lost() noexcept override {}
  async::Loop* loop_ = nullptr;
};

WebSocketClient::WebSocketClient(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
WebSocketClient::~WebSocketClient() = default;

Task<std::unique_ptr<WebSocketClient>> WebSocketClient::connect(std::string url, WebSocketClientOptions options) {
  const ClientUrl parts = parse_url(url);
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  co_await async::timeout(impl->options.connect_timeout, impl->open(parts));
  co_return std::unique_ptr<WebSocketClient>(new WebSocketClient(std::move(impl)));
}

WebSocket& WebSocketClient::operator*() noexcept { return *impl_->stream; }
Task<void> WebSocketClient::close(std::uint16_t code, std::string reason) {
  impl_->stream->close(code, reason);
  co_await impl_->ended.wait();
}

bool WebSocketClient::compressed() const noexcept { return impl_->compressed; }

}  // namespace ashlar::http
