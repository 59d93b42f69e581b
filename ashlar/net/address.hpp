// Addresses of sockets: IPv4, IPv6 and Unix paths, as values.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ashlar::net {

class Address {
 public:
  Address() = default;
  Address(const sockaddr* address, socklen_t size) noexcept;

  /// "127.0.0.1:80", "[::1]:80", "unix:/run/a.sock". Numbers only: names are for resolve().
  static std::optional<Address> parse(std::string_view text) noexcept;
  /// A numeric IP address and a port.
  static std::optional<Address> ip(std::string_view host, std::uint16_t port) noexcept;
  /// A Unix socket's path; nullopt when it is longer than the 107 bytes that the kernel takes.
  static std::optional<Address> unix_path(std::string_view path) noexcept;

  [[nodiscard]] const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(storage_.data()); }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] int family() const noexcept { return size_ == 0 ? AF_UNSPEC : data()->sa_family; }
  [[nodiscard]] std::uint16_t port() const noexcept;  ///< 0 for Unix sockets
  [[nodiscard]] std::string host() const;             ///< without the port; the path of a Unix socket
  [[nodiscard]] bool is_unix() const noexcept { return family() == AF_UNIX; }
  [[nodiscard]] std::string to_string() const;  ///< what parse() reads
  friend bool operator==(const Address& a, const Address& b) noexcept;

 private:
  alignas(8) std::array<std::byte, 112> storage_{};
  socklen_t size_ = 0;
};

}  // namespace ashlar::net
