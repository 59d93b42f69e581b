// What a server's handshakes need, made from files at one moment; a reload makes another.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ashlar/net/detail/certificate.hpp>
#include <ashlar/net/ticket_keys.hpp>
#include <ashlar/net/tls_context.hpp>

namespace ashlar::net::detail {

/// Survives reloads; every context made refers to it.
struct ServerShared {
  explicit ServerShared(std::shared_ptr<TicketKeys> keys) : tickets(std::move(keys)) {}
  std::shared_ptr<TicketKeys> tickets;
  std::mutex mutex;
  std::string alpn;  // in wire form
};

/// "h2", "http/1.1" → each behind its length (RFC 7301 §3.1). Throws Invalid for one that is empty or over 255 bytes.
[[nodiscard]] std::string alpn_wire(const std::vector<std::string>& protocols);

class ServerContext {
 public:
  /// The context owns what it needs of this class, so that connections that began with it may outlive a reload.
  /// Throws Invalid as TlsContext::server does.
  [[nodiscard]] static ContextPtr make(const TlsServerOptions& options, std::shared_ptr<ServerShared> shared);
  [[nodiscard]] static const ServerContext& of(const SSL_CTX* context) noexcept;

  [[nodiscard]] const std::vector<Certificate>& certificates() const noexcept { return certificates_; }

 private:
  using Group = std::vector<const Certificate*>;  // one of each kind of key

  explicit ServerContext(std::shared_ptr<ServerShared> shared) : shared_(std::move(shared)) {}
  void sort_by_name();
  void ask_for_clients(SSL_CTX* context, const TlsServerOptions& options);
  [[nodiscard]] const Group& find(std::string_view server_name) const;

  static int on_certificate(SSL* ssl, void* self) noexcept;
  static int on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                     unsigned offered_size, void* self) noexcept;
  static int on_status(SSL* ssl, void* self) noexcept;

  std::shared_ptr<ServerShared> shared_;
  std::vector<Certificate> certificates_;
  Group default_;
  std::unordered_map<std::string, Group> by_name_;    // "www.example.com"
  std::unordered_map<std::string, Group> wildcards_;  // "example.com" for "*.example.com"
};

}  // namespace ashlar::net::detail
