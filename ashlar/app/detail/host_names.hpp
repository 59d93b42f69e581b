// Host names as clients send them, and lists of those that are meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ashlar::detail {

/// "example.com:8080" → "example.com", "[::1]:80" → "[::1]"; empty for what is no host.
[[nodiscard]] std::string_view host_of(std::string_view authority) noexcept;

/// Names without ports, "*.example.com" for all names below one, "[::1]" for an IPv6 address. Case does not matter, nor
/// the point at the end of a name that is written in full.
class HostNames {
 public:
  HostNames() = default;
  /// Throws Invalid for what is no host; `what` says whose list it is.
  HostNames(const std::vector<std::string>& names, std::string_view what);

  [[nodiscard]] bool empty() const noexcept { return names_.empty(); }
  /// `host` as host_of() gives it.
  [[nodiscard]] bool contains(std::string_view host) const noexcept;

 private:
  std::vector<std::string> names_;
};

}  // namespace ashlar::detail
