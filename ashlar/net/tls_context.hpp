// TlsContext: how TLS is done: versions, certificates, whom to trust. Many connections share one.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/net/tls_stats.hpp>

struct ssl_ctx_st;
struct ssl_st;

namespace ashlar::net {

class TicketKeys;

enum class TlsVersion : std::uint8_t { tls12, tls13 };

/// PEM files of one certificate.
struct CertificateFiles {
  std::string certificate_file;  ///< the server's own first, then its issuers
  std::string key_file{};        ///< empty: the key is in certificate_file
  std::string ocsp_file{};       ///< an OCSP answer in DER form to staple (RFC 6066 §8); empty: none
};

struct TlsClientOptions {
  enum class Verify : std::uint8_t { none, certificate, full };  ///< full: also the host name
  Verify verify = Verify::full;
  std::string ca_file{};           ///< PEM; empty: the system's store
  std::string certificate_file{};  ///< shown to servers that ask for one; empty: none
  std::string key_file{};          ///< empty: the key is in certificate_file
  /// Protocols offered, the best first: {"h2", "http/1.1"}. Empty: what whoever connects speaks.
  std::vector<std::string> alpn{};
};

struct TlsServerOptions {
  enum class ClientCertificate : std::uint8_t {
    optional,  ///< one that is shown must be good
    required,  ///< without one the handshake fails
  };
  std::string certificate_file;  ///< PEM: the server's own first, then its issuers
  std::string key_file{};        ///< PEM; empty: the key is in certificate_file
  std::string ocsp_file{};       ///< DER; see CertificateFiles
  /// Chosen by the name that the client asks for (SNI, RFC 6066 §3) among the names in each certificate,
  /// "*.example.com" too. The certificate above is for all other names. Of two kinds (ECDSA, RSA) with the same names,
  /// the client takes the one it can verify.
  std::vector<CertificateFiles> more_certificates{};
  /// Protocols spoken, the best first (ALPN, RFC 7301). A client that offers none of them is refused; one that offers
  /// nothing is not. Empty: what offer_alpn() says.
  std::vector<std::string> alpn{};
  TlsVersion min_version = TlsVersion::tls12;
  /// PEM: who signs clients' certificates. Empty: none is asked for.
  std::string client_ca_file{};
  ClientCertificate client_certificate = ClientCertificate::required;
  /// How long a client may resume its session.
  std::chrono::seconds session_lifetime = std::chrono::hours{2};
  /// Shared with servers that are to resume each other's sessions; their lifetime counts then. Null: keys of its own.
  std::shared_ptr<TicketKeys> ticket_keys{};
};

/// Thread-safe once made. Made for clients, it remembers their sessions and resumes them.
class TlsContext {
 public:
  using ClientOptions = TlsClientOptions;
  using ServerOptions = TlsServerOptions;

  /// Throws Invalid naming the file that cannot be used, why, and what to do.
  static std::shared_ptr<TlsContext> client(TlsClientOptions options);
  static std::shared_ptr<TlsContext> server(TlsServerOptions options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Reads the files again. Handshakes that begin later use what they say; connections that are there, and sessions to
  /// be resumed, live on. Throws Invalid as the maker does; then nothing has changed. Reads files: not on a loop.
  void reload();

  enum class Changes : std::uint8_t { none, settling, reloaded };
  /// To be called every few seconds: reloads when a file has changed and was left alone since the call before. What
  /// cannot be used is thrown once, as Invalid, and tried again when it changes again. Not from two threads at once.
  Changes reload_if_changed();

  /// Servers say which protocols they speak; of no effect where the options named some.
  void offer_alpn(std::vector<std::string> protocols);

  [[nodiscard]] bool is_server() const noexcept;
  [[nodiscard]] bool asks_for_client_certificate() const noexcept;
  [[nodiscard]] TlsClientOptions::Verify verify() const noexcept;
  /// The options say which protocols to offer (ALPN).
  [[nodiscard]] bool names_protocols() const noexcept;

  [[nodiscard]] TlsStats stats() const;
  /// Those in use, the default one first.
  [[nodiscard]] std::vector<TlsCertificateInfo> certificates() const;

 private:
  friend class Transport;
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl) noexcept;
  /// The one to begin a connection with; it counts for the caller.
  [[nodiscard]] ssl_ctx_st* acquire() const;
  /// Of a client: offers the server what it gave last time.
  void begin_session(ssl_st* connection, std::string server);
  void count_handshake(int version, bool resumed) noexcept;
  void count_failure(TlsFailure failure) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar::net
