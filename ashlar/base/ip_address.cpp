#include <ashlar/base/ip_address.hpp>

#include <arpa/inet.h>

#include <cstring>

#include <ashlar/base/text.hpp>

namespace ashlar {
namespace {

IpAddress unmapped(const IpAddress& address) {
  static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (address.family != IpAddress::Family::v6 || address.prefix < 96) return address;
  if (std::memcmp(address.bytes.data(), kMapped, 12) != 0) return address;
  IpAddress v4{IpAddress::Family::v4, static_cast<std::uint8_t>(address.prefix - 96), {}};
  std::memcpy(v4.bytes.data(), address.bytes.data() + 12, 4);
  return v4;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  IpAddress address;
  const auto slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  char buffer[INET6_ADDRSTRLEN];
  if (host.empty() || host.size() >= sizeof buffer || host.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(buffer, host.data(), host.size());
  buffer[host.size()] = '\0';
  if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) {
    address.family = Family::v4;
  } else if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) {
    address.family = Family::v6;
  } else {
    return std::nullopt;
  }
  int prefix = address.bits();
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
    prefix = 0;
    for (const char c : digits) {
      if (!is_digit_ascii(c)) return std::nullopt;
      prefix = prefix * 10 + (c - '0');
    }
    if (prefix > address.bits()) return std::nullopt;
  }
  address.prefix = static_cast<std::uint8_t>(prefix);
  return address;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  std::string out = inet_ntop(family == Family::v4 ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
  if (prefix != bits()) out += '/' + std::to_string(prefix);
  return out;
}

bool IpAddress::contains(const IpAddress& other) const noexcept {
  const IpAddress network = unmapped(*this), address = unmapped(other);
  if (network.family != address.family || address.prefix < network.prefix) return false;
  const std::size_t whole = network.prefix / 8;
  if (std::memcmp(network.bytes.data(), address.bytes.data(), whole) != 0) return false;
  const unsigned rest = network.prefix % 8;
  return rest == 0 || ((network.bytes[whole] ^ address.bytes[whole]) >> (8 - rest)) == 0;
}

bool IpAddress::is_loopback() const noexcept {
  static const IpAddress v4{Family::v4, 8, {127}};
  static const IpAddress v6{Family::v6, 128, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  return v4.contains(*this) || v6.contains(*this);
}

}  // namespace ashlar
