// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side. Sources: RFC 5802, RFC 7677, RFC 5929
// (tls-server-end-point).
#pragma once

#include <string>
#include <string_view>

namespace ashlar::pg::detail {

class Scram {
 public:
  /// `channel_binding`: hash of the server's certificate; empty: without. `binding_possible`: we could bind but the
  /// server does not offer it ("y" instead of "n", so that a stripped offer is noticed).
  Scram(std::string_view password, std::string channel_binding, bool binding_possible, std::string nonce = {});

  [[nodiscard]] std::string first() const;
  /// The answer to server-first-message. Throws ProtocolError when the server does not follow the protocol.
  [[nodiscard]] std::string final(std::string_view server_first);
  /// Throws Unavailable/ProtocolError unless the server has proved that it knows the password too.
  void verify(std::string_view server_final) const;

 private:
  std::string header_;
  std::string binding_;
  std::string password_;
  std::string nonce_;
  std::string server_signature_;
};

std::string md5_password(std::string_view user, std::string_view password, std::string_view salt);
std::string sha256_hex(std::string_view bytes);
std::string base64(std::string_view bytes);
/// Throws ProtocolError.
std::string from_base64(std::string_view text);

}  // namespace ashlar::pg::detail
