// From a host to a connection: lookup, guard, the fastest of its addresses, the proxy's tunnel, TLS.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ashlar/async/loop.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/client_options.hpp>
#include <ashlar/http/detail/client_proxy.hpp>
#include <ashlar/http/detail/client_url.hpp>
#include <ashlar/net/transport.hpp>

namespace ashlar::http::detail {

/// The way to a server. Connections of one key serve each other's requests.
struct ClientRoute {
  const ClientUrl& url;
  std::string unix_socket{};
  const ClientProxy* proxy = nullptr;
  bool from_global = false;  // a redirect from an address of the open Internet leads here

  [[nodiscard]] std::string key() const;
  /// The request names the whole URL, for the proxy.
  [[nodiscard]] bool forwarded() const noexcept { return proxy != nullptr && !url.secure; }
};

/// Addresses of names, believed for a short time; one lookup of a name at a time. Of one loop.
class ClientResolver {
 public:
  explicit ClientResolver(async::Nanoseconds believed) noexcept : believed_(believed) {}
  /// IPv6 and IPv4 in turn, as RFC 8305 §4 orders them. Throws Unavailable.
  Task<std::vector<net::Address>> resolve(std::string host, std::uint16_t port);

 private:
  struct Entry {
    std::vector<net::Address> addresses;
    async::TimePoint until{};
    std::shared_ptr<async::Event> looking;  // not null: somebody asks
  };
  static constexpr std::size_t kMostNames = 1024;
  void make_room(async::TimePoint now);

  async::Nanoseconds believed_;
  std::map<std::string, Entry> entries_;
};

struct ClientConnected {
  net::Transport transport;
  bool global_peer = false;
};

/// Throws Unavailable, DestinationRefused, Cancelled, DeadlineExceeded. `alpn`: protocols offered over TLS. Arguments
/// outlive it.
Task<ClientConnected> connect_client(const ClientRoute& route, const ClientOptions& options,
                                     std::shared_ptr<net::TlsContext> tls, std::vector<std::string> alpn,
                                     ClientResolver& resolver);

}  // namespace ashlar::http::detail
