#include <ashlar/http/destinations.hpp>

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include <ashlar/http/detail/framing.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

using Bytes16 = std::array<std::uint8_t, 16>;
constexpr unsigned kMappedBits = 96;

// IPv4 as IPv6 maps it. nullopt for what is no IP address.
std::optional<Bytes16> bytes_of(const net::Address& address) noexcept {
  Bytes16 bytes{};
  if (address.family() == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr, bytes.size());
    return bytes;
  }
  if (address.family() != AF_INET) return std::nullopt;
  bytes[10] = bytes[11] = 0xff;
  std::memcpy(bytes.data() + 12, &reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr, 4);
  return bytes;
}

bool within(std::span<const std::uint8_t> bytes, std::span<const std::uint8_t> prefix, unsigned bits) noexcept {
  const unsigned whole = bits / 8;
  if (!std::equal(prefix.begin(), prefix.begin() + whole, bytes.begin())) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - bits % 8));
  return ((bytes[whole] ^ prefix[whole]) & mask) == 0;
}

struct Block {
  std::array<std::uint8_t, 8> prefix;
  unsigned bits;
  AddressScope scope;
};

// https://www.iana.org/assignments/iana-ipv4-special-registry
constexpr std::array kBlocks4 = {
    Block{{127}, 8, AddressScope::loopback},           Block{{10}, 8, AddressScope::private_use},
    Block{{172, 16}, 12, AddressScope::private_use},   Block{{192, 168}, 16, AddressScope::private_use},
    Block{{100, 64}, 10, AddressScope::private_use},   Block{{169, 254}, 16, AddressScope::link_local},
    Block{{224}, 4, AddressScope::multicast},          Block{{0}, 8, AddressScope::reserved},
    Block{{192, 0, 0}, 24, AddressScope::reserved},    Block{{192, 0, 2}, 24, AddressScope::reserved},
    Block{{192, 88, 99}, 24, AddressScope::reserved},  Block{{198, 18}, 15, AddressScope::reserved},
    Block{{198, 51, 100}, 24, AddressScope::reserved}, Block{{203, 0, 113}, 24, AddressScope::reserved},
    Block{{240}, 4, AddressScope::reserved},
};

// https://www.iana.org/assignments/iana-ipv6-special-registry; what is outside of 2000::/3 is not handed out.
constexpr std::array kBlocks6 = {
    Block{{0xfc}, 7, AddressScope::private_use},
    Block{{0xfe, 0x80}, 10, AddressScope::link_local},
    Block{{0xff}, 8, AddressScope::multicast},
    Block{{0x20, 0x01, 0x00}, 23, AddressScope::reserved},  // Teredo, benchmarks, ORCHIDs
    Block{{0x20, 0x01, 0x0d, 0xb8}, 32, AddressScope::reserved},
    Block{{0x20, 0x02}, 16, AddressScope::reserved},  // 6to4
    Block{{0x3f, 0xff}, 20, AddressScope::reserved},
    Block{{0x20}, 3, AddressScope::global},
};

AddressScope scope4(std::span<const std::uint8_t> bytes) noexcept {
  for (const Block& block : kBlocks4) {
    if (within(bytes, block.prefix, block.bits)) return block.scope;
  }
  return AddressScope::global;
}

AddressScope scope6(const Bytes16& bytes) noexcept {
  constexpr Bytes16 kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr Bytes16 kNat64{0x00, 0x64, 0xff, 0x9b};  // RFC 6052
  constexpr Bytes16 kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  if (within(bytes, kMapped, kMappedBits) || within(bytes, kNat64, kMappedBits)) {
    return scope4(std::span(bytes).subspan(12));
  }
  if (bytes == kLoopback) return AddressScope::loopback;
  for (const Block& block : kBlocks6) {
    if (within(bytes, block.prefix, block.bits)) return block.scope;
  }
  return AddressScope::reserved;
}

// Metadata services that are not at link-local addresses: fd00:ec2::254 of AWS, 100.100.100.200 of Alibaba.
bool metadata_service(const Bytes16& bytes) noexcept {
  constexpr Bytes16 kAws{0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
  constexpr Bytes16 kAlibaba{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 100, 100, 200};
  return bytes == kAws || bytes == kAlibaba;
}

}  // namespace

DestinationRefused::DestinationRefused(std::string_view host)
    : Forbidden(
          fmt::format("'{}' may not be asked: its address is not among those that this client may connect to", host)) {}

AddressScope scope_of(const net::Address& address) noexcept {
  const auto bytes = bytes_of(address);
  return bytes ? scope6(*bytes) : AddressScope::reserved;
}

Destinations& Destinations::allow(std::string_view host_or_network) {
  if (const auto network = IpAddress::parse(host_or_network)) {
    networks_.push_back(*network);
    return *this;
  }
  if (host_or_network.empty() || host_or_network.find_first_of(":/") != std::string_view::npos ||
      !detail::valid_host(host_or_network)) {
    throw Invalid(
        fmt::format("'{}' is neither a host, nor an address, nor a network such as 10.0.0.0/8", host_or_network));
  }
  hosts_.emplace_back(host_or_network);
  return *this;
}

bool Destinations::listed(std::string_view host, const net::Address& address) const noexcept {
  if (address.is_unix()) return true;
  if (std::ranges::any_of(hosts_, [&](const std::string& one) { return equal_ignoring_case(one, host); })) return true;
  const auto bytes = bytes_of(address);
  if (!bytes) return false;
  const IpAddress ip{.family = IpAddress::Family::v6, .prefix = 128, .bytes = *bytes};
  return std::ranges::any_of(networks_, [&](const IpAddress& one) { return one.contains(ip); });
}

bool Destinations::allowed(std::string_view host, const net::Address& address) const noexcept {
  if (kind_ == Kind::any || listed(host, address)) return true;
  const AddressScope scope = scope_of(address);
  if (kind_ == Kind::public_only) return scope == AddressScope::global;
  if (metadata_service(bytes_of(address).value_or(Bytes16{}))) return false;
  return scope == AddressScope::global || scope == AddressScope::loopback || scope == AddressScope::private_use;
}

bool Destinations::allowed_from_global(std::string_view host, const net::Address& address) const noexcept {
  if (kind_ == Kind::any || listed(host, address)) return true;
  return scope_of(address) == AddressScope::global;
}

}  // namespace ashlar::http
