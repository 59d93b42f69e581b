// Between addresses of sockets and IP addresses.
#pragma once

#include <cstdint>
#include <optional>

#include <ashlar/base/ip_address.hpp>
#include <ashlar/net/address.hpp>

namespace ashlar::net {

/// Without the port, an IPv4-mapped IPv6 address as the IPv4 address that it is; nullopt for Unix sockets.
[[nodiscard]] std::optional<IpAddress> ip_of(const Address& address) noexcept;

[[nodiscard]] Address address_of(const IpAddress& host, std::uint16_t port) noexcept;

}  // namespace ashlar::net
