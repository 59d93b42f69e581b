// TrustedProxies: behind a proxy, who the client is and how it came.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/middleware.hpp>
#include <ashlar/base/ip_address.hpp>

namespace ashlar {

namespace net {
class Address;
}

/// What the proxy writes. Only one of them is read: one that the proxy passes through unread is the client's own word.
enum class ProxyHeader : std::uint8_t {
  x_forwarded,  ///< X-Forwarded-For, -Proto and -Host
  forwarded,    ///< Forwarded (RFC 7239)
};

/// For requests whose other end is a trusted proxy, `request.peer`, `.secure` and `.authority` become those of the
/// client, so that limits, logs and redirects see it. Addresses are read from the last one backwards, over further
/// trusted proxies, to the first that is not trusted: what stands before that anybody may have written. Requests of
/// others stay as they are. The proxy must set the headers, or remove those of its clients.
///
/// The setting ASHLAR_TRUSTED_PROXIES does the same for a whole server, before mounted applications are chosen.
class TrustedProxies final : public Middleware {
 public:
  /// Networks such as "10.0.0.0/8" and "::1", and "unix" for all peers on Unix sockets. Throws Invalid for what is
  /// neither, and for none.
  explicit TrustedProxies(const std::vector<std::string>& networks, ProxyHeader header = ProxyHeader::x_forwarded);

  bool before(http::Exchange& exchange) override;

 private:
  [[nodiscard]] bool trusts(const net::Address& peer) const noexcept;
  [[nodiscard]] bool trusts(const IpAddress& address) const noexcept;
  void read_x_forwarded(http::Exchange& exchange) const;
  void read_forwarded(http::Exchange& exchange) const;

  std::vector<IpAddress> networks_;
  bool unix_ = false;
  ProxyHeader header_;
};

namespace detail {
/// "10.0.0.0/8, ::1" → {"10.0.0.0/8", "::1"}
std::vector<std::string> parse_networks(std::string_view list);
}  // namespace detail

}  // namespace ashlar
