#include <ashlar/app/trusted_proxies.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/net/ip.hpp>

namespace ashlar {
namespace {

// The elements of a list that may be spread over several lines of one header, from the last to the first. Commas inside
// of quotes part elements too: a quote that a client left open must not swallow what a proxy added behind it.
class Backwards {
 public:
  Backwards(const http::Request& request, http::KnownHeader name) noexcept
      : headers_(request.headers()), name_(http::to_string(name)), line_(headers_.size()) {}

  std::optional<std::string_view> next() noexcept {
    while (!more_) {
      if (line_ == 0) return std::nullopt;
      const http::Header& header = headers_[--line_];
      if (!equals_ignore_case(header.name, name_)) continue;
      rest_ = header.value;
      more_ = true;
    }
    const auto comma = rest_.rfind(',');
    more_ = comma != std::string_view::npos;
    const std::string_view element = more_ ? rest_.substr(comma + 1) : rest_;
    if (more_) rest_ = rest_.substr(0, comma);
    return trim(element);
  }

 private:
  std::span<const http::Header> headers_;
  std::string_view name_;
  std::size_t line_;
  std::string_view rest_;
  bool more_ = false;
};

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80"; not "unknown" and "_hidden".
std::optional<IpAddress> parse_node(std::string_view text) noexcept {
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    text = text.substr(1, close - 1);
  } else if (std::ranges::count(text, ':') == 1) {
    text = text.substr(0, text.find(':'));
  }
  auto address = IpAddress::parse(text);
  if (!address || address->prefix != address->bits()) return std::nullopt;
  return address;
}

bool is_host(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return is_alpha_ascii(c) || is_digit_ascii(c) || c == '-' || c == '.' || c == '_' || c == ':' || c == '[' ||
           c == ']';
  });
}

void set_protocol(http::Request& request, std::string_view protocol) noexcept {
  if (equals_ignore_case(protocol, "https") || equals_ignore_case(protocol, "wss")) request.secure = true;
  if (equals_ignore_case(protocol, "http") || equals_ignore_case(protocol, "ws")) request.secure = false;
}

void set_peer(http::Exchange& exchange, const IpAddress& address) {
  void* const place = exchange.scratch.allocate(sizeof(net::Address), alignof(net::Address));
  exchange.request.peer = new (place) net::Address(net::address_of(address, 0));
}

// What the outermost of so many trusted proxies said. A proxy that replaces the header leaves one element.
std::string_view element_of(const http::Request& request, http::KnownHeader name, unsigned hops) noexcept {
  Backwards elements(request, name);
  std::string_view found;
  for (unsigned i = 0; i < hops; ++i) {
    const auto element = elements.next();
    if (!element) break;
    found = *element;
  }
  return found;
}

struct Forwarded {
  std::string_view by_for, host, proto;
};

Forwarded parse_forwarded(std::string_view element) noexcept {
  Forwarded parsed;
  while (!element.empty()) {
    const auto semicolon = std::min(element.find(';'), element.size());
    const std::string_view pair = trim(element.substr(0, semicolon));
    element.remove_prefix(std::min(semicolon + 1, element.size()));
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    const std::string_view name = pair.substr(0, equals);
    if (equals_ignore_case(name, "for")) parsed.by_for = value;
    if (equals_ignore_case(name, "host")) parsed.host = value;
    if (equals_ignore_case(name, "proto")) parsed.proto = value;
  }
  return parsed;
}

}  // namespace

TrustedProxies::TrustedProxies(const std::vector<std::string>& networks, ProxyHeader header) : header_(header) {
  for (const std::string& text : networks) {
    if (text == "unix") {
      unix_ = true;
      continue;
    }
    const auto network = IpAddress::parse(text);
    if (!network) {
      throw Invalid(
          fmt::format("trusted proxies: '{}' is neither an address, a network such as 10.0.0.0/8, nor unix", text));
    }
    networks_.push_back(*network);
  }
  if (networks_.empty() && !unix_) throw Invalid("trusted proxies: none are named");
}

bool TrustedProxies::trusts(const IpAddress& address) const noexcept {
  return std::ranges::any_of(networks_, [&](const IpAddress& network) { return network.contains(address); });
}

bool TrustedProxies::trusts(const net::Address& peer) const noexcept {
  if (peer.is_unix()) return unix_;
  const auto address = net::ip_of(peer);
  return address && trusts(*address);
}

bool TrustedProxies::before(http::Exchange& exchange) {
  if (exchange.request.peer == nullptr || !trusts(*exchange.request.peer)) return true;
  if (header_ == ProxyHeader::forwarded) {
    read_forwarded(exchange);
  } else {
    read_x_forwarded(exchange);
  }
  return true;
}

void TrustedProxies::read_x_forwarded(http::Exchange& exchange) const {
  auto& request = exchange.request;
  Backwards addresses(request, http::KnownHeader::x_forwarded_for);
  std::optional<IpAddress> client;
  unsigned hops = 0;
  while (const auto element = addresses.next()) {
    const auto address = parse_node(*element);
    if (!address) break;
    client = address;
    ++hops;
    if (!trusts(*address)) break;
  }
  hops = std::max(hops, 1U);
  set_protocol(request, element_of(request, http::KnownHeader::x_forwarded_proto, hops));
  const std::string_view host = element_of(request, http::KnownHeader::x_forwarded_host, hops);
  if (is_host(host)) request.authority = host;
  if (client) set_peer(exchange, *client);
}

void TrustedProxies::read_forwarded(http::Exchange& exchange) const {
  auto& request = exchange.request;
  Backwards elements(request, http::KnownHeader::forwarded);
  std::optional<IpAddress> client;
  while (const auto element = elements.next()) {
    const Forwarded said = parse_forwarded(*element);
    set_protocol(request, said.proto);
    if (is_host(said.host)) request.authority = said.host;
    const auto address = parse_node(said.by_for);
    if (!address) break;
    client = address;
    if (!trusts(*address)) break;
  }
  if (client) set_peer(exchange, *client);
}

std::vector<std::string> detail::parse_networks(std::string_view list) {
  std::vector<std::string> networks;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (const auto one = trim(list.substr(0, comma)); !one.empty()) networks.emplace_back(one);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return networks;
}

}  // namespace ashlar
