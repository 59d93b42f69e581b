// Which addresses a client may connect to: the guard against requests forged through a server (SSRF).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/net/address.hpp>

namespace ashlar::http {

/// A client was asked for an address that its Destinations do not allow. The message names the host of the URL, never
/// the address behind it: whoever wrote the URL may not be meant to know it.
class DestinationRefused : public Forbidden {
 public:
  explicit DestinationRefused(std::string_view host);
};

/// What an address is for, by the registries of IANA (RFC 6890). Addresses of IPv4 inside those of IPv6 (mapped, NAT64)
/// are judged by what they hold; those that tunnel (6to4, Teredo) are `reserved`.
enum class AddressScope : std::uint8_t {
  global,
  loopback,
  private_use,  ///< RFC 1918, unique local, and the shared space of carriers (RFC 6598)
  link_local,   ///< where clouds answer with the machine's credentials, too
  multicast,
  reserved,  ///< unspecified, broadcast, documentation, benchmarks, tunnels, everything not handed out
};
[[nodiscard]] AddressScope scope_of(const net::Address& address) noexcept;

/// Judged are the addresses that a connection is really made to, after the lookup and on every hop of a redirect: a
/// name that points elsewhere a moment later gains nothing. Unix sockets are named by code, not by URLs, and always
/// allowed.
class Destinations {
 public:
  /// For URLs that the program itself knows: everything but link-local, multicast and reserved addresses and the
  /// metadata services of clouds. A redirect never leads from a global address to another kind.
  [[nodiscard]] static Destinations standard() noexcept { return Destinations(Kind::standard); }
  /// For URLs that come from outside, such as web hooks: global addresses only.
  [[nodiscard]] static Destinations public_only() noexcept { return Destinations(Kind::public_only); }
  /// No guard at all.
  [[nodiscard]] static Destinations any() noexcept { return Destinations(Kind::any); }

  /// Allows a host by its name as URLs write it ("db.internal"), or addresses ("10.1.2.3", "10.0.0.0/8", "fd00::/8"),
  /// in spite of the rest. Throws Invalid for what is neither.
  Destinations& allow(std::string_view host_or_network);

  [[nodiscard]] bool allowed(std::string_view host, const net::Address& address) const noexcept;
  /// The same for the target of a redirect from a global address.
  [[nodiscard]] bool allowed_from_global(std::string_view host, const net::Address& address) const noexcept;
  [[nodiscard]] bool is_public_only() const noexcept { return kind_ == Kind::public_only; }

 private:
  enum class Kind : std::uint8_t { standard, public_only, any };
  explicit Destinations(Kind kind) noexcept : kind_(kind) {}
  [[nodiscard]] bool listed(std::string_view host, const net::Address& address) const noexcept;

  Kind kind_;
  std::vector<std::string> hosts_;
  std::vector<IpAddress> networks_;
};

}  // namespace ashlar::http
