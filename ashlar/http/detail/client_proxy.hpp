// Which proxy a request goes through.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/ip_address.hpp>
#include <ashlar/http/client_options.hpp>
#include <ashlar/http/detail/client_url.hpp>

namespace ashlar::http::detail {

struct ClientProxy {
  std::string host;
  std::uint16_t port = 0;
  std::string authorization;  // of Proxy-Authorization; empty: none

  /// "http://user:password@proxy:3128", or without scheme, as environments have it. Throws Invalid without repeating
  /// it.
  static ClientProxy parse(std::string_view url);
  [[nodiscard]] std::string origin() const;
};

class ClientProxies {
 public:
  /// Throws Invalid for one that is none.
  explicit ClientProxies(ProxyOptions options);
  /// nullptr: directly.
  [[nodiscard]] const ClientProxy* for_url(const ClientUrl& url) const noexcept;
  [[nodiscard]] bool any() const noexcept { return http_ || https_; }

 private:
  struct Bypass {
    std::string host;  // and everything below it; empty: `network`
    std::optional<IpAddress> network;
    std::uint16_t port = 0;  // 0: any
  };
  void add_bypass(std::string_view entry);

  std::optional<ClientProxy> http_;
  std::optional<ClientProxy> https_;
  std::vector<Bypass> bypass_;
  bool bypass_all_ = false;
};

}  // namespace ashlar::http::detail
