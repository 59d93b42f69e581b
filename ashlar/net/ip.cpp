#include <ashlar/net/ip.hpp>

#include <netinet/in.h>

#include <cstring>

namespace ashlar::net {

std::optional<IpAddress> ip_of(const Address& address) noexcept {
  IpAddress ip;
  if (address.family() == AF_INET) {
    std::memcpy(ip.bytes.data(), &reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr, 4);
    return ip;
  }
  if (address.family() != AF_INET6) return std::nullopt;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    std::memcpy(ip.bytes.data(), &v6.s6_addr[12], 4);
    return ip;
  }
  ip.family = IpAddress::Family::v6;
  ip.prefix = 128;
  std::memcpy(ip.bytes.data(), &v6, sizeof v6);
  return ip;
}

Address address_of(const IpAddress& host, std::uint16_t port) noexcept {
  if (host.family == IpAddress::Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, host.bytes.data(), sizeof v4.sin_addr);
    return Address{reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, host.bytes.data(), sizeof v6.sin6_addr);
  return Address{reinterpret_cast<const sockaddr*>(&v6), sizeof v6};
}

}  // namespace ashlar::net
