#include <ashlar/net/address.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace ashlar::net {
namespace {

static_assert(sizeof(sockaddr_un) <= 112 && sizeof(sockaddr_in6) <= 112);

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

Address::Address(const sockaddr* address, socklen_t size) noexcept
    : size_(std::min<socklen_t>(size, static_cast<socklen_t>(storage_.size()))) {
  std::memcpy(storage_.data(), address, size_);
}

std::optional<Address> Address::parse(std::string_view text) noexcept {
  if (text.starts_with("unix:")) return unix_path(text.substr(5));
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  auto host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address needs its brackets
  }
  return ip(host, *port);
}

std::optional<Address> Address::ip(std::string_view host, std::uint16_t port) noexcept {
  std::array<char, 64> text{};
  if (host.empty() || host.size() >= text.size()) return std::nullopt;
  std::memcpy(text.data(), host.data(), host.size());
  sockaddr_in v4{};
  if (::inet_pton(AF_INET, text.data(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return Address{reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
  }
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET6, text.data(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return Address{reinterpret_cast<const sockaddr*>(&v6), sizeof v6};
  }
  return std::nullopt;
}

std::optional<Address> Address::unix_path(std::string_view path) noexcept {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path || path.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return Address{reinterpret_cast<const sockaddr*>(&address), sizeof address};
}

std::uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(data())->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(data())->sin6_port);
  return 0;
}

std::string Address::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    return ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(data())->sin_addr, text.data(), text.size());
  }
  if (family() == AF_INET6) {
    return ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(data())->sin6_addr, text.data(), text.size());
  }
  if (is_unix()) {
    const auto* path = reinterpret_cast<const sockaddr_un*>(data())->sun_path;
    return std::string(path, ::strnlen(path, size_ - offsetof(sockaddr_un, sun_path)));
  }
  return {};
}

std::string Address::to_string() const {
  if (is_unix()) return "unix:" + host();
  if (family() == AF_INET6) return fmt::format("[{}]:{}", host(), port());
  if (family() == AF_INET) return fmt::format("{}:{}", host(), port());
  return {};
}

bool operator==(const Address& a, const Address& b) noexcept {
  return a.size_ == b.size_ && std::memcmp(a.storage_.data(), b.storage_.data(), a.size_) == 0;
}

}  // namespace ashlar::net
