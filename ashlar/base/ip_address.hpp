// IPv4 and IPv6 addresses and networks.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ashlar {

/// `192.0.2.7`, `2001:db8::1`, and with a prefix length a network: `10.0.0.0/8`.
struct IpAddress {
  enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

  Family family = Family::v4;
  std::uint8_t prefix = 32;              // 32 or 128 when none was written
  std::array<std::uint8_t, 16> bytes{};  // network order; IPv4 takes the first four

  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text) noexcept;
  /// Without the prefix when it is the whole address. IPv6 in the form of RFC 5952.
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] int bits() const noexcept { return family == Family::v4 ? 32 : 128; }
  /// True when `other` lies in this network. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) counts as its IPv4 address.
  [[nodiscard]] bool contains(const IpAddress& other) const noexcept;
  [[nodiscard]] bool is_loopback() const noexcept;

  auto operator<=>(const IpAddress&) const = default;
};

}  // namespace ashlar
