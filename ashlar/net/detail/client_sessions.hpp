// Sessions that servers let a client resume.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <ashlar/net/detail/openssl.hpp>

namespace ashlar::net::detail {

/// By server, as "host:port": a session is only ever offered to the name that it was verified for.
class ClientSessions {
 public:
  static constexpr std::size_t kMostServers = 256;
  static constexpr std::size_t kMostOfOne = 8;

  /// Makes the context remember the sessions of its connections here. It must not outlive this.
  void attach(SSL_CTX* context);
  /// Before the handshake: offers what is remembered of the server, and remembers what it gives.
  void begin(SSL* ssl, std::string server);

 private:
  static int on_new(SSL* ssl, SSL_SESSION* session) noexcept;
  void put(const std::string& server, SessionPtr session);
  [[nodiscard]] SessionPtr take(const std::string& server);

  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<SessionPtr>> by_server_;
};

}  // namespace ashlar::net::detail
